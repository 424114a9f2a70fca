"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const { join } = require("node:path");
const { after, describe, it } = require("node:test");
const { AgentFolder } = require("../../../dist/export/folder.js");
const {
  HistoryWriter,
  historyStem,
  isHistoryHeader,
  lifeSegments,
  readHistory,
  readLife,
} = require("../../../dist/export/history-file.js");
const { Dictionary } = require("../../../dist/worker/dictionary.js");

const MIB = 1024 * 1024;
const base = fs.mkdtempSync(join(os.tmpdir(), "history-test-"));
after(() => fs.rmSync(base, { recursive: true, force: true }));

const HEADER = {
  schema: "leak-agent.history/1",
  startTimeMillis: Date.UTC(2026, 10, 25),
  service: "shop",
  processId: 4_242,
  nodeVersion: "20.20.2",
  agentVersion: "0.1.0",
  horizonMillis: 30_000,
  windowMillis: 1_000,
  applicationRoot: "/srv",
};
const LEVEL = {
  postGcHeapBytes: 1,
  heapLimitBytes: 2,
  externalBytes: 3,
  rssBytes: 4,
  cgroupBytes: null,
  cgroupLimitBytes: null,
};

/** A history of a process that names a new route, frame and stack with each observation. */
function life(limitBytes, names = Number.POSITIVE_INFINITY) {
  const folder = new AgentFolder(fs.mkdtempSync(join(base, "life-")), limitBytes, () => {});
  const dictionary = new Dictionary();
  const writer = () => new HistoryWriter(folder, HEADER, () => dictionary.snapshot());
  let time = 0;
  const observe = () => {
    time++;
    const name = time % names;
    dictionary.routeIndex({ name: `GET /${name}`, method: "GET", template: `/${name}` });
    const frame = dictionary.frameIndex({ function: `f${name}`, file: "/srv/a.js", line: name, column: 1 });
    dictionary.stackIndex([0, frame]);
    return {
      timeMillis: time,
      thread: 0,
      epoch: 1,
      intervalBytes: 1,
      majorGcCount: 0,
      requestedGcCount: 0,
      ...dictionary.takeNews(),
      level: LEVEL,
      liveSampleCount: 0,
      liveBytes: 0,
      labelledRatio: null,
    };
  };
  const file = join(folder.path, `${historyStem(HEADER.startTimeMillis, HEADER.processId)}.jsonl`);
  return { folder, dictionary, writer, observe, file };
}

async function collect(entries) {
  const all = [];
  for await (const entry of entries) all.push(entry);
  return all;
}

/** What a reader knows after a list of entries. */
function tables(entries) {
  const seen = { routes: [], frames: [], stacks: [] };
  for (const entry of entries) {
    seen.routes.push(...(entry.newRoutes ?? []));
    seen.frames.push(...(entry.newFrames ?? []));
    seen.stacks.push(...(entry.newStacks ?? []));
  }
  return seen;
}

describe("a history file", () => {
  it("gives back its header and every observation", async () => {
    const { writer, observe, file } = life(64 * MIB);
    const history = writer();
    const observations = Array.from({ length: 5 }, observe);
    for (const observation of observations.slice(0, 1)) history.append(observation);
    const entries = await collect(readHistory(file));
    assert.ok(isHistoryHeader(entries[0]));
    assert.deepEqual(entries[0], HEADER);
    for (const observation of observations.slice(1)) history.append(observation);
    const read = await collect(readHistory(file));
    assert.deepEqual(read.slice(2), observations.slice(1));
  });

  it("leaves out a last line that was cut off", async () => {
    const { writer, observe, file } = life(64 * MIB);
    const history = writer();
    for (let i = 0; i < 3; i++) history.append(observe());
    const whole = await collect(readHistory(file));
    fs.truncateSync(file, fs.statSync(file).size - 20);
    assert.deepEqual(await collect(readHistory(file)), whole.slice(0, -1));
  });

  for (const [name, text] of [
    ["is empty", ""],
    ["has no header", '{"timeMillis":1,"level":{}}\n'],
    ["is something else", "hello\nworld\n"],
    ["has a header of another version", '{"schema":"leak-agent.history/9"}\n'],
    ["is broken in the middle", `${JSON.stringify(HEADER)}\n{"timeMi\n{"timeMillis":1,"level":{}}\n`],
    ["has two headers", `${JSON.stringify(HEADER)}\n${JSON.stringify(HEADER)}\n`],
  ]) {
    it(`that ${name} is refused with a code`, async () => {
      const file = join(base, `bad-${Math.random()}.jsonl`);
      fs.writeFileSync(file, text);
      await assert.rejects(collect(readHistory(file)), { code: "ERR_LEAK_AGENT_HISTORY" });
    });
  }

  it("that is not there is refused with a code", async () => {
    await assert.rejects(collect(readHistory(join(base, "none.jsonl"))), { code: "ERR_LEAK_AGENT_HISTORY" });
  });
});

