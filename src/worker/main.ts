/**
 * The agent's worker thread. Owns its lifecycle: messages in, requests out, the off switch, the start after a death.
 * A bad message is counted and told once; nothing here may end the worker or keep the process alive.
 */
import { existsSync } from "node:fs";
import { BroadcastChannel, isMainThread, parentPort, workerData } from "node:worker_threads";
import { exportedSignals } from "../config";
import { guardCompression } from "../export/compress";
import { AgentFolder, type FolderReport } from "../export/folder";
import { placeOfProcess } from "../export/spool-lives";
import { LIFE_SCHEMA } from "../model/life";
import {
  EXIT_SENT,
  PROBE_CHANNEL,
  type ProbeMessage,
  REQUEST_CHANNEL,
  SHARED_WORDS,
  WORD_LISTENING,
  WORD_WAITING_REPORTS,
  type WorkerRequest,
  type WorkerStart,
} from "../model/messages";
import { buildIdOf } from "./build-id";
import { Inbox } from "./inbox";
import { LifeJournal, readBootId } from "./life-journal";
import { AgentLog } from "./log";
import { Pipeline } from "./pipeline";
import type { ProfileExport } from "./profile-export";
import { type ResourceAttributes, resourceSource } from "./resource";
import { findApplicationRoot } from "./source-names";
import type { Telemetry } from "./telemetry";
import { AGENT_VERSION } from "./version";

const OFF_FILE_POLL_MILLIS = 2_000;
/** The start-up line waits this long for the first report, which brings the sampling interval. */
const START_LINE_MILLIS = 2_000;

async function run(start: WorkerStart): Promise<void> {
  const { settings } = start;
  guardCompression(start.exitWords);
  // The log may write into the folder, and the folder tells its problems to the log.
  let tellFolder: FolderReport = () => {};
  // What waits for the backend lies in the folder too, and keeps its own part small.
  const spoolBytes = exportedSignals(settings.otlp).length === 0 ? 0 : settings.otlp.spoolLimitBytes;
  const limitBytes = settings.directoryLimitBytes - spoolBytes;
  const folder = new AgentFolder(settings.directory, limitBytes, (problem, fix) => tellFolder(problem, fix));
  const log = new AgentLog(settings.log, folder);
  tellFolder = (problem, fix) => {
    if (problem === null) log.info(`${settings.directory} can be written again`);
    else log.warn("ERR_LEAK_AGENT_FOLDER", `${problem}: ${fix}; until then nothing is kept`);
  };
  const journal = beginLife(start, folder, log);
  if (start.restartCount === 0) for (const problem of start.problems) log.warn("ERR_LEAK_AGENT_CONFIG", problem);
  const resource = resourceSource(start);
  const profileExport = await openProfiles(start, folder, log, resource);

  const channel = new BroadcastChannel(PROBE_CHANNEL);
  const requests = new BroadcastChannel(REQUEST_CHANNEL);
  const ask = (request: WorkerRequest): void => {
    parentPort?.postMessage(request);
    requests.postMessage(request);
  };
  const pipeline = new Pipeline({
    start,
    folder,
    log,
    ask,
    profileExport,
    journal,
    resource,
    createTelemetry: await loadTelemetry(start),
  });
  if (start.restartCount > 0) await pipeline.resume();

  let failures = 0;
  const receive = (message: unknown): void => {
    try {
      if (isProbeMessage(message)) pipeline.handle(message);
      if (isHello(message)) setTimeout(() => pipeline.tellStart(), START_LINE_MILLIS).unref();
    } catch (error) {
      failures++;
      log.warnOnce(
        "message",
        "ERR_LEAK_AGENT_INTERNAL",
        `a probe's message could not be handled: ${(error as Error).message}`,
        {
          stack: (error as Error).stack,
          failures,
        },
      );
    }
  };
  const inbox = new Inbox();
  const receiveFromMain = (message: unknown): void => {
    if ((message as { type?: unknown } | null)?.type === "exit")
      return void leave(start, profileExport, pipeline.telemetry);
    receive(message);
    // The main thread stops sending when this stops coming: its queue here must not grow without a bound.
    if (isReport(message)) parentPort?.postMessage({ type: "ready", usage: pipeline.usage() } satisfies WorkerRequest);
  };
  parentPort?.on("message", (message: unknown) => inbox.add(() => receiveFromMain(message)));
  // Whatever was on its way to an earlier worker is lost.
  const words = new Int32Array(start.words ?? new SharedArrayBuffer(SHARED_WORDS * 4));
  Atomics.store(words, WORD_WAITING_REPORTS, 0);
  channel.onmessage = (event: unknown) => {
    const { data } = event as { data: unknown };
    inbox.add(() => {
      receive(data);
      if (isReport(data)) Atomics.sub(words, WORD_WAITING_REPORTS, 1);
    });
  };
  Atomics.store(words, WORD_LISTENING, 1);
  watchOffFile(settings.offFile, log, ask);
  if (journal !== null) ask({ type: "life", endFile: journal.endFile });
  ask({ type: "ready" });
}

