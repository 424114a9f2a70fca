"use strict";
/** Two processes of one service in one folder: whoever reads the newest word on a finding must not be misled. */
const assert = require("node:assert/strict");
const { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { afterEach, beforeEach, it } = require("node:test");
const { AgentFolder } = require("../../../dist/export/folder.js");
const { lifeStem } = require("../../../dist/export/life-file.js");
const { FINDINGS_FILE, Findings } = require("../../../dist/worker/findings.js");
const { instanceIdOf } = require("../../../dist/worker/resource.js");
const { Siblings } = require("../../../dist/worker/siblings.js");
const { FINDING } = require("../../harness/a-finding.js");

const SILENT_LOG = { info: () => {}, warn: () => {} };
const START = Date.parse("2026-11-25T10:00:00.000Z");

let path;
let nowMillis;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "leak-agent-siblings-"));
  nowMillis = START;
});
afterEach(() => rmSync(path, { recursive: true }));

/** One process with its life files; every word of it comes two seconds after the one before. */
function serviceProcess(processId) {
  const instanceId = instanceIdOf(START, processId);
  const stem = join(path, lifeStem(START, processId));
  writeFileSync(`${stem}.log`, "");
  writeFileSync(`${stem}.end`, "");
  const siblings = new Siblings(path, FINDINGS_FILE, instanceId, () => nowMillis);
  const folder = new AgentFolder(path, 64e6, () => {});
  const findings = new Findings(folder, SILENT_LOG, () => ({}), null, siblings);
  const tick = () => {
    nowMillis += 2_000;
    for (const each of processes) each.sign();
  };
  const own = {
    sign: () => own.isGoingOn && utimesSync(`${stem}.log`, nowMillis / 1_000, nowMillis / 1_000),
    isGoingOn: true,
    stem,
    carries: (finding) => findings.carry(finding),
    says(verdict, changes = {}) {
      tick();
      const time = new Date(nowMillis).toISOString();
      const service = { ...FINDING.service, instanceId, processId };
      return findings.change({ ...FINDING, verdict, previousVerdict: null, fix: null, time, service, ...changes });
    },
    /** @param lagMillis how far the observations that lead to it are behind. */
    reviews(lagMillis = 0) {
      tick();
      return findings.review(nowMillis - lagMillis).map(({ verdict }) => verdict);
    },
  };
  const processes = [...(serviceProcess.all ?? []), own];
  serviceProcess.all = processes;
  return own;
}
beforeEach(() => {
  serviceProcess.all = [];
});

/** Of the finding, by the rule for readers: the line with the greatest time. */
function newestWord() {
  const lines = readFileSync(join(path, FINDINGS_FILE), "utf8").trim().split("\n").map(JSON.parse);
  const newest = Math.max(...lines.map(({ time }) => Date.parse(time)));
  return lines.findLast(({ time }) => Date.parse(time) === newest).verdict;
}

it("a process that still watches says nothing while another one stands by a leak", () => {
  const [first, second] = [serviceProcess(11), serviceProcess(12)];
  first.says("watch");
  assert.equal(second.says("watch").length, 1, "two may watch");
  first.says("leak");
  for (const verdict of ["saturating", "watch", "inconclusive", "retracted"])
    assert.deepEqual(second.says(verdict), []);
  assert.equal(newestWord(), "leak");
  assert.equal(second.says("leak").length, 1, "its own leak is news");
  assert.equal(second.says("retracted").length, 1, "what it told itself it takes back itself");
});

it("a leak that one process takes back is told again by the one that stands by it, once", () => {
  const [first, second] = [serviceProcess(11), serviceProcess(12)];
  first.says("leak");
  second.says("leak");
  assert.deepEqual(first.reviews(), []);
  second.says("retracted");
  assert.equal(newestWord(), "retracted");
  assert.deepEqual(first.reviews(), ["leak"]);
  assert.deepEqual(first.reviews(), []);
  assert.equal(newestWord(), "leak");
  first.says("retracted");
  assert.deepEqual(second.reviews(), []);
  assert.equal(newestWord(), "retracted");
});

