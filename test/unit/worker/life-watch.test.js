"use strict";
/** Whole lives of a simulated service, one after the other in one folder, through the agent's own pipeline. */
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const { join } = require("node:path");
const { describe, it } = require("node:test");
const { readConfiguration } = require("../../../dist/config.js");
const { AgentFolder } = require("../../../dist/export/folder.js");
const { readLives } = require("../../../dist/export/life-file.js");
const { LifeJournal } = require("../../../dist/worker/life-journal.js");
const { AgentLog } = require("../../../dist/worker/log.js");
const { Pipeline } = require("../../../dist/worker/pipeline.js");
const { assertFinding } = require("../../harness/finding-schema.js");
const { simulatedProbe } = require("./simulated-probe.js");

const START_MILLIS = 1_764_064_800_000;
const HOUR = 3_600_000;
const PROCESS_ID = 4_242;
const STATIONS = Array.from("abcdefghijklmnopqrstuvwxyz");

function service(context) {
  const folder = fs.mkdtempSync(join(os.tmpdir(), "life-watch-test-"));
  context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  let lives = 0;
  let told = 0;
  /** Runs a life to its end. @returns the findings of this life, and its log. */
  return function live({
    build = "one",
    seconds = 120,
    leaks = true,
    restartCount = 0,
    isContinued = false,
    samplesPerSecond = 4,
    leakingRoutes = undefined,
    name = "shop",
  } = {}) {
    if (!isContinued) lives++;
    const startMillis = START_MILLIS + lives * HOUR;
    const { settings } = readConfiguration({
      LEAK_AGENT_HORIZON: "30s",
      LEAK_AGENT_DIR: folder,
      OTEL_SERVICE_NAME: name,
      LEAK_AGENT_BUILD_ID: build,
    });
    const files = new AgentFolder(folder, settings.directoryLimitBytes, () => {});
    const lines = [];
    const log = new AgentLog("stderr", null, (line) => lines.push(JSON.parse(line)));
    const opening = {
      type: "open",
      schema: "leak-agent.life/1",
      startTimeMillis: startMillis,
      processId: PROCESS_ID,
      service: name,
      serviceVersion: null,
      buildId: build,
      nodeVersion: "24.0.0",
      agentVersion: "0",
      horizonMillis: settings.horizonMillis,
      place: "here",
      bootId: null,
    };
    files.open();
    const journal = new LifeJournal({ folder: files, log, opening, facts: { bootId: null, oomKills: null } });
    journal.begin();
    const start = {
      settings,
      problems: [],
      restartCount,
      processStartMillis: startMillis,
      mainScript: join(folder, "server.js"),
      workingDirectory: folder,
    };
    const options = { start, folder: files, log, ask: () => {}, journal, processId: PROCESS_ID };
    const pipeline = new Pipeline({ ...options, now: () => startMillis });
    const probe = simulatedProbe({ root: folder, leaks, startMillis, samplesPerSecond, leakingRoutes });
    pipeline.handle(probe.hello());
    for (let second = 0; second < seconds; second++) pipeline.handle(probe.next());
    journal.close();
    const all = fs.existsSync(join(folder, "findings.jsonl"))
      ? fs
          .readFileSync(join(folder, "findings.jsonl"), "utf8")
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line))
      : [];
    const findings = all.slice(told);
    told = all.length;
    for (const finding of findings) assertFinding(finding);
    return { folder, findings, lines, verdicts: findings.map(({ verdict, fix }) => fix?.verdict ?? verdict) };
  };
}

