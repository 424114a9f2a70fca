/** Everything that writes, on a disk that is full or read-only: told once with the fix, counted, and well again later. */
"use strict";
const assert = require("node:assert/strict");
const { randomBytes } = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const { join } = require("node:path");
const { after, describe, it } = require("node:test");
const { AgentFolder } = require("../../../dist/export/folder");
const { HistoryWriter, readHistory } = require("../../../dist/export/history-file");
const { Spool } = require("../../../dist/export/spool");
const { AgentLog } = require("../../../dist/worker/log");
const { smallDisk } = require("../../harness/small-disk");

const MEBIBYTE = 1024 * 1024;
const START = Date.UTC(2026, 10, 25, 10);
const base = fs.mkdtempSync(join(os.tmpdir(), "full-disk-test-"));
after(() => fs.rmSync(base, { recursive: true, force: true, maxRetries: 3 }));

/** All writers of the agent's worker on one disk, with a clock. */
function agentOn(disk, processId = 7) {
  const agent = { now: START, told: [], lines: 0 };
  const now = () => agent.now;
  const path = join(disk.path, "agent");
  const tell = (problem, fix) => agent.told.push(problem === null ? null : `${problem}: ${fix}`);
  agent.folder = new AgentFolder(path, 64 * MEBIBYTE, tell, now);
  agent.log = new AgentLog("file", agent.folder);
  const header = { schema: "leak-agent.history/1", startTimeMillis: START, processId: 7 };
  const dictionary = { newRoutes: [], newFrames: [], newStacks: [], routeAliases: [] };
  agent.history = new HistoryWriter(agent.folder, header, () => dictionary);
  agent.spool = new Spool({
    signal: "logs",
    folder: agent.folder,
    limitBytes: 64 * MEBIBYTE,
    maxAgeMillis: 3_600_000,
    identity: { processId, processStartMillis: START, place: "here", isAlive: () => true },
    now,
  });
  agent.writeAll = () => {
    agent.now += 1_000;
    agent.lines++;
    agent.log.info(`line ${agent.lines}`);
    agent.history.append({ timeMillis: agent.now, level: {}, padding: "x".repeat(3_000) });
    agent.findingOutcome = agent.folder.append("findings.jsonl", `{"padding":"${"x".repeat(3_000)}"}\n`);
    agent.profileOutcome = agent.folder.write(`profile-20261125T10000${agent.lines}Z-7.pb.gz`, Buffer.alloc(9_000));
    agent.spool.put(randomBytes(9_000));
  };
  agent.pass = (millis) => {
    agent.now += millis;
  };
  return agent;
}

async function observationsIn(folder) {
  const found = [];
  for (const name of fs.readdirSync(folder).filter((file) => file.startsWith("history-"))) {
    for await (const entry of readHistory(join(folder, name))) if (!("schema" in entry)) found.push(entry);
  }
  return found;
}

function drain(spool) {
  let count = 0;
  for (let taken = spool.take(); taken !== null; taken = spool.take()) {
    spool.remove(taken);
    count++;
  }
  return count;
}

