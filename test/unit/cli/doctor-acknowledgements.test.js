"use strict";
const assert = require("node:assert/strict");
const { writeFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { checkAcknowledgements } = require("../../../dist/cli/doctor-acknowledgements");
const { temporaryFolder } = require("./fixtures");

const NOW = Date.UTC(2026, 10, 25, 10);
const GOOD = { id: "7c1e09ab44d2", reason: "a cache" };
const list = (...ignore) => JSON.stringify({ schema: "leak-agent.ignore/1", ignore });

test("without a file there is nothing to say; a good one is ok", (context) => {
  const folder = temporaryFolder(context);
  const settings = { directory: join(folder, "none"), ignoreFile: null };
  assert.deepEqual(checkAcknowledgements(settings, folder, NOW), []);
  writeFileSync(join(folder, "leak-agent.ignore.json"), list(GOOD));
  assert.deepEqual(
    checkAcknowledgements(settings, folder, NOW).map(({ state }) => state),
    ["ok"],
  );
});

test("each bad entry is a problem with its fix, an entry that is over a warning, a missing file a problem", (context) => {
  const folder = temporaryFolder(context);
  const settings = { directory: folder, ignoreFile: null };
  writeFileSync(join(folder, "leak-agent.ignore.json"), list(GOOD, { id: "no" }, { id: GOOD.id }));
  writeFileSync(join(folder, "acknowledged.json"), list({ ...GOOD, until: "2026-11-24" }));
  const [first, second, over, ...more] = checkAcknowledgements(settings, folder, NOW);
  assert.deepEqual([first.state, second.state, over.state, more.length], ["problem", "problem", "warning", 0]);
  assert.match(first.message, /entry 2 \(id "no"\): id must be the 12 hex digits of a finding$/);
  assert.equal(first.fix, "copy it from leak-agent report");
  assert.match(over.message, /7c1e09ab44d2 \(until 2026-11-24\)/);
  const missing = checkAcknowledgements({ ...settings, ignoreFile: join(folder, "x.json") }, folder, NOW);
  assert.deepEqual([missing.length, missing[0].state], [1, "problem"]);
});
