"use strict";
/** docs/finding.schema.json is what docs/findings.md promises to users: it must follow the types, and the records it. */
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { join, resolve } = require("node:path");
const test = require("node:test");
const { makeSchema } = require("../../../scripts/make-finding-schema");
const { SCHEMA, assertFinding, validator } = require("../../harness/finding-schema");
const { LEAKING, runCli, temporaryFolder, writeHistory } = require("./fixtures");

const ROOT = resolve(__dirname, "../../..");
async function recordedFindings(context) {
  const history = writeHistory(temporaryFolder(context), LEAKING);
  const { stdout } = await runCli(["replay", history, "--json"]);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

test("docs/finding.schema.json is generated from the types as they are (npm run schema)", () => {
  assert.deepEqual(SCHEMA, makeSchema());
});

test("every finding that a replay prints is valid, with no field beyond the types", async (context) => {
  const findings = await recordedFindings(context);
  assert.ok(findings.some((finding) => finding.verdict === "leak"));
  for (const finding of findings) assertFinding(finding);
  assert.throws(() => assertFinding({ ...findings[0], surprise: 1 }));
});

test("the schema refuses what is no finding", async (context) => {
  const validate = validator(SCHEMA);
  const [finding] = await recordedFindings(context);
  assert.ok(validate({ ...finding, addedLater: 1 }), "fields may be added within version 1");
  const { route: _route, ...withoutRoute } = finding;
  const broken = [
    withoutRoute,
    { ...finding, schema: "leak-agent.finding/2" },
    { ...finding, verdict: "maybe" },
    { ...finding, previousVerdict: 3 },
    { ...finding, growth: { ...finding.growth, bytesPerHour: null } },
    { ...finding, path: [{ function: "f", file: "a.js", line: "12", package: "app" }] },
    { ...finding, alternatives: [{ name: "warm-up" }] },
  ];
  for (const value of broken) assert.equal(validate(value), false);
});

test("docs/findings.md names every field of the record", () => {
  const text = readFileSync(join(ROOT, "docs/findings.md"), "utf8");
  const unnamed = Object.keys(SCHEMA.properties).filter((name) => name !== "schema" && !text.includes(`\`${name}`));
  assert.deepEqual(unnamed, []);
});
