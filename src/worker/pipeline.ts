/**
 * Runs on the agent's worker thread. Owns the order of work for each message of a probe: decode, follow the samples, make
 * one observation, remember it, judge, report. Knows no ports and no timers.
 */
import { join } from "node:path";
import type { Settings } from "../config";
import { Detector } from "../detector/detector";
import { type FindingContext, toFinding } from "../detector/finding-record";
import type { AgentFolder } from "../export/folder";
import { HistoryWriter } from "../export/history-file";
import { ACKNOWLEDGED_FILE, IGNORE_FILE } from "../export/ignore-file";
import { type Capture, decodeCapture } from "../model/capture";
import type { WorkerUsage } from "../model/cost";
import type { Attribution, Finding } from "../model/finding";
import type { ProbeHello, ProbeMessage, ProbeReport, WorkerRequest, WorkerStart } from "../model/messages";
import { HISTORY_SCHEMA, type HistoryHeader, type Observation } from "../model/observation";
import { Acknowledgements } from "./acknowledgements";
import { AgentCosts } from "./agent-cost";
import { Dictionary } from "./dictionary";
import { dropsOf } from "./drops";
import { Findings } from "./findings";
import { LevelReader } from "./level";
import type { LifeJournal } from "./life-journal";
import { LifeWatch } from "./life-watch";
import type { CaptureOutcome, LiveSamples } from "./live-samples";
import type { AgentLog } from "./log";
import { ownUsage } from "./own-usage";
import type { ProfileExport } from "./profile-export";
import { Profiles } from "./profiles";
import { instanceIdOf, type ResourceAttributes, resourceSource } from "./resource";
import { resumeLife } from "./resume";
import { type ResumedThread, ServiceThread } from "./service-thread";
import { findApplicationRoot, SourceNames } from "./source-names";
import { startLine } from "./start-line";
import type { Telemetry } from "./telemetry";
import { AGENT_VERSION } from "./version";

/** Threads of the service that are followed; reports of more are counted and dropped. */
const MAX_THREADS = 64;
/** Resolution of the detector's clocks: 1 s in a load test of half a minute, a minute in production. */
const WINDOWS_PER_HORIZON = 30;
const MIN_WINDOW_MILLIS = 1_000;
const MAX_WINDOW_MILLIS = 60_000;
const STARTS_ANEW = "the agent's worker was restarted; without a folder its history starts anew";
/** Names are asked for again at most this often per thread. */
const RESEND_MILLIS = 5_000;

export interface PipelineOptions {
  readonly start: WorkerStart;
  /** Null when the folder was refused: everything but files works. */
  readonly folder: AgentFolder | null;
  readonly log: AgentLog;
  readonly ask: (request: WorkerRequest) => void;
  /** Null: profiles have no endpoint. */
  readonly profileExport?: Pick<ProfileExport, "offer" | "drops"> | null;
  /** This life's record for the next ones; null or left out: none. */
  readonly journal?: LifeJournal | null;
  /** Of all signals; left out: detected for metrics and logs alone. */
  readonly resource?: () => Promise<ResourceAttributes>;
  readonly processId?: number;
  readonly level?: LevelReader;
  /** Replaced in tests. */
  readonly usage?: (meanStackDepth: number | null) => WorkerUsage;
  /** `Telemetry.create`, loaded where metrics or log events have an endpoint; null or left out: none are sent. */
  readonly createTelemetry?: typeof Telemetry.create | null;
  readonly now?: () => number;
}

export class Pipeline {
  private readonly dictionary = new Dictionary();
  private readonly detector: Detector;
  private readonly history: HistoryWriter | null;
  private readonly findings: Findings;
  private readonly profiles: Profiles;
  private readonly names: SourceNames;
  /** Metrics and log events; null without an endpoint for them. */
  readonly telemetry: Telemetry | null;
  private readonly lives: LifeWatch | null;
  private readonly level: LevelReader;
  private readonly log: AgentLog;
  private readonly processId: number;
  private readonly windowMillis: number;
  private readonly now: () => number;
  private readonly threads = new Map<number, ServiceThread>();
  private readonly costs = new AgentCosts();
  private resumedThreads: ReadonlyMap<number, ResumedThread> = new Map();
  private readonly askedForNamesMillis = new Map<number, number>();
  private started = false;
  /** Messages that could not be used, by reason. */
  readonly dropped = { threads: 0, captures: 0, unknownMessages: 0, detectorErrors: 0 };

