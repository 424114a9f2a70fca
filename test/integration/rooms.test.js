/** The lint rules know the rooms of CONTRIBUTING.md: each forbidden import is an error, each allowed one is not. */
"use strict";
const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const { mkdirSync, readFileSync, writeFileSync } = require("node:fs");
const { dirname, join } = require("node:path");
const test = require("node:test");
const { ROOT, temporaryFolder } = require("../harness/service");

const CASES = [
  { file: "src/model/route.ts", allowed: ["./owner", "../errors"], forbidden: ["../config", "node:fs", "pino"] },
  { file: "src/errors.ts", allowed: [], forbidden: ["./config", "node:fs"] },
  { file: "src/config.ts", allowed: ["./errors", "./model/owner", "node:fs"], forbidden: ["./worker/main", "pino"] },
  {
    file: "src/otlp-config.ts",
    allowed: ["./setting-reader"],
    forbidden: ["./export/folder", "./worker/main", "pino"],
  },
  {
    file: "src/detector/rule.ts",
    allowed: ["../model/finding", "./evidence", "node:crypto"],
    forbidden: ["node:fs", "../config", "../export/folder", "../worker/main", "../probe/engine"],
  },
  {
    file: "src/export/sender.ts",
    allowed: ["../model/finding", "../config", "../errors", "node:zlib", "pprof-format"],
    forbidden: ["../detector/detector", "../worker/main", "pino", "../native"],
  },
  {
    file: "src/probe/hook.ts",
    allowed: ["../native", "../config", "../errors", "../model/owner", "node:async_hooks", "@opentelemetry/api"],
    forbidden: [
      "../worker/main",
      "../export/folder",
      "../detector/detector",
      "../cli/main",
      "pino",
      "@opentelemetry/sdk-node",
    ],
  },
  { file: "src/preload.ts", allowed: ["./probe/engine", "./config"], forbidden: ["./worker/main", "pino"] },
  {
    file: "src/worker/step.ts",
    allowed: [
      "../config",
      "../model/owner",
      "../detector/detector",
      "../export/folder",
      "../errors",
      "pino",
      "node:fs",
    ],
    forbidden: ["../probe/engine", "../cli/main", "../native"],
  },
  {
    file: "src/cli/list.ts",
    allowed: ["../model/finding", "../detector/detector", "../export/folder", "../config", "../errors", "node:fs"],
    forbidden: ["../probe/engine", "../worker/main", "../native"],
  },
];

/** A copy of the lint settings in a folder of its own, without the parts that name this repository. */
function project(context) {
  const folder = temporaryFolder(context);
  const settings = JSON.parse(readFileSync(join(ROOT, "biome.json"), "utf8"));
  delete settings.$schema;
  settings.vcs = { enabled: false };
  settings.files = { includes: ["**"] };
  writeFileSync(join(folder, "biome.json"), JSON.stringify(settings));
  return folder;
}

/** Rule names of the errors that lint finds, for one file with these lines. */
function lintErrors(folder, file, text) {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
  const biome = join(ROOT, "node_modules/@biomejs/biome/bin/biome");
  const child = spawnSync(process.execPath, [biome, "lint", "--reporter=json", file], {
    cwd: folder,
    encoding: "utf8",
  });
  const { diagnostics } = JSON.parse(child.stdout);
  return diagnostics.filter((found) => found.severity === "error").map((found) => found.category);
}

for (const { file, allowed, forbidden } of CASES) {
  test(`${file} may import ${allowed.length} things and not ${forbidden.length} others`, (context) => {
    const folder = project(context);
    const importing = (name, index) =>
      `import { a${index} } from "${name}";\nexport const b${index}: unknown = a${index};\n`;
    assert.deepEqual(lintErrors(folder, file, allowed.map(importing).join("")), []);
    for (const name of forbidden) {
      assert.deepEqual(
        lintErrors(folder, file, importing(name, 0)),
        ["lint/style/noRestrictedImports"],
        `${file} imports ${name}`,
      );
    }
  });
}

test("only src/config.ts reads the environment", (context) => {
  const folder = project(context);
  const text = 'export const a: string | undefined = process.env["A"];\n';
  assert.deepEqual(lintErrors(folder, "src/config.ts", text), []);
  assert.deepEqual(lintErrors(folder, "src/worker/step.ts", text), ["lint/style/noProcessEnv"]);
});
