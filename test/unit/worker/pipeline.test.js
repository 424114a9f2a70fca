"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const { join } = require("node:path");
const { after, describe, it } = require("node:test");
const { gunzipSync } = require("node:zlib");
const { Profile } = require("pprof-format");
const { readConfiguration } = require("../../../dist/config.js");
const { Detector } = require("../../../dist/detector/detector.js");
const { AgentFolder } = require("../../../dist/export/folder.js");
const { lifeStem } = require("../../../dist/export/life-file.js");
const { historyStem, isHistoryHeader, readLife } = require("../../../dist/export/history-file.js");
const { AgentLog } = require("../../../dist/worker/log.js");
const { Pipeline } = require("../../../dist/worker/pipeline.js");
const { encodeCapture, hello, report } = require("./probe-messages.js");
const { simulatedProbe } = require("./simulated-probe.js");

const base = fs.mkdtempSync(join(os.tmpdir(), "pipeline-test-"));
after(() => fs.rmSync(base, { recursive: true, force: true }));
const START_MILLIS = 1_764_064_800_000;
const PROCESS_ID = 4_242;

/** An agent's worker without its thread: what it wrote, logged and asked for. */
function agent({
  folder = fs.mkdtempSync(join(base, "run-")),
  restartCount = 0,
  hasFolder = true,
  env = {},
  processId = PROCESS_ID,
} = {}) {
  const { settings } = readConfiguration({
    LEAK_AGENT_HORIZON: "30s",
    LEAK_AGENT_DIR: folder,
    OTEL_SERVICE_NAME: "shop",
    ...env,
  });
  const lines = [];
  const asked = [];
  const log = new AgentLog("stderr", null, (line) => lines.push(JSON.parse(line)));
  const start = {
    settings,
    problems: [],
    restartCount,
    processStartMillis: START_MILLIS,
    mainScript: join(folder, "server.js"),
    workingDirectory: folder,
  };
  const files = hasFolder ? new AgentFolder(folder, settings.directoryLimitBytes, () => {}) : null;
  const options = { start, folder: files, log, ask: (request) => asked.push(request), processId };
  const pipeline = new Pipeline({ ...options, now: () => START_MILLIS });
  const findings = () =>
    fs.existsSync(join(folder, "findings.jsonl"))
      ? fs
          .readFileSync(join(folder, "findings.jsonl"), "utf8")
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line))
      : [];
  return { folder, pipeline, lines, asked, findings };
}

const historyFile = (folder) => join(folder, `${historyStem(START_MILLIS, PROCESS_ID)}.jsonl`);

describe("the pipeline on a leaking service", () => {
  const run = agent();
  const probe = simulatedProbe({ root: run.folder });
  run.pipeline.handle(probe.hello());
  for (let second = 0; second < 120; second++) run.pipeline.handle(probe.next());

  it("finds route, file and function, and writes each change of the verdict once", () => {
    const findings = run.findings();
    const leak = findings.find((finding) => finding.verdict === "leak");
    assert.ok(leak, `verdicts: ${findings.map((finding) => finding.verdict)}`);
    assert.equal(leak.route.name, "GET /leak/:id");
    assert.equal(leak.site.function, "remember");
    assert.equal(leak.site.file, "lib/metrics.js");
    assert.equal(leak.site.package, "app");
    assert.equal(leak.service.name, "shop");
    assert.equal(leak.agent.attribution, "exact");
    const keys = findings.map((finding) => `${finding.id}/${finding.sequence}`);
    assert.equal(new Set(keys).size, keys.length);
    assert.ok(findings.every((finding) => finding.route.name === "GET /leak/:id"));
  });

  it("logs one start-up line that says what works, and one line per change", () => {
    const [first, ...rest] = run.lines;
    assert.match(first.msg, /engine native, route labels exact \(interpose\), horizon 30 s, sampling interval 16 KiB/);
    assert.equal(first.directory, run.folder);
    assert.equal(rest.length, run.findings().length);
    assert.ok(rest.every((line, index) => line.verdict === run.findings()[index].verdict));
  });

  it("writes profiles every ten seconds at this horizon, with the leaking route's site on top", () => {
    const names = fs
      .readdirSync(run.folder)
      .filter((name) => name.endsWith(".pb.gz"))
      .sort();
    assert.ok(names.length >= 12 && names.length <= 14, `${names.length} profiles in 120 s`);
    const profile = Profile.decode(gunzipSync(fs.readFileSync(join(run.folder, names.at(-1)))));
    const text = (index) => profile.stringTable.strings[Number(index)];
    const heaviest = profile.sample.reduce((a, b) => (Number(a.value[1]) >= Number(b.value[1]) ? a : b));
    const leaf = profile.location.find((entry) => entry.id === heaviest.locationId[0]);
    const owner = profile.function.find((entry) => entry.id === leaf.line[0].functionId);
    assert.equal(text(owner.name), "remember");
    assert.equal(text(owner.filename), join(run.folder, "lib/metrics.js"));
    assert.equal(text(heaviest.label[0].str), "GET /leak/:id");
  });

  it("keeps a history that gives the same verdicts when replayed", async () => {
    let detector = null;
    const replayed = [];
    for await (const entry of readLife(historyFile(run.folder))) {
      if (isHistoryHeader(entry)) detector = new Detector(entry);
      else replayed.push(...detector.observe(entry));
    }
    const brief = ({ sequence, verdict, previousVerdict, evidence }) => ({
      sequence,
      verdict,
      previousVerdict,
      evidence,
    });
    assert.deepEqual(JSON.parse(JSON.stringify(replayed.map(brief))), run.findings().map(brief));
  });
});