  constructor(private readonly options: PipelineOptions) {
    const { settings, mainScript, workingDirectory, processStartMillis } = options.start;
    const applicationRoot = findApplicationRoot(mainScript, workingDirectory);
    this.windowMillis = windowMillisOf(settings.horizonMillis);
    this.log = options.log;
    this.processId = options.processId ?? process.pid;
    this.now = options.now ?? Date.now;
    this.level = options.level ?? new LevelReader();
    this.names = new SourceNames(applicationRoot);
    this.detector = new Detector({
      horizonMillis: settings.horizonMillis,
      windowMillis: this.windowMillis,
      applicationRoot,
      knownSiteFunctions: (site, route) => this.lives?.functionsOf(site, route) ?? null,
    });
    const header: HistoryHeader = {
      schema: HISTORY_SCHEMA,
      startTimeMillis: processStartMillis,
      service: settings.serviceName,
      processId: this.processId,
      nodeVersion: process.versions.node,
      agentVersion: AGENT_VERSION,
      horizonMillis: settings.horizonMillis,
      windowMillis: this.windowMillis,
      applicationRoot,
      serviceVersion: settings.serviceVersion,
      buildId: this.buildId,
    };
    this.history =
      options.folder === null ? null : new HistoryWriter(options.folder, header, () => this.dictionary.snapshot());
    const acknowledgements = new Acknowledgements(acknowledgementFiles(settings, applicationRoot), options.log);
    this.findings = new Findings(options.folder, options.log, () => this.findingContext(), acknowledgements);
    this.telemetry = this.createTelemetry();
    this.lives = this.createLifeWatch();
    this.profiles = new Profiles(options.folder, {
      horizonMillis: settings.horizonMillis,
      processId: this.processId,
      startTimeMillis: processStartMillis,
      comments: [
        `service.name=${settings.serviceName}`,
        `process.pid=${this.processId}`,
        `leak_agent.version=${AGENT_VERSION}`,
      ],
    });
  }

  /** Unique for this life of this process; `service.instance.id` where the environment gives none. */
  private get instanceId(): string {
    return instanceIdOf(this.options.start.processStartMillis, this.processId);
  }

  private get buildId(): string | null {
    return this.options.journal?.opening.buildId ?? this.options.start.settings.buildId;
  }

  private createTelemetry(): Telemetry | null {
    const { settings, processStartMillis } = this.options.start;
    const create = this.options.createTelemetry ?? (() => null);
    return create({
      settings,
      resource: this.options.resource ?? resourceSource(this.options.start, this.processId),
      folder: this.options.folder,
      detector: this.detector,
      describe: (frame) => this.names.describe(frame),
      described: () => this.names.maps.release(),
      log: this.log,
      costs: this.costs,
      processStartMillis,
      drops: () => ({
        threads: this.dropped.threads,
        captures: this.dropped.captures,
        messages: this.dropped.unknownMessages,
        detector_errors: this.dropped.detectorErrors,
        names: this.dictionary.overflowCount,
        finding_lines: this.findings.droppedFindings,
        profile_files: this.profiles.droppedProfiles,
        log_lines: this.log.droppedLines,
        life_records: this.options.journal?.droppedRecords ?? 0,
        history_lines: this.history?.droppedObservations ?? 0,
        ...this.options.profileExport?.drops(),
      }),
    });
  }

  /** In a worker that replaces a dead one: goes on where this life's own history ends. */
  async resume(): Promise<void> {
    const { folder, start } = this.options;
    this.started = true; // The first worker told what works.
    if (folder === null) {
      this.log.warn("ERR_LEAK_AGENT_WORKER", STARTS_ANEW);
      return;
    }
    const { path } = folder;
    try {
      const life = await resumeLife(path, start.processStartMillis, this.processId, this.detector, this.dictionary);
      this.resumedThreads = life.threads;
      for (const transition of life.transitions) this.standing(toFinding(transition, this.findingContext()));
      if (life.observationCount === 0) this.log.warn("ERR_LEAK_AGENT_WORKER", STARTS_ANEW);
      else this.log.info(`the agent's worker goes on with ${life.observationCount} observations of its history`);
    } catch (error) {
      const why = (error as Error).message;
      this.log.warn("ERR_LEAK_AGENT_HISTORY", `the restarted worker of the agent lost a part of its history: ${why}`);
    }
    this.history?.resume();
  }

  /** What the worker that died has told. */
  private standing(finding: Finding): void {
    this.findings.remember(finding);
    this.telemetry?.standing(finding);
  }

