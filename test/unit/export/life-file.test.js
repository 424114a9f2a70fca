"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const { join } = require("node:path");
const { describe, it } = require("node:test");
const { AgentFolder } = require("../../../dist/export/folder.js");
const { claimEnd, LifeWriter, lifeStem, readLives } = require("../../../dist/export/life-file.js");
const { framed } = require("../../../dist/model/framed-records.js");

const START = Date.UTC(2026, 10, 25, 10);
const MEGABYTE = 1024 * 1024;

function folderOf(context, limitBytes = 64 * MEGABYTE) {
  const path = fs.mkdtempSync(join(os.tmpdir(), "life-test-"));
  context.after(() => fs.rmSync(path, { recursive: true, force: true }));
  return new AgentFolder(path, limitBytes, () => {});
}

function opening(given = {}) {
  return {
    type: "open",
    schema: "leak-agent.life/1",
    startTimeMillis: START,
    processId: 7,
    service: "shop",
    serviceVersion: null,
    buildId: "one",
    nodeVersion: "20.0.0",
    agentVersion: "0",
    horizonMillis: 30_000,
    place: "here",
    bootId: null,
    ...given,
  };
}

function series(route, matured) {
  const site = { package: "app", file: "lib/a.js", function: "keep", functions: ["keep"] };
  return {
    timeMillis: START,
    kind: "request",
    route,
    site,
    samplingIntervalBytes: 1,
    startMillis: START,
    endMillis: START,
    exposure: 1,
    matured,
    freed: 0,
    quarters: [0, 0, 0, 0],
    bytes: 0,
    varianceBytes2: 0,
    matureBytes: 0,
    residenceMillis: null,
  };
}

const logOf = (folder, start = START, pid = 7) => join(folder.path, `${lifeStem(start, pid)}.log`);

describe("a life's file", () => {
  it("gives the newest record of each site and route, and no last word while the process runs", (context) => {
    const folder = folderOf(context);
    const writer = new LifeWriter(folder, opening());
    writer.open();
    writer.append({ type: "series", series: [series("GET /a", 1), series("GET /b", 2)] });
    writer.append({ type: "series", series: [series("GET /a", 5)] });
    const [life] = readLives(folder.path);
    assert.deepEqual(life.series.map(({ route, matured }) => [route, matured]).sort(), [
      ["GET /a", 5],
      ["GET /b", 2],
    ]);
    assert.equal(life.opening.buildId, "one");
    assert.deepEqual([life.lastWord, life.isTold, life.damagedRecords], [null, false, 0]);
  });

  it("cut at every byte, still gives every record before the cut, and goes on after it", (context) => {
    const folder = folderOf(context);
    const writer = new LifeWriter(folder, opening());
    writer.open();
    for (let i = 1; i <= 3; i++) writer.append({ type: "series", series: [series("GET /a", i)] });
    const whole = fs.readFileSync(logOf(folder));
    const first = whole.indexOf("\n") + 1;
    for (let cut = first; cut <= whole.length; cut++) {
      fs.writeFileSync(logOf(folder), whole.subarray(0, cut));
      const complete = whole.subarray(0, cut).toString().split("\n").length - 2;
      const [life] = readLives(folder.path);
      assert.equal(life.series[0]?.matured ?? 0, complete, `cut at ${cut}`);
      const next = new LifeWriter(folder, opening());
      next.open();
      next.append({ type: "series", series: [series("GET /a", 99)] });
      const [continued] = readLives(folder.path);
      assert.equal(continued.series[0].matured, 99, `cut at ${cut}`);
      assert.equal(continued.damagedRecords, 0, `cut at ${cut}`);
    }
  });

  it("cut inside its very first record, is no life to readers and a new one to its writer", (context) => {
    const folder = folderOf(context);
    new LifeWriter(folder, opening()).open();
    const whole = fs.readFileSync(logOf(folder));
    for (let cut = 0; cut < whole.length; cut++) {
      fs.writeFileSync(logOf(folder), whole.subarray(0, cut));
      assert.deepEqual(readLives(folder.path), [], `cut at ${cut}`);
      new LifeWriter(folder, opening()).open();
      assert.equal(readLives(folder.path).length, 1, `cut at ${cut}`);
    }
  });

  it("stays small for ever: it is written anew with only what counts", (context) => {
    const folder = folderOf(context, 8 * MEGABYTE);
    const writer = new LifeWriter(folder, opening());
    writer.open();
    for (let i = 0; i < 2_000; i++)
      writer.append({ type: "series", series: [series("GET /a", i), series("GET /b", i)] });
    assert.ok(fs.statSync(logOf(folder)).size < (8 * MEGABYTE) / 128);
    const [life] = readLives(folder.path);
    assert.deepEqual([life.series.length, life.series[0].matured, life.opening.buildId], [2, 1_999, "one"]);
    assert.equal(writer.droppedRecords, 0);
  });

  it("is written anew when somebody removed it", (context) => {
    const folder = folderOf(context);
    const writer = new LifeWriter(folder, opening());
    writer.open();
    writer.append({ type: "series", series: [series("GET /a", 1)] });
    fs.rmSync(logOf(folder));
    writer.append({ type: "series", series: [series("GET /b", 2)] });
    assert.deepEqual(
      readLives(folder.path)[0].series.map(({ route }) => route),
      ["GET /a", "GET /b"],
    );
  });

  it("only the newest 64 lives are kept", (context) => {
    const folder = folderOf(context);
    for (let i = 0; i < 70; i++) new LifeWriter(folder, opening({ startTimeMillis: START + i * 60_000 })).open();
    const lives = readLives(folder.path);
    assert.equal(lives.length, 64);
    assert.equal(lives.at(-1).opening.startTimeMillis, START + 69 * 60_000);
    assert.equal(fs.readdirSync(folder.path).length, 128);
  });

  it("the end is told by one life only", (context) => {
    const folder = folderOf(context);
    const writer = new LifeWriter(folder, opening());
    writer.open();
    fs.appendFileSync(writer.endFile, framed({ type: "exit", code: 3, timeMillis: START }));
    assert.deepEqual(readLives(folder.path)[0].lastWord, { type: "exit", code: 3, timeMillis: START });
    assert.equal(claimEnd(folder.path, lifeStem(START, 7)), true);
    assert.equal(claimEnd(folder.path, lifeStem(START, 7)), false);
    const [life] = readLives(folder.path);
    assert.deepEqual([life.isTold, life.lastWord.code], [true, 3]);
  });
});
