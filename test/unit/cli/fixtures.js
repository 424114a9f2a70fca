"use strict";
/** Runs the CLI as a program, and makes small profiles, histories and findings for it with the real writers. */
const { spawn } = require("node:child_process");
const { appendFileSync, mkdtempSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join, resolve } = require("node:path");
const { gzipSync } = require("node:zlib");
const {
  Function: PprofFunction,
  Label,
  Line,
  Location,
  Profile,
  Sample,
  StringTable,
  ValueType,
} = require("pprof-format");
const { AgentFolder } = require("../../../dist/export/folder");
const { HistoryWriter } = require("../../../dist/export/history-file");
const { LifeWriter } = require("../../../dist/export/life-file");
const { framed } = require("../../../dist/model/framed-records");
const { observations } = require("../detector/stream");

const CLI = resolve(__dirname, "../../../dist/cli/main.js");
/** The detector's streams begin here; ours begin at a time of this century. */
const STREAM_START_MILLIS = 1_000_000;
const START_MILLIS = Date.UTC(2026, 10, 25, 10);

/** Environment without settings of the person who runs the tests. */
function cleanEnvironment(extra = {}) {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(LEAK_AGENT_|OTEL_|NODE_OPTIONS$|NO_COLOR$|FORCE_COLOR$)/.test(name),
  );
  return { ...Object.fromEntries(own), ...extra };
}

/** @returns {Promise<{code: number | null, signal: string | null, stdout: string, stderr: string}>} */
function runCli(args, { cwd, env = {} } = {}) {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd,
      env: cleanEnvironment(env),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    child.once("error", fail);
    child.once("close", (code, signal) => done({ code, signal, stdout, stderr }));
  });
}

function temporaryFolder(context) {
  const folder = mkdtempSync(join(tmpdir(), "cli-test-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Writes a pprof file.
 * @param rows [function, file, line, route or null, objects, bytes]
 */
function writeProfile(
  path,
  rows,
  { timeMillis = START_MILLIS, types = ["inuse_objects", "inuse_space"], period = 16_384, gzip = true } = {},
) {
  const strings = new StringTable();
  const id = (text) => strings.dedup(text);
  const functions = [];
  const locations = [];
  const samples = [];
  rows.forEach(([name, file, line, route, objects, bytes], index) => {
    const rowId = index + 1;
    functions.push(
      new PprofFunction({ id: rowId, name: id(name), systemName: id(name), filename: id(file), startLine: line }),
    );
    locations.push(new Location({ id: rowId, line: [new Line({ functionId: rowId, line })] }));
    const label = route === null ? [] : [new Label({ key: id("http.route"), str: id(route) })];
    // Extra sample types in front, as Go's heap profiles have them.
    const value = [...new Array(types.length - 2).fill(999), objects, bytes];
    samples.push(new Sample({ locationId: [rowId], value, label }));
  });
  const profile = new Profile({
    sampleType: types.map(
      (type) => new ValueType({ type: id(type), unit: id(/space/.test(type) ? "bytes" : "count") }),
    ),
    sample: samples,
    location: locations,
    function: functions,
    stringTable: strings,
    timeNanos: BigInt(timeMillis) * 1_000_000n,
    periodType: new ValueType({ type: id("space"), unit: id("bytes") }),
    period,
  });
  const bytes = profile.encode();
  writeFileSync(path, gzip ? gzipSync(bytes) : bytes);
}

/**
 * Writes the history of one life with the real writer.
 * @param stream options of test/unit/detector/stream.js
 * @returns the path of the file.
 */
function writeHistory(
  folder,
  { processId = 4321, startMillis = START_MILLIS, limitBytes = 64 * 1024 * 1024, ...stream },
) {
  const header = {
    schema: "leak-agent.history/1",
    startTimeMillis: startMillis,
    service: "shop",
    processId,
    nodeVersion: "v24.21.0",
    agentVersion: "0.1.0",
    horizonMillis: stream.horizonMillis ?? 30_000,
    windowMillis: stream.windowMillis ?? 250,
    applicationRoot: "/srv/app",
  };
  const agentFolder = new AgentFolder(folder, limitBytes, (problem) => {
    if (problem !== null) throw new Error(problem);
  });
  const dictionary = { newRoutes: [], newFrames: [], newStacks: [], routeAliases: [] };
  const writer = new HistoryWriter(agentFolder, header, () => dictionary);
  for (const observation of observations(stream)) {
    for (const part of Object.keys(dictionary)) dictionary[part].push(...(observation[part] ?? []));
    writer.append(shifted(observation, startMillis - STREAM_START_MILLIS));
  }
  const stamp = new Date(startMillis).toISOString().replace(/[-:.]/g, "");
  return join(folder, `history-${stamp}-${processId}.jsonl`);
}

function shifted(observation, byMillis) {
  return {
    ...observation,
    timeMillis: observation.timeMillis + byMillis,
    requests: observation.requests?.map(([end, route, count]) => [end + byMillis, route, count]) ?? [],
    matured: observation.matured?.map((sample) => ({ ...sample, bornMillis: sample.bornMillis + byMillis })) ?? [],
  };
}

const LEAKING = { lifeSeconds: () => Number.POSITIVE_INFINITY };
/** Everything lives four seconds: matures, then dies. */
const HEALTHY = { lifeSeconds: () => 8 };

/** Appends findings to the folder's findings.jsonl. */
function writeFindings(folder, findings) {
  appendFileSync(join(folder, "findings.jsonl"), findings.map((finding) => `${JSON.stringify(finding)}\n`).join(""));
}

/** Writes what one life of the service left on record, with the real writer. */
function writeLife(folder, { buildId, startMillis = START_MILLIS, processId = 4321, lastWord = null, leaks = [] }) {
  const agentFolder = new AgentFolder(folder, 64 * 1024 * 1024, () => {});
  const opening = {
    type: "open",
    schema: "leak-agent.life/1",
    startTimeMillis: startMillis,
    processId,
    service: "shop",
    serviceVersion: null,
    buildId,
    nodeVersion: "24.21.0",
    agentVersion: "0.1.0",
    horizonMillis: 30_000,
    place: "here",
    bootId: null,
  };
  const writer = new LifeWriter(agentFolder, opening);
  writer.open();
  for (const finding of leaks)
    writer.append({ type: "finding", finding: { ...finding, service: { ...finding.service, buildId } } });
  if (lastWord !== null) appendFileSync(writer.endFile, framed(lastWord));
}

module.exports = {
  CLI,
  HEALTHY,
  LEAKING,
  START_MILLIS,
  cleanEnvironment,
  runCli,
  temporaryFolder,
  writeFindings,
  writeHistory,
  writeLife,
  writeProfile,
};