describe("the segments of a life", () => {
  it("stay under a quarter of the folder, and each alone can be read", async () => {
    const { writer, observe, dictionary, file } = life(MIB, 100);
    const history = writer();
    for (let i = 0; i < 1_500; i++) history.append(observe());
    const segments = lifeSegments(file);
    assert.ok(segments.length >= 2 && segments.length <= 4, `${segments.length} segments`);
    const bytes = segments.reduce((sum, segment) => sum + fs.statSync(segment).size, 0);
    assert.ok(bytes <= MIB * 0.25, `${bytes} bytes`);
    assert.ok(!segments[0].endsWith("4242.jsonl"), "the oldest segment is gone");
    const last = await collect(readHistory(segments.at(-1)));
    assert.deepEqual(tables(last), tables([dictionary.snapshot()]));
  });

  it("read as one life keep every index true", async () => {
    const { writer, observe, dictionary, file } = life(MIB, 100);
    const history = writer();
    for (let i = 0; i < 1_500; i++) history.append(observe());
    const entries = await collect(readLife(file));
    assert.equal(entries.filter(isHistoryHeader).length, 1);
    assert.deepEqual(tables(entries.slice(1)), tables([dictionary.snapshot()]));
    const times = entries.slice(1).map((entry) => entry.timeMillis);
    assert.equal(times.at(-1), 1_500);
    assert.deepEqual(
      times,
      Array.from({ length: times.length }, (_, index) => 1_500 - times.length + 1 + index),
    );
  });

  it("do not become one per observation when the dictionary alone is larger than a segment", () => {
    const { writer, observe, file } = life(MIB);
    const history = writer();
    for (let i = 0; i < 1_500; i++) history.append(observe());
    const segments = lifeSegments(file);
    assert.ok(segments.length <= 3, `${segments.length} segments`);
    assert.match(segments.at(-1), /\.[1-9]\.jsonl$/, "nine segments or fewer were begun");
  });

  it("go on in a new one when the file was removed or could not be written", async () => {
    const { folder, writer, observe, dictionary, file } = life(64 * MIB);
    const history = writer();
    history.append(observe());
    fs.rmSync(file);
    history.append(observe());
    const append = folder.append;
    folder.append = () => "unavailable";
    history.append(observe());
    folder.append = append;
    history.append(observe());
    const entries = await collect(readLife(file));
    assert.deepEqual(
      entries.slice(1).map((entry) => entry.timeMillis),
      [2, 4],
    );
    assert.deepEqual(tables(entries.slice(1)), tables([dictionary.snapshot()]));
    assert.equal(history.droppedObservations, 1);
  });

  it("are continued by the next worker of the same life, also after a cut line", async () => {
    const { writer, observe, file } = life(64 * MIB);
    const first = writer();
    for (let i = 0; i < 3; i++) first.append(observe());
    fs.appendFileSync(file, '{"timeMillis":');
    const second = writer();
    second.resume();
    second.append(observe());
    const entries = await collect(readHistory(file));
    assert.deepEqual(
      entries.slice(1).map((entry) => entry.timeMillis),
      [1, 2, 3, 4],
    );
  });
});
