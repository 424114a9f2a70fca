"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { after, test } = require("node:test");
const { SCENARIOS } = require("../../../examples/shop/scenarios.js");
const { checkSite, functionRanges } = require("../../../scripts/demo/expected-site.js");

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "leak-agent-test-"));
after(() => fs.rmSync(folder, { recursive: true }));

const file = path.join(folder, "lib", "list.js");
fs.mkdirSync(path.dirname(file));
fs.writeFileSync(
  file,
  [
    "const kept = [];",
    "function push(x) {",
    "  kept.push(x);",
    "}",
    "const wrapped = memo((x) => {",
    "  return x;",
    "});",
  ].join("\n"),
);

test("functions are found by their own name and by what they are assigned to", () => {
  assert.deepEqual(functionRanges(file, ["push", "wrapped"]), [
    { name: "push", firstLine: 2, lastLine: 4 },
    { name: "wrapped", firstLine: 5, lastLine: 7 },
  ]);
});

test("a site is right when its file and a line of the function agree", () => {
  const sites = [{ file, functions: ["push"] }];
  const check = (changes) => checkSite(sites, { file: "lib/list.js", line: 3, package: "app", ...changes });
  assert.deepEqual(check({}), { fileRight: true, lineRight: true });
  assert.deepEqual(check({ line: 6 }), { fileRight: true, lineRight: false });
  assert.deepEqual(check({ file: "other/list.js" }), { fileRight: false, lineRight: false });
  assert.deepEqual(check({ package: "list@1.0.0" }), { fileRight: false, lineRight: false });
});

test("every scenario's functions exist in the shop and in the installed packages", () => {
  for (const scenario of SCENARIOS) {
    for (const { file: source, functions } of scenario.sites) {
      const found = new Set(functionRanges(source, functions).map(({ name }) => name));
      assert.ok(found.size > 0, `${scenario.part}: none of ${functions} in ${source}`);
    }
  }
});
