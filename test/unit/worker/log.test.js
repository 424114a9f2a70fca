"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const { join } = require("node:path");
const { after, describe, it } = require("node:test");
const { AgentFolder } = require("../../../dist/export/folder.js");
const { AgentLog } = require("../../../dist/worker/log.js");

const base = fs.mkdtempSync(join(os.tmpdir(), "log-test-"));
after(() => fs.rmSync(base, { recursive: true, force: true }));

describe("the log", () => {
  it("writes one JSON line with words, level, code and fields", () => {
    const lines = [];
    const log = new AgentLog("stderr", null, (line) => lines.push(line));
    log.warn("ERR_LEAK_AGENT_CONFIG", "a setting is wrong", { setting: "X" });
    assert.equal(lines.length, 1);
    assert.ok(lines[0].endsWith("}\n"));
    const { level, code, msg, setting, name, pid, time } = JSON.parse(lines[0]);
    assert.deepEqual([level, code, msg, setting], ["warn", "ERR_LEAK_AGENT_CONFIG", "a setting is wrong", "X"]);
    assert.deepEqual([name, pid], ["leak-agent", process.pid]);
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
  });

  it("loses lines, not its head, when nobody reads stderr", () => {
    const log = new AgentLog("stderr", null, () => {
      throw Object.assign(new Error("broken pipe"), { code: "EPIPE" });
    });
    log.info("hello");
    log.info("hello");
    assert.equal(log.droppedLines, 2);
  });

  it("goes to agent.log in the folder, which is moved aside when it is large", () => {
    const folder = new AgentFolder(join(base, "file"), 64 * 1024 * 1024, () => {});
    const log = new AgentLog("file", folder, () => assert.fail("stderr was used"));
    for (let index = 0; index < 15; index++) log.info("x".repeat(100_000));
    const sizes = ["agent.log", "agent.1.log"].map((name) => fs.statSync(join(folder.path, name)).size);
    assert.ok(sizes[0] < 600_000 && sizes[1] >= 1024 * 1024 && sizes[1] < 1_300_000, `${sizes}`);
  });

  it("says nothing when it is off", () => {
    const log = new AgentLog("off", null, () => assert.fail("stderr was used"));
    log.warn("ERR_LEAK_AGENT_CONFIG", "a setting is wrong");
    log.warnOnce("key", "ERR_LEAK_AGENT_CONFIG", "a setting is wrong");
  });

  it("tells what repeats only once", () => {
    const lines = [];
    const log = new AgentLog("stderr", null, (line) => lines.push(line));
    for (const key of ["a", "a", "b"]) log.warnOnce(key, "ERR_LEAK_AGENT_INTERNAL", key);
    assert.equal(lines.length, 2);
  });
});