describe("the pipeline of a bundle", () => {
  it("names the service's own function, by the source map", () => {
    const folder = fs.mkdtempSync(join(base, "bundle-"));
    const mappings = `${";".repeat(11)}AAAA`;
    const map = { version: 3, sources: ["../node_modules/framework/index.js"], names: [], mappings };
    fs.writeFileSync(join(folder, "server.js"), "//# sourceMappingURL=server.js.map\n");
    const siteOf = (hasMap) => {
      if (hasMap) fs.writeFileSync(join(folder, "server.js.map"), JSON.stringify(map));
      const run = agent();
      const probe = simulatedProbe({ root: folder, parses: true });
      run.pipeline.handle(probe.hello());
      for (let second = 0; second < 120; second++) run.pipeline.handle(probe.next());
      return run.findings().find(({ verdict }) => verdict === "leak")?.site.function;
    };
    assert.equal(siteOf(false), "leakHandler");
    assert.equal(siteOf(true), "remember");
  });
});

describe("two processes that share a folder", () => {
  it("have one word on a finding: one that still watches does not take back the other's leak", () => {
    const folder = fs.mkdtempSync(join(base, "shared-"));
    const [first, second] = [4_242, 4_243].map((processId) => {
      for (const extension of ["log", "end"])
        fs.writeFileSync(join(folder, `${lifeStem(START_MILLIS, processId)}.${extension}`), "");
      const run = agent({ folder, processId });
      const probe = simulatedProbe({ root: folder });
      run.pipeline.handle(probe.hello());
      return { ...run, play: (seconds) => Array.from({ length: seconds }, () => run.pipeline.handle(probe.next())) };
    });
    const told = () => first.findings().map(({ service, verdict }) => [service.processId, verdict]);
    first.play(120);
    assert.deepEqual(told().at(-1), [4_242, "leak"]);
    second.play(45);
    assert.deepEqual(
      told().filter(([processId]) => processId === 4_243),
      [],
    );
    second.play(75);
    assert.deepEqual(
      told().filter(([processId]) => processId === 4_243),
      [[4_243, "leak"]],
    );
  });
});

describe("the pipeline on a healthy service", () => {
  it("finds nothing", () => {
    const run = agent();
    const probe = simulatedProbe({ root: run.folder, leaks: false });
    run.pipeline.handle(probe.hello());
    for (let second = 0; second < 120; second++) run.pipeline.handle(probe.next());
    assert.deepEqual(run.findings(), []);
    assert.equal(run.lines.length, 1);
  });
});

describe("a restarted worker", () => {
  it("goes on where the history ends: no finding twice, and the same verdict in the end", async () => {
    const whole = agent();
    const cut = agent();
    const probes = [simulatedProbe({ root: whole.folder }), simulatedProbe({ root: cut.folder })];
    whole.pipeline.handle(probes[0].hello());
    for (let second = 0; second < 120; second++) whole.pipeline.handle(probes[0].next());

    cut.pipeline.handle(probes[1].hello());
    for (let second = 0; second < 60; second++) cut.pipeline.handle(probes[1].next());
    const before = cut.findings();
    const second = agent({ folder: cut.folder, restartCount: 1 });
    await second.pipeline.resume();
    assert.deepEqual(cut.findings(), before, "replaying reports nothing");
    assert.match(second.lines[0].msg, /goes on with 60 observations/);
    const first = probes[1].next();
    second.pipeline.handle(first);
    assert.deepEqual(second.asked, [{ type: "resend-names", thread: 0 }]);
    second.pipeline.handle(probes[1].hello());
    const told = probes[1].again(probes[1].next());
    second.pipeline.handle({ ...told, capture: addNames(told.capture, probes[1].nodes) });
    for (let rest = 62; rest < 120; rest++) second.pipeline.handle(probes[1].next());

    const keys = cut.findings().map((finding) => `${finding.id}/${finding.sequence}`);
    assert.equal(new Set(keys).size, keys.length);
    const last = (findings) => findings.at(-1);
    assert.equal(last(cut.findings()).verdict, last(whole.findings()).verdict);
    assert.equal(last(cut.findings()).route.name, "GET /leak/:id");
    assert.equal(last(cut.findings()).site.file, "lib/metrics.js");
  });

  it("without a folder starts its history anew and says so", async () => {
    const run = agent({ restartCount: 1, hasFolder: false });
    await run.pipeline.resume();
    assert.match(run.lines[0].msg, /without a folder its history starts anew/);
  });

  it("with a broken history goes on and says so", async () => {
    const run = agent({ restartCount: 1 });
    fs.writeFileSync(historyFile(run.folder), "nonsense\nnonsense\n");
    await run.pipeline.resume();
    assert.equal(run.lines[0].code, "ERR_LEAK_AGENT_HISTORY");
    const probe = simulatedProbe({ root: run.folder });
    run.pipeline.handle(probe.hello());
    for (let second = 0; second < 120; second++) run.pipeline.handle(probe.next());
    assert.ok(run.findings().some((finding) => finding.verdict === "leak"));
  });
});

