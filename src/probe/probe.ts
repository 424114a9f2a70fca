/**
 * Runs on the service's main thread and, once more, on each of its worker threads. Owns the probe's life: sampling from
 * preload on, dormant until the process is a service, then one timer that closes windows, captures and reports.
 * Must never throw into the service nor keep it alive.
 */
import { writeSync } from "node:fs";
import * as workerThreads from "node:worker_threads";
import { getEnvironmentData, isMainThread, setEnvironmentData, threadId, type Worker } from "node:worker_threads";
import { type Configuration, exportedSignals, nodeArguments, type Settings } from "../config";
import type { ErrorCode } from "../errors";
import type { GovernorReading } from "../model/cost";
import type { ProbeHello, ProbeMessage, ProbeNotice, WorkerRequest } from "../model/messages";
import { DECLARED } from "../model/owner";
import { loadNative, type NativeAddon } from "../native";
import { AgentWorker, RemoteWorker, type ReportSink, type SinkListener } from "./agent-worker";
import { followAtomicsWait } from "./blocked-time";
import { NoLabels } from "./boundaries";
import { birthWindowMillis } from "./capture-schedule";
import { followClientSockets, followLoadedPools, leaveClientSockets } from "./client-sockets";
import type { SamplingEngine } from "./engine";
import { selectEngine } from "./engine-choice";
import { followFastify, followLoadedFrameworks } from "./frameworks";
import { isFirstPreload } from "./heap-limit-watch";
import { HookErrors } from "./hook-errors";
import { type Attribution, HttpRequests } from "./http-requests";
import { chooseLabels } from "./label-choice";
import { LastWordWriter } from "./last-word";
import { perfHooks } from "./late-modules";
import { OrdinalReader } from "./ordinal-reader";
import { OwnerLedger } from "./owner-ledger";
import { currentRecord, RequestRecord, registerContextManager, runInContext, STILL_OPEN } from "./request-context";
import { RouteNames } from "./route-names";
import { OTHER_ROUTE_INDEX, RouteTable } from "./route-table";
import { Sampling } from "./sampling";
import { SharedWords } from "./shared-words";
import { TaskTable } from "./task-table";
import { ThreadMessages } from "./thread-messages";
import { Turns } from "./turns";
import { Upgrades } from "./upgrades";

const STDERR = 2;
const DORMANT_POLL_MILLIS = 500;
/** A process that does not listen counts as a service after this time. */
const DORMANT_MILLIS = 30_000;
/** Environment data: the memory in which threads tell each other whose work they ask for. */
const TASKS_KEY = "leak-agent.tasks";
const MAX_PENDING_NOTICES = 32;

export interface ProbeStatus {
  /** `off`: the agent's worker cannot start in this process (one line on stderr said so). */
  readonly state: "dormant" | "awake" | "off";
  readonly engine: string;
  readonly labels: string;
  readonly labelsReason: string;
  /** V8's mean sampling interval; 0 while nothing is sampled. */
  readonly samplingIntervalBytes: number;
  readonly captures: number;
  readonly hookErrors: number;
  /** What the agent has cost this thread, and whether its breaker lets it capture; null where no engine works. */
  readonly governor: GovernorReading | null;
}

export class Probe {
  readonly #settings: Settings;
  readonly #problems: readonly string[];
  readonly #startMillis = Date.now();
  readonly #errors = new HookErrors((level, code, message) => this.#notify(level, code, message));
  readonly #pendingNotices: ProbeNotice[] = [];
  readonly #lastWord: LastWordWriter;
  readonly #engine: SamplingEngine | null;
  readonly #attribution: Attribution;
  readonly #sampling: Sampling | null;
  readonly #requests: HttpRequests;
  /** Null without labels, and in a thread whose parent has no agent. */
  readonly #messages: ThreadMessages | null;
  readonly #unfollowFastify: () => void;
  #labelsReason = "";
  readonly #words = SharedWords.ofProcess();
  readonly #turns = new Turns();
  #areLabelsOn = false;
  #sink: ReportSink | null = null;