  handle(message: ProbeMessage): void {
    switch (message.type) {
      case "report":
        this.report(message);
        return;
      case "hello":
        this.hello(message);
        return;
      case "goodbye":
        this.goodbye(message.thread);
        return;
      case "notice":
        if (message.level === "warn") this.log.warn(message.code, message.message, { thread: message.thread });
        else this.log.info(message.message, { code: message.code, thread: message.thread });
        return;
      default:
        this.dropped.unknownMessages++;
    }
  }

  /** What this worker has used so far. */
  usage(): WorkerUsage {
    return (this.options.usage ?? ownUsage)(this.threads.get(0)?.live?.meanStackDepth ?? null);
  }

  /** The start-up line, when the first report has not come soon enough to bring the interval. */
  tellStart(): void {
    const hello =
      this.threads.get(0)?.hello ?? [...this.threads.values()].find((thread) => thread.hello !== null)?.hello;
    if (this.started || hello === undefined || hello === null) return;
    this.started = true;
    const interval = this.threads.get(hello.thread)?.lastReport?.intervalBytes ?? null;
    const hasFolder = this.options.folder?.open() === true;
    const { message, fields } = startLine(this.options.start.settings, hello, interval, hasFolder);
    this.log.info(message, fields);
  }

  private hello(message: ProbeHello): void {
    const thread = this.threadOf(message.thread);
    if (thread === null) return;
    const before = thread.hello;
    thread.hello = message;
    const hasChanged = before !== null && (before.labels !== message.labels || before.engine !== message.engine);
    if (!hasChanged) return;
    const reason = message.labelsReason === "" ? "" : ` (${message.labelsReason})`;
    this.log.warn("ERR_LEAK_AGENT_LABELS", `thread ${message.thread}: route labels are now ${message.labels}${reason}`);
  }

  private goodbye(number: number): void {
    const thread = this.threads.get(number);
    const last = thread?.lastReport;
    this.threads.delete(number);
    this.askedForNamesMillis.delete(number);
    if (last !== undefined && last !== null) {
      const gone = { restarted: true, liveSampleCount: 0, liveBytes: 0, labelledRatio: null };
      this.judge({ ...this.outline({ ...last, timeMillis: Math.max(last.timeMillis, this.now()) }), ...gone });
    }
    this.level.forgetThread(number);
    this.costs.forgetThread(number);
    this.telemetry?.goodbye(number);
  }

  private report(report: ProbeReport): void {
    const thread = this.threadOf(report.thread);
    if (thread === null) return;
    const { live, restarted } = thread.lifeOf(report);
    thread.lastReport = { ...report, capture: null };
    this.costs.report(report);
    this.tellStart();
    thread.absorbRoutes(report);
    const outcome = live.absorb(report, this.decode(report), thread.isLabelled);
    if (outcome?.needsNames === true || thread.hello === null) this.askForNames(report);
    if (outcome !== null && outcome.labelProblem !== null) this.tellLabelProblem(report, outcome.labelProblem);
    const requests = thread.requestRows(report, this.windowMillis);
    const leak = this.judge({
      ...this.outline(report),
      ...(restarted ? { restarted: true as const } : {}),
      ...this.dictionary.takeNews(),
      ...(requests.length > 0 ? { requests } : {}),
      ...samplesOf(outcome),
      liveSampleCount: outcome?.liveSampleCount ?? 0,
      liveBytes: outcome?.liveBytes ?? 0,
      labelledRatio: outcome?.labelledRatio ?? null,
      ...(report.governor === undefined ? {} : { cost: this.costs.total(this.usage()) }),
    });
    this.tellDrops(report, live);
    this.telemetry?.report(report);
    this.telemetry?.totals.noteDrops("samples", `${report.thread}.${report.epoch}`, live.droppedSamples);
    this.telemetry?.totals.noteDrops("ledger_rows", `${report.thread}.${report.epoch}`, live.droppedRows);
    if (outcome === null) return;
    this.profiles.offer(this.liveSamples(), report.timeMillis, leak);
    this.options.profileExport?.offer(this.liveSamples(), report.timeMillis, leak);
  }

  private outline(
    report: ProbeReport,
  ): Pick<
    Observation,
    "timeMillis" | "thread" | "epoch" | "intervalBytes" | "majorGcCount" | "requestedGcCount" | "level"
  > {
    return {
      timeMillis: report.timeMillis,
      thread: report.thread,
      epoch: report.epoch,
      intervalBytes: report.intervalBytes,
      majorGcCount: report.gc.majorCount,
      requestedGcCount: report.gc.requestedMajorCount,
      level: {
        ...this.level.read(report.thread, report.gc, report.memory),
        agentBytes: Math.round(this.liveSamples().reduce((sum, live) => sum + live.agentBytes, 0)),
      },
    };
  }