it("what was held back is told once the process that alarmed is gone, the newest of it", () => {
  const [first, second] = [serviceProcess(11), serviceProcess(12)];
  first.says("leak");
  second.says("watch");
  second.says("retracted");
  assert.deepEqual(second.reviews(), []);
  first.isGoingOn = false;
  writeFileSync(`${first.stem}.end`, "an exit");
  assert.deepEqual(second.reviews(), ["retracted"]);
  assert.deepEqual(second.reviews(), []);
  assert.equal(newestWord(), "retracted");
});

it("a new worker that carries the leak of a living one does not end it", () => {
  const first = serviceProcess(11);
  const [told] = first.says("leak");
  const forked = serviceProcess(12);
  forked.carries(told);
  assert.deepEqual(forked.says("retracted"), []);
  first.says("retracted");
  assert.deepEqual(forked.reviews(), ["retracted"]);
});

it("a leak told on the evidence of several lives is stood by as well, and an acknowledged one is not taken back", () => {
  const lives = { evidence: { ...FINDING.evidence, lives: 3 } };
  const [first, second] = [serviceProcess(11), serviceProcess(12)];
  first.says("leak", lives);
  second.says("leak");
  second.says("retracted");
  assert.deepEqual(first.reviews(), ["leak"]);
  const line = JSON.stringify({ ...FINDING, verdict: "acknowledged", id: "00000000000a", fix: null });
  appendFileSync(join(path, FINDINGS_FILE), `${line.replace('"x-1"', JSON.stringify(instanceIdOf(START, 11)))}\n`);
  assert.deepEqual(second.says("inconclusive", { id: "00000000000a" }), []);
});

it("a process whose observations lag behind tells its leak again just once, too", () => {
  const [first, second] = [serviceProcess(11), serviceProcess(12)];
  first.says("leak");
  second.says("leak");
  second.says("retracted");
  assert.deepEqual(first.reviews(30_000), ["leak"]);
  assert.deepEqual(first.reviews(30_000), []);
  assert.equal(newestWord(), "leak");
  first.says("retracted", { time: new Date(nowMillis - 30_000).toISOString() });
  assert.equal(newestWord(), "retracted");
});

it("a process is no sibling of its own: a worker that was restarted and knows nothing speaks for itself", () => {
  serviceProcess(11).says("leak");
  assert.equal(serviceProcess(11).says("watch").length, 1);
});

it("a fix that a newer build has found is not taken back by the process of the old one", () => {
  const [old, next] = [serviceProcess(11), serviceProcess(12)];
  old.says("leak");
  assert.equal(next.says("retracted", { fix: { verdict: "fixed" } }).length, 1);
  assert.deepEqual(old.reviews(), []);
  assert.equal(newestWord(), "retracted");
});

it("processes that are gone speak for nobody", () => {
  for (const [processId, end] of [
    [11, (gone) => writeFileSync(`${gone.stem}.end`, "an exit")],
    [21, (gone) => renameSync(`${gone.stem}.end`, `${gone.stem}.over`)],
    [31, () => (nowMillis += 40_000)],
  ]) {
    const [gone, alive] = [serviceProcess(processId), serviceProcess(processId + 1)];
    gone.says("leak");
    assert.deepEqual(alive.says("watch"), []);
    gone.isGoingOn = false;
    end(gone);
    assert.equal(alive.says("watch").length, 1, `${processId}`);
    alive.says("retracted");
  }
});

it("other findings are not concerned, nor is anything without a sibling", () => {
  const [first, second] = [serviceProcess(11), serviceProcess(12)];
  first.says("leak");
  assert.equal(second.says("watch", { id: "000000000000" }).length, 1);
  const alone = new Findings(null, SILENT_LOG, () => ({}));
  assert.equal(alone.change({ ...FINDING, verdict: "watch" }).length, 1);
});

it("the file may be moved aside, torn or full of what is no finding", () => {
  const [first, second] = [serviceProcess(11), serviceProcess(12)];
  writeFileSync(join(path, FINDINGS_FILE), `no json\nnull\n{"id":1}\n{"schema":"${FINDING.schema}"}\n`);
  first.says("leak");
  appendFileSync(join(path, FINDINGS_FILE), '{"id":"7c1e09ab44d2","verdict":"retr');
  assert.deepEqual(second.says("watch"), []);
  renameSync(join(path, FINDINGS_FILE), join(path, "findings.1.jsonl"));
  assert.deepEqual(second.says("watch"), [], "what was read before still holds");
  first.says("urgent");
  first.says("retracted");
  assert.equal(second.says("watch").length, 1);
});