describe("lives of one service", () => {
  it("the same build: the leak stands, that its evidence builds up again is no news, its id is the same", (context) => {
    const live = service(context);
    const first = live();
    assert.deepEqual(first.verdicts, ["watch", "leak"]);
    const second = live();
    assert.deepEqual(second.verdicts, ["leak"]);
    assert.equal(second.findings[0].id, first.findings[1].id);
    assert.match(second.lines[0].msg, /^the life before: process 4242 \(build one, ran for .*\) ended without a word/);
  });

  it("a build without the leak: told once as fixed, with the build that had it first", (context) => {
    const live = service(context);
    const [, leak] = live().findings;
    const after = live({ build: "two", leaks: false, seconds: 200 });
    assert.deepEqual(after.verdicts, ["fixed"]);
    const [told] = after.findings;
    assert.deepEqual([told.id, told.verdict, told.previousVerdict], [leak.id, "retracted", "leak"]);
    assert.deepEqual([told.service.buildId, told.service.firstBuildId], ["two", "one"]);
    assert.ok(told.fix.beforeBytes > 0 && told.fix.afterBytes === 0);
    assert.deepEqual(live({ build: "two", leaks: false, seconds: 200 }).verdicts, []);
  });

  it("a build with the leak: not fixed, and it stands", (context) => {
    const live = service(context);
    live();
    const { findings, verdicts } = live({ build: "two", seconds: 300 });
    assert.ok(verdicts.includes("not fixed"), verdicts.join());
    assert.ok(findings.every(({ verdict }) => verdict === "leak"));
  });

  for (const [kind, leakingRoutes, name] of [
    ["one template", STATIONS.map((station) => `GET /watch/${station}`), "GET /watch/:id"],
    ["none", STATIONS.map((station) => `GET /${station}/${station}`), "(several routes)"],
  ]) {
    it(`a leak of many routes with ${kind} in common: its fix is told, and so is that there was none`, (context) => {
      const live = service(context);
      const [leak] = live({ leakingRoutes }).findings.filter(({ verdict }) => verdict === "leak");
      assert.equal(leak?.route.name, name);
      const still = live({ build: "two", leakingRoutes, seconds: 300 });
      assert.deepEqual(
        still.findings.filter(({ fix }) => fix !== null).map(({ id, verdict, fix }) => [id, verdict, fix.verdict]),
        [[leak.id, "leak", "not fixed"]],
      );
      // Of several routes all count; the finding leaves out the one that holds nothing, which has half of the requests.
      const [{ fix }] = still.findings.filter(({ fix }) => fix !== null);
      const share = name === "(several routes)" ? 1 / 2 : 1;
      assert.ok(Math.abs(fix.beforeBytes / (share * leak.growth.bytesPerRequest) - 1) < 0.2, `${fix.beforeBytes}`);
      const after = live({ build: "three", leakingRoutes, leaks: false, seconds: 300 });
      assert.deepEqual(after.verdicts, ["fixed"]);
      assert.deepEqual([after.findings[0].id, after.findings[0].fix.afterBytes], [leak.id, 0]);
    });
  }

  it("a leak of many routes that are one parameter of a route in the next life is fixed under its name", (context) => {
    const live = service(context);
    const leakingRoutes = STATIONS.map((station) => `GET /watch/${station}`);
    assert.ok(live({ leakingRoutes }).verdicts.includes("leak"));
    const after = live({ build: "two", leakingRoutes: ["GET /watch/:id"], leaks: false, seconds: 300 });
    assert.deepEqual(after.verdicts, ["fixed"]);
  });

  it("lives shorter than the horizon: nothing alone, a leak together, nothing in the build that fixed it", (context) => {
    const live = service(context);
    const short = { seconds: 28 };
    assert.ok(!live(short).verdicts.includes("leak"));
    assert.ok(!live(short).verdicts.includes("leak"));
    const told = [live(short), live(short), live(short)].flatMap(({ findings }) => findings);
    const leak = told.find(({ verdict }) => verdict === "leak");
    assert.ok(leak, told.map(({ verdict }) => verdict).join());
    assert.equal(leak.route.name, "GET /leak/:id");
    assert.ok(leak.evidence.lives >= 3);
    // It stands: neither what one life alone supports, nor another site of the route, is news.
    assert.deepEqual(
      told.slice(told.indexOf(leak)).map(({ verdict }) => verdict),
      ["leak"],
    );
    for (let i = 0; i < 3; i++) {
      const { verdicts } = live({ build: "two", leaks: false, ...short });
      assert.ok(!verdicts.includes("leak"), verdicts.join());
    }
  });

  it("the rate of a leak that several lives tell is that of this build's lives together", (context) => {
    const live = service(context);
    // Another build, which leaks much faster, and a life of this one that leaks at half the pace of the next.
    live({ build: "zero", seconds: 28, samplesPerSecond: 16 });
    live({ build: "one", seconds: 28 });
    const { folder, findings } = live({ build: "one", seconds: 28, samplesPerSecond: 8 });
    const leak = findings.find(({ verdict, evidence }) => verdict === "leak" && evidence.lives >= 3);
    assert.ok(leak, findings.map(({ verdict }) => verdict).join());
    const [other, before, current] = readLives(folder).map(({ series }) => {
      const { bytes, exposure } = series.find((one) => one.site?.function === leak.site.function);
      return bytes / exposure;
    });
    assert.ok(other > 3 * before && current > 1.8 * before, `${other}, ${before}, ${current}`);
    // The current life had seen less by then than the one before.
    const { bytesPerRequest } = leak.growth;
    assert.ok(bytesPerRequest > before && bytesPerRequest < (before + current) / 2, `${bytesPerRequest}`);
  });

  it("another service in the same folder is not the life before, and its builds are not this one's", (context) => {
    const live = service(context);
    live({ build: "one" });
    const other = live({ name: "billing", build: "two", leaks: false, seconds: 300 });
    assert.deepEqual(other.verdicts, []);
    assert.ok(!other.lines.some(({ msg }) => msg.startsWith("the life before")), JSON.stringify(other.lines));
    const { lines, findings } = live({ build: "two", seconds: 300 });
    assert.match(lines[0].msg, /^the life before: process 4242 \(build one, .*\) ended without a word/);
    assert.doesNotMatch(lines[0].msg, /more ended/);
    const { fix } = findings.find(({ fix }) => fix?.verdict === "not fixed");
    assert.ok(Math.abs(fix.afterBytes / fix.beforeBytes - 1) < 0.2, `${fix.beforeBytes}, then ${fix.afterBytes}`);
  });

  it("short lives of a healthy service never add up", (context) => {
    const live = service(context);
    for (let i = 0; i < 8; i++) assert.deepEqual(live({ leaks: false, seconds: 28 }).verdicts, []);
  });

  it("a record that cannot be understood costs the earlier lives, not this one", (context) => {
    const live = service(context);
    const { folder } = live();
    const [life] = readLives(folder);
    const { framed } = require("../../../dist/model/framed-records.js");
    fs.appendFileSync(
      join(folder, `${life.stem}.log`),
      framed({ type: "series", series: [{ site: 5, route: "GET /x" }] }),
    );
    const { lines, verdicts } = live();
    assert.ok(verdicts.includes("leak"));
    assert.ok(!lines.some(({ code }) => code === "ERR_LEAK_AGENT_INTERNAL"), JSON.stringify(lines));
  });
});