/** Null: this life leaves nothing behind; everything else works. */
function beginLife(start: WorkerStart, folder: AgentFolder, log: AgentLog): LifeJournal | null {
  if (!folder.open()) return null;
  const { settings, mainScript, workingDirectory, processStartMillis } = start;
  try {
    const root = findApplicationRoot(mainScript, workingDirectory);
    const journal = new LifeJournal({
      folder,
      log,
      opening: {
        type: "open",
        schema: LIFE_SCHEMA,
        startTimeMillis: processStartMillis,
        processId: process.pid,
        service: settings.serviceName,
        serviceVersion: settings.serviceVersion,
        buildId: buildIdOf(settings.buildId, settings.serviceVersion, root),
        nodeVersion: process.versions.node,
        agentVersion: AGENT_VERSION,
        horizonMillis: settings.horizonMillis,
        place: placeOfProcess(),
        bootId: readBootId(),
      },
    });
    journal.begin();
    return journal;
  } catch (error) {
    log.warn("ERR_LEAK_AGENT_INTERNAL", `this life leaves no record for the next one: ${(error as Error).message}`);
    return null;
  }
}

/** Without an endpoint nothing of the export is loaded. */
async function openProfiles(
  { settings, processStartMillis }: WorkerStart,
  folder: AgentFolder,
  log: AgentLog,
  resource: () => Promise<ResourceAttributes>,
): Promise<ProfileExport | null> {
  const { otlp } = settings;
  if (otlp.profiles === null) return null;
  try {
    const { openDelivery } = await import("./signal-delivery.js");
    const { ProfileExport } = await import("./profile-export.js");
    const place = { settings: otlp, folder, log, processStartMillis };
    const delivery = await openDelivery("profiles", otlp.profiles, place);
    const known = resource().then((attributes) => ({ attributes, schemaUrl: "" }));
    return new ProfileExport({ settings: otlp, delivery, resource: known, processStartMillis });
  } catch (error) {
    log.warn("ERR_LEAK_AGENT_INTERNAL", `profiles are not exported: ${(error as Error).message}`);
    return null;
  }
}

/** The main thread waits for the answer, for as long as its settings allow. */
async function leave(start: WorkerStart, profiles: ProfileExport | null, telemetry: Telemetry | null): Promise<void> {
  try {
    await Promise.all([profiles?.flush(), telemetry?.close(start.settings.otlp.exitFlushMillis)]);
  } finally {
    if (start.exitWords !== undefined) {
      const words = new Int32Array(start.exitWords);
      Atomics.store(words, EXIT_SENT, 1);
      Atomics.notify(words, EXIT_SENT);
    }
  }
}

async function loadTelemetry({ settings }: WorkerStart): Promise<typeof Telemetry.create | null> {
  if (settings.otlp.metrics === null && settings.otlp.logs === null) return null;
  return (await import("./telemetry.js")).Telemetry.create;
}

function watchOffFile(offFile: string, log: AgentLog, ask: (request: WorkerRequest) => void): void {
  let enabled = true;
  const look = (): void => {
    const next = !existsSync(offFile);
    if (next === enabled) return;
    enabled = next;
    ask({ type: "enabled", enabled });
    log.info(enabled ? `on again: ${offFile} is gone` : `off while ${offFile} exists`);
  };
  look();
  setInterval(look, OFF_FILE_POLL_MILLIS).unref();
}

function isProbeMessage(message: unknown): message is ProbeMessage {
  const type = (message as { type?: unknown } | null)?.type;
  return type === "report" || type === "hello" || type === "goodbye" || type === "notice";
}

function isReport(message: unknown): boolean {
  return (message as { type?: unknown } | null)?.type === "report";
}

function isHello(message: unknown): boolean {
  return (message as { type?: unknown } | null)?.type === "hello";
}

if (!isMainThread && parentPort !== null) {
  run(workerData as WorkerStart).catch((error: unknown) => {
    // The main thread sees the death, and restarts with a backoff.
    setImmediate(() => {
      throw error;
    });
  });
}
