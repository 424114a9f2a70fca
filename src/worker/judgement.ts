/**
 * Runs on the agent's worker thread. Owns what becomes of an observation: it is written into the history, judged, and what
 * is found is told and kept for the next lives. Knows no messages of a probe.
 */
import { join } from "node:path";
import type { Settings } from "../config";
import { Detector } from "../detector/detector";
import { type FindingContext, toFinding } from "../detector/finding-record";
import type { AgentFolder } from "../export/folder";
import { HistoryWriter } from "../export/history-file";
import { ACKNOWLEDGED_FILE, IGNORE_FILE } from "../export/ignore-file";
import { type Attribution, type Finding, isAlarm } from "../model/finding";
import type { ProbeHello, WorkerStart } from "../model/messages";
import { HISTORY_SCHEMA, type HistoryHeader, type Observation } from "../model/observation";
import { Acknowledgements } from "./acknowledgements";
import type { Dictionary } from "./dictionary";
import { FINDINGS_FILE, Findings } from "./findings";
import type { LifeJournal } from "./life-journal";
import { LifeWatch } from "./life-watch";
import type { AgentLog } from "./log";
import { instanceIdOf } from "./resource";
import { resumeLife } from "./resume";
import type { ResumedThread } from "./service-thread";
import { Siblings } from "./siblings";
import { findApplicationRoot, SourceNames } from "./source-names";
import type { Telemetry, TelemetryOptions } from "./telemetry";
import { AGENT_VERSION } from "./version";

/** Resolution of the detector's clocks: 1 s in a load test of half a minute, a minute in production. */
const WINDOWS_PER_HORIZON = 30;
const MIN_WINDOW_MILLIS = 1_000;
const MAX_WINDOW_MILLIS = 60_000;
const STARTS_ANEW = "the agent's worker was restarted; without a folder its history starts anew";

/** What telemetry needs of the detector and of the names of what it finds. */
export type JudgementParts = Pick<TelemetryOptions, "detector" | "describe" | "described">;

export interface JudgementOptions {
  readonly start: WorkerStart;
  /** Null when the folder was refused. */
  readonly folder: AgentFolder | null;
  readonly log: AgentLog;
  /** This life's record for the next ones; null or left out: none. */
  readonly journal?: LifeJournal | null;
  readonly processId: number;
  readonly dictionary: Dictionary;
  /** Of the main thread, or of another one until it has come. */
  readonly hello: () => ProbeHello | null;
  readonly createTelemetry: (parts: JudgementParts) => Telemetry | null;
  /** Told when the detector has thrown. */
  readonly failed: () => void;
}

export class Judgement {
  readonly windowMillis: number;
  /** Metrics and log events; null without an endpoint for them. */
  readonly telemetry: Telemetry | null;
  private readonly detector: Detector;
  private readonly history: HistoryWriter | null;
  private readonly findings: Findings;
  private readonly names: SourceNames;
  private readonly lives: LifeWatch | null;
  private readonly log: AgentLog;

  constructor(private readonly options: JudgementOptions) {
    const { settings, mainScript, workingDirectory, processStartMillis } = options.start;
    const applicationRoot = findApplicationRoot(mainScript, workingDirectory);
    this.windowMillis = windowMillisOf(settings.horizonMillis);
    this.log = options.log;
    this.names = new SourceNames(applicationRoot);
    this.detector = new Detector({
      horizonMillis: settings.horizonMillis,
      windowMillis: this.windowMillis,
      applicationRoot,
      knownSiteFunctions: (site, route) => this.lives?.functionsOf(site, route) ?? null,
      isOwnCode: (frame) => this.names.describe(frame).isApplication,
    });
    const header: HistoryHeader = {
      schema: HISTORY_SCHEMA,
      startTimeMillis: processStartMillis,
      service: settings.serviceName,
      processId: options.processId,
      nodeVersion: process.versions.node,
      agentVersion: AGENT_VERSION,
      horizonMillis: settings.horizonMillis,
      windowMillis: this.windowMillis,
      applicationRoot,
      serviceVersion: settings.serviceVersion,
      buildId: this.buildId,
    };
    this.history =
      options.folder === null ? null : new HistoryWriter(options.folder, header, () => options.dictionary.snapshot());
    const acknowledgements = new Acknowledgements(acknowledgementFiles(settings, applicationRoot), options.log);
    const siblings = options.folder === null ? null : new Siblings(options.folder.path, FINDINGS_FILE, this.instanceId);
    this.findings = new Findings(options.folder, options.log, () => this.findingContext(), acknowledgements, siblings);
    this.telemetry = options.createTelemetry({
      detector: this.detector,
      describe: (frame) => this.names.describe(frame),
      described: () => this.names.maps.release(),
    });
    this.lives = this.createLifeWatch();
  }

  get droppedFindings(): number {
    return this.findings.droppedFindings;
  }

  get droppedObservations(): number {
    return this.history?.droppedObservations ?? 0;
  }