  /** History first, so that whatever the detector does can be replayed. @returns whether a leak was found just now. */
  private judge(observation: Observation): boolean {
    this.history?.append(observation);
    try {
      this.options.journal?.noteLevel(observation.level, observation.timeMillis);
      const findings = [
        ...this.findings.record(this.detector.observe(observation)),
        ...this.lifeFindings(observation.timeMillis),
        ...this.findings.review(observation.timeMillis),
      ];
      for (const finding of findings) this.options.journal?.noteFinding(finding);
      if (findings.length > 0) this.names.maps.release();
      for (const finding of findings) this.telemetry?.transition(finding);
      return findings.some((finding) => finding.verdict === "leak" || finding.verdict === "urgent");
    } catch (error) {
      this.dropped.detectorErrors++;
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
    this.names.maps.release();
    return decided.flatMap((finding) => this.findings.change(finding));
  }

  private decode(report: ProbeReport): Capture | null {
    if (report.capture === null) return null;
    try {
      return decodeCapture(report.capture);
    } catch (error) {
      this.dropped.captures++;
      this.log.warnOnce("capture", "ERR_LEAK_AGENT_CAPTURE", (error as Error).message, { thread: report.thread });
      return null;
    }
  }

  private askForNames(report: ProbeReport): void {
    const last = this.askedForNamesMillis.get(report.thread) ?? Number.NEGATIVE_INFINITY;
    if (report.timeMillis - last < RESEND_MILLIS) return;
    this.askedForNamesMillis.set(report.thread, report.timeMillis);
    this.options.ask({ type: "resend-names", thread: report.thread });
  }

  private tellLabelProblem(report: ProbeReport, problem: string): void {
    this.log.warn(
      "ERR_LEAK_AGENT_LABELS",
      `thread ${report.thread}: route labels are off until the sampler restarts: ${problem}`,
      {
        thread: report.thread,
        epoch: report.epoch,
      },
    );
  }

  private tellDrops(report: ProbeReport, live: LiveSamples): void {
    const own = { samples: live.droppedSamples, ledgerRows: live.droppedRows, names: this.dictionary.overflowCount };
    for (const { key, code, message } of dropsOf(report.counts, own)) {
      this.log.warnOnce(key, code, message, { thread: report.thread });
    }
  }

  private threadOf(number: number): ServiceThread | null {
    const known = this.threads.get(number);
    if (known !== undefined) return known;
    if (this.threads.size >= MAX_THREADS) {
      this.dropped.threads++;
      this.log.warnOnce(
        "threads",
        "ERR_LEAK_AGENT_INTERNAL",
        `more than ${MAX_THREADS} threads: the others are not followed`,
      );
      return null;
    }
    const thread = new ServiceThread(number, this.dictionary, this.resumedThreads.get(number), this.threads);
    this.threads.set(number, thread);
    return thread;
  }

  private liveSamples(): LiveSamples[] {
    const ordered = [...this.threads.values()].sort((a, b) => a.thread - b.thread);
    return ordered.flatMap((thread) => thread.live ?? []);
  }

  private findingContext(): FindingContext {
    const { settings } = this.options.start;
    const hello = this.threads.get(0)?.hello ?? [...this.threads.values()][0]?.hello ?? null;
    const attribution: Attribution = hello === null || hello.labels === "none" ? "none" : "exact";
    return {
      service: {
        name: settings.serviceName,
        version: settings.serviceVersion,
        buildId: this.buildId,
        firstBuildId: this.buildId,
        instanceId: this.instanceId,
        processId: this.processId,
        nodeVersion: process.versions.node,
        v8Version: process.versions.v8,
      },
      agent: { version: AGENT_VERSION, engine: hello?.engine ?? "native", attribution },
      describe: (frame) => this.names.describe(frame),
    };
  }
}

function samplesOf(outcome: CaptureOutcome | null): Pick<Observation, "matured" | "freed"> {
  return {
    ...(outcome !== null && outcome.matured.length > 0 ? { matured: outcome.matured } : {}),
    ...(outcome !== null && outcome.freed.length > 0 ? { freed: outcome.freed } : {}),
  };
}

/** What the repository says counts before what was said here. */
function acknowledgementFiles({ directory, ignoreFile }: Settings, applicationRoot: string): string[] {
  return [ignoreFile ?? join(applicationRoot, IGNORE_FILE), join(directory, ACKNOWLEDGED_FILE)];
}

function windowMillisOf(horizonMillis: number): number {
  return Math.min(MAX_WINDOW_MILLIS, Math.max(MIN_WINDOW_MILLIS, horizonMillis / WINDOWS_PER_HORIZON));
}