  constructor({ settings, problems }: Configuration) {
    this.#settings = settings;
    this.#problems = problems;
    const choice = selectEngine(settings);
    this.#engine = choice.ok ? choice.engine : null;
    if (!choice.ok) this.#notify("warn", "ERR_LEAK_AGENT_ENGINE", `no sampling engine works here: ${choice.reason}`);
    else if (choice.note !== "") this.#labelsReason = choice.note;
    this.#lastWord = new LastWordWriter(this.#watchHeapLimit());
    this.#attribution = this.#prepareAttribution();
    this.#messages = this.#followMessages();
    this.#sampling = this.#startSampling();
    this.#requests = new HttpRequests(
      this.#attribution,
      () => this.#firstRequest(),
      this.#errors.guard("request tracking", () => this.#requests.switchOff()),
      (record) => this.#messages?.ended(record),
    );
    this.#requests.follow();
    const upgrades: Upgrades = new Upgrades(
      this.#attribution,
      this.#requests,
      this.#errors.guard("upgraded connections", () => upgrades.switchOff()),
    );
    upgrades.follow();
    this.#unfollowFastify = followFastify(this.#errors.guard("Fastify route names", () => this.#unfollowFastify()));
    this.#turns.every(DORMANT_POLL_MILLIS, () => this.#pollDormant());
    this.#followSleep();
    this.#followThreads();
  }

  status(): ProbeStatus {
    return {
      state: this.#words.isGivenUp ? "off" : this.#sink === null ? "dormant" : "awake",
      engine: this.#engine?.name ?? "none",
      labels: this.#attribution.labels.mechanism,
      labelsReason: this.#labelsReason,
      samplingIntervalBytes: this.#sampling?.isRunning === true ? this.#sampling.intervalBytes : 0,
      captures: this.#sampling?.captureCount ?? 0,
      hookErrors: this.#errors.count,
      governor: this.#sampling?.governor ?? null,
    };
  }

  /**
   * Names the route of the running request, or, outside of one, makes `fn` and what it awaits a request of its own.
   * @param name as it should be reported, such as `POST /orders` or `queue: invoices`.
   */
  withRoute<R>(name: string, fn: () => R): R {
    this.#switchLabelsOn();
    const routeIndex = this.#attribution.routes.indexOf(name, null, name, DECLARED);
    const current = currentRecord();
    if (current !== null && current.endOrdinal === STILL_OPEN && current.routeIndex === OTHER_ROUTE_INDEX) {
      current.routeIndex = routeIndex;
      return fn();
    }
    const record = new RequestRecord(routeIndex);
    let isPending = false;
    try {
      const result = runInContext(record, fn, undefined);
      if (!(result instanceof Promise)) return result;
      isPending = true;
      return this.#closeAfter(record, result) as R;
    } finally {
      if (!isPending) this.#requests.close(record);
    }
  }

  /** A promise of the same outcome: a mere listener would hide an unhandled rejection. */
  async #closeAfter(record: RequestRecord, result: Promise<unknown>): Promise<unknown> {
    try {
      return await result;
    } finally {
      this.#requests.close(record);
    }
  }

  #prepareAttribution(): Attribution {
    const engine = this.#engine;
    const ledger = new OwnerLedger();
    const routes = new RouteTable(this.#settings.maxRoutes);
    const names = new RouteNames(routes);
    if (engine === null) return { labels: new NoLabels(), ordinals: null, ledger, routes, names };
    const ordinals = new OrdinalReader(engine);
    const caught = this.#errors.guard("request labels", () => this.#dropLabels("they failed three times"));
    const chosen = chooseLabels(this.#settings.labels, engine, ordinals, ledger, caught);
    this.#labelsReason = [this.#labelsReason, chosen.reason].filter((text) => text !== "").join("; ");
    return { labels: chosen.labels, ordinals, ledger, routes, names };
  }

  #startSampling(): Sampling | null {
    if (this.#engine === null) return null;
    return new Sampling({
      engine: this.#engine,
      settings: this.#settings,
      attribution: this.#attribution,
      words: this.#words,
      errors: this.#errors,
      notify: (level, code, message) => this.#notify(level, code, message),
      dropLabels: (reason) => this.#dropLabels(reason),
      windowEnded: (ordinal) => this.#messages?.settle(ordinal),
    });
  }

  #followMessages(): ThreadMessages | null {
    if (this.#attribution.labels.mechanism === "none") return null;
    if (isMainThread) setEnvironmentData(TASKS_KEY, TaskTable.allocate());
    const memory = getEnvironmentData(TASKS_KEY);
    if (!(memory instanceof SharedArrayBuffer)) return null;
    const caught = this.#errors.guard("work in other threads", () => messages.switchOff());
    const messages = new ThreadMessages(memory, this.#attribution, caught);
    try {
      messages.follow();
    } catch (error) {
      messages.switchOff(); // Such as frozen globals; everything else goes on.
      caught(error);
    }
    return messages;
  }

  #followSleep(): void {
    if (isMainThread) return;
    try {
      const caught = this.#errors.guard("turns before a sleep", () => this.#turns.stop());
      followAtomicsWait((nowMillis) => {
        try {
          this.#turns.beforeSleep(nowMillis);
        } catch (error) {
          caught(error);
        }
      });
    } catch {
      this.#errors.count++; // `Atomics` is frozen: the timer is left.
    }
  }

  #pollDormant(): void {
    const isAwake = this.#areLabelsOn || this.#isServing() || Date.now() - this.#startMillis >= DORMANT_MILLIS;
    if (!isAwake) return;
    try {
      this.#wake();
    } catch (error) {
      this.#turns.stop();
      this.#errors.guard("the probe", () => {})(error);
    }
  }

  #isServing(): boolean {
    if (!isMainThread && this.#words.isAwake) return true;
    return process.getActiveResourcesInfo().some((name) => name.endsWith("ServerWrap"));
  }

  /** The main thread's flag reaches threads that do not listen themselves, such as those of a pool. */
  #followThreads(): void {
    if (!isMainThread) {
      process.once("exit", () => {
        this.#post({ type: "goodbye", thread: threadId });
        this.#sink?.close();
      });
      return;
    }
    // A thread that is terminated cannot say goodbye itself.
    process.on("worker", (worker: Worker) => {
      if (AgentWorker.ownWorkers.has(worker)) return;
      const thread = worker.threadId;
      worker.once("exit", () => this.#post({ type: "goodbye", thread }));
    });
  }

  /** In no request's context: nor does what is created here belong to one. */
  #wake(): void {
    this.#turns.stop();
    this.#switchLabelsOn();
    const { labels } = this.#attribution;
    labels.beginAgent();
    try {
      followLoadedFrameworks();
      if (isMainThread) this.#words.awake();
      this.#openSink();
    } finally {
      labels.endAgent();
    }
    const sampling = this.#sampling;
    if (sampling === null) return;
    const caught = this.#errors.guard("captures", () => this.#turns.stop());
    this.#turns.every(birthWindowMillis(this.#settings.horizonMillis), () => {
      try {
        this.#sink?.listen();
        if (this.#sink !== null) sampling.tick(this.#sink);
      } catch (error) {
        caught(error);
      }
    });
  }

  /** In a cluster, the first request is the first sign of a service; it must have its label already. */
  #firstRequest(): void {
    this.#switchLabelsOn();
    followLoadedFrameworks();
    if (this.#attribution.labels.mechanism === "none") return;
    registerContextManager();
    followClientSockets(this.#errors.guard("client sockets", leaveClientSockets));
    followLoadedPools();
  }

  #switchLabelsOn(): void {
    if (this.#areLabelsOn) return;
    this.#areLabelsOn = true;
    this.#sampling?.beginLabels();
  }

  #dropLabels(reason: string): void {
    const { labels } = this.#attribution;
    this.#attribution.labels = new NoLabels();
    this.#labelsReason = reason;
    this.#messages?.switchOff();
    labels.detach();
    this.#sayHello();
  }

  #openSink(): void {
    // These run as event handlers of the service's own threads.
    const guarded =
      <A extends unknown[]>(handle: (...args: A) => void) =>
      (...args: A): void => {
        try {
          handle(...args);
        } catch {
          this.#errors.count++;
        }
      };
    const listener: SinkListener = {
      started: guarded(() => {
        this.#attribution.routes.tellAgain();
        this.#engine?.resendNames();
        // The sink itself is not known yet when its constructor calls this.
        queueMicrotask(() => this.#sayHello());
      }),
      requested: guarded((request: WorkerRequest) => this.#requested(request)),
      died: guarded((reason: string) =>
        this.#notify("warn", "ERR_LEAK_AGENT_WORKER", `the agent's worker died and starts again: ${reason}`),
      ),
      gaveUp: guarded((reason: string) => this.#giveUp(reason)),
    };
    if (isMainThread) {
      this.#sink = new AgentWorker(
        {
          settings: this.#settings,
          problems: this.#problems,
          processStartMillis: Math.round(perfHooks().performance.timeOrigin),
          mainScript: process.argv[1] ?? null,
          workingDirectory: process.cwd(),
          words: this.#words.buffer,
        },
        listener,
      );
      this.#leaveWithTheProcess(this.#sink);
    } else {
      this.#sink = new RemoteWorker(listener, this.#words);
    }
  }

  /**
   * One listener for all that is to be done: Node warns on stderr of the eleventh. Waits for an export only where something
   * is exported, and bounded (docs/decisions/0014 and 0020).
   */
  #leaveWithTheProcess(sink: ReportSink): void {
    const { otlp } = this.#settings;
    const limitMillis = exportedSignals(otlp).length === 0 ? 0 : otlp.exitFlushMillis;
    process.once("exit", (code) => {
      this.#lastWord.exited(code);
      try {
        sink.leave(limitMillis);
      } catch {
        this.#errors.count++; // The process leaves all the same.
      }
    });
  }

  /** The worker writes the log: without one, a single line of the probe's own has to do. */
  /** The other threads see the flag at their next turn, as this one does. */
  #giveUp(reason: string): void {
    this.#words.giveUp();
    if (this.#settings.log === "off") return;
    writeSync(
      STDERR,
      `leak-agent: ERR_LEAK_AGENT_WORKER: the agent's worker cannot start here, so nothing is profiled in this life: ${reason}. ` +
        "The service is not affected; LEAK_AGENT_ENABLED=0 switches the agent off\n",
    );
  }

  #sayHello(): void {
    const hello: ProbeHello = {
      type: "hello",
      thread: threadId,
      engine: this.#engine?.name ?? "none",
      labels: this.#attribution.labels.mechanism,
      labelsReason: this.#labelsReason,
      startTimeMillis: this.#startMillis,
      threadName: threadName(),
    };
    this.#post(hello);
    for (const notice of this.#pendingNotices.splice(0)) this.#post(notice);
  }

  #requested(request: WorkerRequest): void {
    if (request.type === "resend-names" && request.thread === threadId) {
      this.#engine?.resendNames();
      this.#attribution.routes.tellAgain();
    }
    if (request.type === "ready" && request.usage !== undefined) this.#sampling?.workerUsed(request.usage);
    if (request.type === "enabled") this.#sampling?.setEnabled(request.enabled);
    if (request.type === "life" && isMainThread) this.#keepLastWord(request.endFile);
  }

  /** A worker thread's limit ends that thread alone. */
  #watchHeapLimit(): NativeAddon | null {
    if (!isMainThread || this.#engine?.name !== "native" || !isFirstPreload(nodeArguments())) return null;
    try {
      const native = loadNative();
      return native.ok && native.addon.watchHeapLimit() ? native.addon : null;
    } catch {
      this.#errors.count++; // An addon that was built before this function was: everything else works.
      return null;
    }
  }

  #keepLastWord(endFile: string): void {
    try {
      this.#lastWord.follow(endFile);
    } catch {
      // The folder was removed, or is full, which has its own line: nobody will ask how this life ended.
    }
  }

  #notify(level: "info" | "warn", code: ErrorCode, message: string): void {
    const notice: ProbeNotice = { type: "notice", thread: threadId, level, code, message };
    if (this.#sink?.isReady === true) this.#post(notice);
    else if (this.#pendingNotices.length < MAX_PENDING_NOTICES) this.#pendingNotices.push(notice);
  }

  #post(message: ProbeMessage): void {
    try {
      this.#sink?.post(message);
    } catch {
      this.#errors.count++; // The port is closed: the thread or its worker is on its way out.
    }
  }
}

/** Node tells a thread's own name from 22.20 and 24.6 on. */
function threadName(): string {
  const { threadName: name } = workerThreads as { threadName?: string };
  return isMainThread ? "main" : (name ?? "");
}
