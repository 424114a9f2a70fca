"use strict";
const assert = require("node:assert/strict");
const { existsSync, readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { FINDING } = require("../../harness/a-finding");
const { runCli, temporaryFolder } = require("./fixtures");

function folderWithFinding(context) {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, "findings.jsonl"), `${JSON.stringify(FINDING)}\n`);
  return folder;
}

const readList = (folder) => JSON.parse(readFileSync(join(folder, "acknowledged.json"), "utf8")).ignore;

test("ack silences the report until it is withdrawn", async (context) => {
  const folder = folderWithFinding(context);
  assert.equal((await runCli(["report", folder])).code, 1);
  const acked = await runCli(["ack", FINDING.id, folder, "--reason", "a bounded cache"]);
  assert.deepEqual([acked.code, acked.stderr], [0, ""]);
  assert.match(
    acked.stdout,
    /^acknowledged for ever: 7c1e09ab44d2 \(POST \/report at lib\/metrics\.js:12 recordTimer\)/,
  );
  assert.deepEqual(readList(folder), [{ id: FINDING.id, reason: "a bounded cache" }]);
  const report = await runCli(["report", folder]);
  assert.equal(report.code, 0);
  assert.match(report.stdout, /ACKNOWLEDGED/);
  assert.match(report.stdout.replace(/\s+/g, " "), /acknowledged, because "a bounded cache" \(acknowledged\.json\)/);
  assert.equal((await runCli(["ack", FINDING.id, folder, "--withdraw"])).code, 0);
  assert.equal((await runCli(["report", folder])).code, 1);
});

test("--until takes a time from now, a day or a time; what is over is refused", async (context) => {
  const folder = folderWithFinding(context);
  const before = Date.now();
  assert.equal((await runCli(["ack", FINDING.id, folder, "--reason", "x", "--until", "30d"])).code, 0);
  const until = Date.parse(readList(folder)[0].until);
  assert.ok(until >= before + 30 * 86_400_000 && until <= Date.now() + 30 * 86_400_000);
  assert.equal((await runCli(["ack", FINDING.id, folder, "--reason", "x", "--until", "2099-01-31"])).code, 0);
  assert.equal(readList(folder)[0].until, "2099-01-31");
  const over = await runCli(["ack", FINDING.id, folder, "--reason", "x", "--until", "2020-01-31"]);
  assert.deepEqual([over.code, /--until 2020-01-31 is over already/.test(over.stderr)], [2, true]);
});

test("--file writes what is committed with the service, also where no agent has written", async (context) => {
  const folder = temporaryFolder(context);
  const file = join(folder, "leak-agent.ignore.json");
  const { code } = await runCli(["ack", FINDING.id, "--reason", "a cache", "--file", file]);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), {
    schema: "leak-agent.ignore/1",
    ignore: [{ id: FINDING.id, reason: "a cache" }],
  });
});

const MISTAKES = [
  [["ack"], /needs the id of a finding/],
  [["ack", FINDING.id, "DIR"], /ack needs --reason/],
  [["ack", "12", "DIR", "--reason", "x"], /12: id must be the 12 hex digits of a finding/],
  [["ack", "000000000000", "DIR", "--reason", "x"], /has no finding 000000000000; it has:\n {2}7c1e09ab44d2 {2}leak/],
  [["ack", FINDING.id, "DIR", "--reason", "x", "--until", "soon"], /until must be a day or an ISO 8601 time/],
  [["ack", FINDING.id, "DIR", "--withdraw"], /does not acknowledge 7c1e09ab44d2/],
];
for (const [args, expected] of MISTAKES) {
  test(`wrong usage is one line with what to write: ${args.join(" ")}`, async (context) => {
    const folder = folderWithFinding(context);
    const { code, stdout, stderr } = await runCli(args.map((word) => (word === "DIR" ? folder : word)));
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, expected);
    assert.equal(existsSync(join(folder, "acknowledged.json")), false);
  });
}