describe("a full disk", () => {
  it("costs what cannot be written, counted, one line, and nothing else", async (context) => {
    const disk = smallDisk(context);
    const agent = agentOn(disk);
    agent.writeAll();
    assert.deepEqual([agent.told, agent.findingOutcome, agent.profileOutcome], [[], "written", "written"]);
    disk.fill();
    for (let round = 0; round < 5; round++) {
      agent.writeAll();
      agent.pass(40_000);
    }
    assert.equal(agent.told.length, 1, agent.told.join("\n"));
    assert.match(
      agent.told[0],
      /agent cannot be written \(the disk is full\): free some space there, .*LEAK_AGENT_DIR/,
    );
    assert.ok(agent.history.droppedObservations >= 4);
    assert.ok(agent.folder.droppedWrites >= 10);
    assert.deepEqual([agent.findingOutcome, agent.profileOutcome], ["unavailable", "unavailable"]);
    assert.equal(agent.spool.waitingCount, 6, "what waits for the backend is in memory");

    disk.empty();
    agent.pass(40_000);
    agent.writeAll();
    assert.deepEqual(agent.told.slice(1), [null]);
    assert.deepEqual([agent.findingOutcome, agent.profileOutcome], ["written", "written"]);
    const observations = await observationsIn(agent.folder.path);
    assert.equal(observations.length + agent.history.droppedObservations, 7, "every line is whole or counted");
    const logged = fs
      .readFileSync(join(agent.folder.path, "agent.log"), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(logged.length + agent.log.droppedLines, 7);
    const { put, droppedDamaged } = agent.spool.counts;
    assert.deepEqual([put, drain(agent.spool), agent.spool.droppedCount, droppedDamaged], [7, 7, 0, 0]);
    const leftovers = fs
      .readdirSync(agent.folder.path, { recursive: true })
      .filter((name) => /\.(tmp|sending)$/.test(name));
    assert.deepEqual(leftovers, [], "nothing half-written is left");
  });

  it("lets no more than the memory's cap wait, the oldest dropped and counted", (context) => {
    const disk = smallDisk(context);
    disk.fill();
    const { spool } = agentOn(disk);
    for (let i = 0; i < 6; i++) spool.put(randomBytes(MEBIBYTE));
    assert.deepEqual([spool.counts.droppedForSpace, drain(spool)], [2, 4]);
  });

  it("is emptied of what an earlier life left for the backend, unless another process may send it", (context) => {
    const disk = smallDisk(context);
    const [earlier, other] = [agentOn(disk), agentOn(disk, 8)];
    for (let i = 0; i < 3; i++) earlier.spool.put(randomBytes(9_000));
    other.spool.put(randomBytes(10));
    disk.fill();
    const next = agentOn(disk);
    assert.equal(next.folder.append("findings.jsonl", "x".repeat(30_000)), "unavailable");
    next.spool.maintain();
    assert.equal(drain(next.spool), 0);
    fs.unlinkSync(join(disk.path, "agent/spool/logs", `${other.spool.lives.own}.life`));
    next.spool.maintain();
    assert.equal(drain(next.spool), 3);
  });

  it("that is almost full is not told again and again", (context) => {
    const agent = agentOn(smallDisk(context));
    const full = Object.assign(new Error("full"), { code: "ENOSPC" });
    for (let minute = 0; minute < 9; minute++) {
      agent.folder.fail(full, 10);
      agent.folder.worked(9);
      agent.folder.worked(10);
      agent.pass(60_000);
    }
    assert.equal(agent.told.length, 2, "that it fails, and that it works");
    agent.pass(120_000);
    agent.folder.fail(full, 10);
    assert.equal(agent.told.length, 3);
  });
});

describe("a read-only disk", () => {
  it("is told once at the start with the fix, and used when it can be", (context) => {
    const disk = smallDisk(context);
    disk.makeReadOnly();
    const agent = agentOn(disk);
    for (let round = 0; round < 3; round++) {
      agent.writeAll();
      agent.pass(40_000);
    }
    assert.equal(agent.told.length, 1);
    assert.match(agent.told[0], /\(the file system is read-only\): set LEAK_AGENT_DIR to a folder this user can write/);
    assert.equal(agent.history.droppedObservations, 3);
    disk.makeWritable();
    agent.writeAll();
    assert.deepEqual(agent.told.slice(1), [null]);
    assert.deepEqual([agent.findingOutcome, drain(agent.spool)], ["written", 4]);
  });

  it("so is a folder without permission", (context) => {
    const told = [];
    const folder = new AgentFolder(join(base, "forbidden"), MEBIBYTE, (problem, fix) =>
      told.push(`${problem}: ${fix}`),
    );
    // The super-user may do everything: only an error from below shows what the others see.
    context.mock.method(fs, "mkdirSync", () => {
      throw Object.assign(new Error("EACCES: permission denied"), { code: "EACCES" });
    });
    assert.equal(folder.open(), false);
    assert.match(
      told[0],
      /forbidden cannot be written \(no permission\): set LEAK_AGENT_DIR to a folder this user can/,
    );
  });
});
