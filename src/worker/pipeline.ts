/**
 * Runs on the agent's worker thread. Owns the order of work for each message of a probe: decode, follow the samples, make
 * one observation, have it judged, report. Knows no ports and no timers.
 */
import type { AgentFolder } from "../export/folder";
import { type Capture, decodeCapture } from "../model/capture";
import type { WorkerUsage } from "../model/cost";
import type { ProbeHello, ProbeMessage, ProbeReport, WorkerRequest, WorkerStart } from "../model/messages";
import type { Observation } from "../model/observation";
import { AgentCosts } from "./agent-cost";
import { Dictionary } from "./dictionary";
import { dropsOf } from "./drops";
import { Judgement, type JudgementParts } from "./judgement";
import { LevelReader } from "./level";
import type { LifeJournal } from "./life-journal";
import type { CaptureOutcome, LiveSamples } from "./live-samples";
import type { AgentLog } from "./log";
import { ownUsage } from "./own-usage";
import type { ProfileExport } from "./profile-export";
import { Profiles } from "./profiles";
import { type ResourceAttributes, resourceSource } from "./resource";
import { type ResumedThread, ServiceThread } from "./service-thread";
import { startLine } from "./start-line";
import type { Telemetry } from "./telemetry";
import { AGENT_VERSION } from "./version";

/** Threads of the service that are followed; reports of more are counted and dropped. */
const MAX_THREADS = 64;
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
  private readonly judgement: Judgement;
  private readonly profiles: Profiles;
  private readonly level: LevelReader;
  private readonly log: AgentLog;
  private readonly processId: number;
  private readonly now: () => number;
  private readonly threads = new Map<number, ServiceThread>();
  private readonly costs = new AgentCosts();
  private resumedThreads: ReadonlyMap<number, ResumedThread> = new Map();
  private readonly askedForNamesMillis = new Map<number, number>();
  private started = false;
  /** Messages that could not be used, by reason. */
  readonly dropped = { threads: 0, captures: 0, unknownMessages: 0, detectorErrors: 0 };

  constructor(private readonly options: PipelineOptions) {
    const { settings, processStartMillis } = options.start;
    this.log = options.log;
    this.processId = options.processId ?? process.pid;
    this.now = options.now ?? Date.now;
    this.level = options.level ?? new LevelReader();
    this.judgement = new Judgement({
      ...options,
      processId: this.processId,
      dictionary: this.dictionary,
      hello: () => this.threads.get(0)?.hello ?? [...this.threads.values()][0]?.hello ?? null,
      createTelemetry: (parts) => this.createTelemetry(parts),
      failed: () => this.dropped.detectorErrors++,
    });
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

  /** Metrics and log events; null without an endpoint for them. */
  get telemetry(): Telemetry | null {
    return this.judgement.telemetry;
  }

  private createTelemetry(parts: JudgementParts): Telemetry | null {
    const { settings, processStartMillis, restartCount } = this.options.start;
    const create = this.options.createTelemetry ?? (() => null);
    return create({
      settings,
      resource: this.options.resource ?? resourceSource(this.options.start, this.processId),
      folder: this.options.folder,
      ...parts,
      log: this.log,
      costs: this.costs,
      processStartMillis,
      isResumed: restartCount > 0,
      drops: () => ({
        threads: this.dropped.threads,
        captures: this.dropped.captures,
        messages: this.dropped.unknownMessages,
        detector_errors: this.dropped.detectorErrors,
        names: this.dictionary.overflowCount,
        finding_lines: this.judgement.droppedFindings,
        profile_files: this.profiles.droppedProfiles,
        log_lines: this.log.droppedLines,
        life_records: this.options.journal?.droppedRecords ?? 0,
        history_lines: this.judgement.droppedObservations,
        ...this.judgement.refused,
        ...this.options.profileExport?.drops(),
      }),
    });
  }

  /** In a worker that replaces a dead one: goes on where this life's own history ends. */
  async resume(): Promise<void> {
    this.started = true; // The first worker told what works.
    this.resumedThreads = await this.judgement.resume();
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
      this.judgement.judge({
        ...this.outline({ ...last, timeMillis: Math.max(last.timeMillis, this.now()) }),
        ...gone,
      });
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
    const requests = thread.requestRows(report, this.judgement.windowMillis);
    const leak = this.judgement.judge({
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
    this.telemetry?.totals.noteDrops("samples", report.thread, `epoch ${report.epoch}`, live.droppedSamples);
    this.telemetry?.totals.noteDrops("ledger_rows", report.thread, `epoch ${report.epoch}`, live.droppedRows);
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
}

function samplesOf(outcome: CaptureOutcome | null): Pick<Observation, "matured" | "freed"> {
  return {
    ...(outcome !== null && outcome.matured.length > 0 ? { matured: outcome.matured } : {}),
    ...(outcome !== null && outcome.freed.length > 0 ? { freed: outcome.freed } : {}),
  };
}