  get refused(): ReturnType<Detector["refused"]> {
    return this.detector.refused();
  }

  /** Unique for this life of this process; `service.instance.id` where the environment gives none. */
  private get instanceId(): string {
    return instanceIdOf(this.options.start.processStartMillis, this.options.processId);
  }

  private get buildId(): string | null {
    return this.options.journal?.opening.buildId ?? this.options.start.settings.buildId;
  }

  /** Goes on where this life's own history ends. @returns what the threads were doing. */
  async resume(): Promise<ReadonlyMap<number, ResumedThread>> {
    const { folder, start, dictionary } = this.options;
    let threads: ReadonlyMap<number, ResumedThread> = new Map();
    if (folder === null) {
      this.log.warn("ERR_LEAK_AGENT_WORKER", STARTS_ANEW);
      return threads;
    }
    const { path } = folder;
    try {
      const life = await resumeLife(path, start.processStartMillis, this.options.processId, this.detector, dictionary);
      threads = life.threads;
      for (const transition of life.transitions) this.standing(toFinding(transition, this.findingContext()));
      if (life.observationCount === 0) this.log.warn("ERR_LEAK_AGENT_WORKER", STARTS_ANEW);
      else this.log.info(`the agent's worker goes on with ${life.observationCount} observations of its history`);
    } catch (error) {
      const why = (error as Error).message;
      this.log.warn("ERR_LEAK_AGENT_HISTORY", `the restarted worker of the agent lost a part of its history: ${why}`);
    }
    this.history?.resume();
    return threads;
  }

  /** What the worker that died has told. */
  private standing(finding: Finding): void {
    this.findings.remember(finding);
    this.telemetry?.standing(finding);
  }

  /** History first, so that whatever the detector does can be replayed. @returns whether a leak was found just now. */
  judge(observation: Observation): boolean {
    this.history?.append(observation);
    try {
      this.options.journal?.noteLevel(observation.level, observation.timeMillis);
      const findings = [
        ...this.findings.record(this.detector.observe(observation)),
        ...this.lifeFindings(observation.timeMillis),
        ...this.findings.review(observation.timeMillis),
      ];
      for (const finding of findings) this.options.journal?.noteFinding(finding);
      // Also where nothing was told: naming asks for maps, too.
      this.names.maps.release();
      for (const finding of findings) this.telemetry?.transition(finding);
      return findings.some(isAlarm);
    } catch (error) {
      this.options.failed();
      this.log.warnOnce("detector", "ERR_LEAK_AGENT_INTERNAL", `the detector failed: ${(error as Error).message}`, {
        stack: (error as Error).stack,
      });
      return false;
    }
  }

  /** Null without a record of lives, or when it cannot be understood: this life is judged alone then. */
  private createLifeWatch(): LifeWatch | null {
    const { journal } = this.options;
    if (journal === undefined || journal === null) return null;
    try {
      const lives = new LifeWatch({
        journal,
        detector: this.detector,
        describe: (frame) => this.names.describe(frame),
        context: () => this.findingContext(),
      });
      for (const finding of lives.standing) {
        this.findings.carry(finding);
        // Of an earlier build: whether it still leaks is an open question, and no alert's.
        if (finding.service.buildId === this.buildId) this.telemetry?.standing(finding);
      }
      return lives;
    } catch (error) {
      this.log.warn("ERR_LEAK_AGENT_HISTORY", `earlier lives are left out: ${(error as Error).message}`);
      return null;
    }
  }

  private lifeFindings(nowMillis: number): Finding[] {
    const decided = this.lives?.look(nowMillis) ?? null;
    if (decided === null) return [];
    return decided.flatMap((finding) => this.findings.change(finding));
  }

  private findingContext(): FindingContext {
    const { settings } = this.options.start;
    const hello = this.options.hello();
    const attribution: Attribution = hello === null || hello.labels === "none" ? "none" : "exact";
    return {
      service: {
        name: settings.serviceName,
        version: settings.serviceVersion,
        buildId: this.buildId,
        firstBuildId: this.buildId,
        instanceId: this.instanceId,
        processId: this.options.processId,
        nodeVersion: process.versions.node,
        v8Version: process.versions.v8,
      },
      agent: {
        version: AGENT_VERSION,
        engine: hello === null || hello.engine === "none" ? "native" : hello.engine,
        attribution,
      },
      describe: (frame) => this.names.describe(frame),
    };
  }
}

/** What the repository says counts before what was said here. */
function acknowledgementFiles({ directory, ignoreFile }: Settings, applicationRoot: string): string[] {
  return [ignoreFile ?? join(applicationRoot, IGNORE_FILE), join(directory, ACKNOWLEDGED_FILE)];
}

function windowMillisOf(horizonMillis: number): number {
  return Math.min(MAX_WINDOW_MILLIS, Math.max(MIN_WINDOW_MILLIS, horizonMillis / WINDOWS_PER_HORIZON));
}