/** The same capture with every node repeated, as after `resend-names`. */
function addNames(capture, nodes) {
  const { decodeCapture } = require("../../../dist/model/capture.js");
  const { ordinals, sizesBytes, nodeIds } = decodeCapture(capture);
  const samples = Array.from(ordinals, (ordinal, index) => ({
    ordinal,
    size: sizesBytes[index],
    node: nodeIds[index],
  }));
  return encodeCapture({ nodes, samples, treeNodeCount: nodes.length });
}

describe("bad input", () => {
  it("is counted and told once: an unreadable capture", () => {
    const run = agent();
    run.pipeline.handle(hello());
    for (let index = 0; index < 3; index++) run.pipeline.handle({ ...report(), capture: new ArrayBuffer(10) });
    assert.equal(run.pipeline.dropped.captures, 3);
    assert.equal(run.lines.filter((line) => line.code === "ERR_LEAK_AGENT_CAPTURE").length, 1);
  });

  it("from more threads than are followed is counted", () => {
    const run = agent();
    for (let thread = 0; thread < 70; thread++) run.pipeline.handle(report({ thread }));
    assert.equal(run.pipeline.dropped.threads, 6);
  });

  it("that had to be dropped is told once, also when it goes on", () => {
    const run = agent();
    run.pipeline.handle(hello());
    const counts = { ...report().counts, hookErrors: 2, droppedRecords: 5 };
    for (let index = 0; index < 3; index++) run.pipeline.handle({ ...report(), counts });
    const told = run.lines.slice(1).map((line) => [line.code, line.msg.slice(0, 24)]);
    assert.deepEqual(told, [
      ["ERR_LEAK_AGENT_LABELS", "5 owner rows were lost: "],
      ["ERR_LEAK_AGENT_INTERNAL", "2 errors in the agent's "],
    ]);
  });

  it("of an unknown type is counted", () => {
    const run = agent();
    run.pipeline.handle({ type: "?" });
    assert.equal(run.pipeline.dropped.unknownMessages, 1);
  });
});

describe("threads", () => {
  it("share route numbers by name, and leave without their samples being freed", async () => {
    const run = agent();
    const probes = [simulatedProbe({ root: run.folder, thread: 0 }), simulatedProbe({ root: run.folder, thread: 7 })];
    for (const probe of probes) run.pipeline.handle(probe.hello());
    for (let second = 0; second < 20; second++) for (const probe of probes) run.pipeline.handle(probe.next());
    run.pipeline.handle({ type: "goodbye", thread: 7 });
    const entries = [];
    for await (const entry of readLife(historyFile(run.folder))) entries.push(entry);
    const routes = entries.flatMap((entry) => entry.newRoutes ?? []);
    assert.deepEqual(
      routes.map((entry) => entry.name),
      ["(other)", "GET /leak/:id", "GET /clean"],
    );
    const last = entries.at(-1);
    assert.deepEqual([last.thread, last.restarted, last.freed], [7, true, undefined]);
    assert.ok(entries.some((entry) => entry.thread === 7 && entry.matured?.length > 0));
  });

  it("say once what changed in their labels", () => {
    const run = agent();
    run.pipeline.handle(hello());
    run.pipeline.handle(hello({ labels: "none", labelsReason: "the self-test failed" }));
    run.pipeline.handle(hello({ labels: "none", labelsReason: "the self-test failed" }));
    const told = run.lines.filter((line) => line.code === "ERR_LEAK_AGENT_LABELS");
    assert.deepEqual(
      told.map((line) => line.msg),
      ["thread 0: route labels are now none (the self-test failed)"],
    );
  });

  it("whose counter is not to be trusted are told of once", () => {
    const run = agent();
    run.pipeline.handle(hello());
    const samples = [{ ordinal: 99, size: 10, node: 1 }];
    for (let index = 0; index < 2; index++)
      run.pipeline.handle(report({ lastOrdinal: 5, capture: { nodes: [], samples } }));
    assert.equal(run.lines.filter((line) => line.code === "ERR_LEAK_AGENT_LABELS").length, 1);
  });
});

describe("notices of a probe", () => {
  it("become one line with their code", () => {
    const run = agent();
    const notice = {
      type: "notice",
      thread: 3,
      level: "warn",
      code: "ERR_LEAK_AGENT_FOREIGN_SAMPLER",
      message: "busy",
    };
    run.pipeline.handle(notice);
    const { level, code, msg, thread } = run.lines[0];
    assert.deepEqual({ level, code, msg, thread }, { level: "warn", code: notice.code, msg: "busy", thread: 3 });
  });
});
