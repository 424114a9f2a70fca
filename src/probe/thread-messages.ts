/**
 * Runs on the service's main thread and its worker threads. Owns that work which a request asks another thread for (a pool's
 * task) is billed to that request. Counts messages per port and notes owners beside them; must never touch a message, and
 * must call the original exactly once, whatever happens here.
 */
import { AsyncResource } from "node:async_hooks";
import { syncBuiltinESMExports } from "node:module";
import { types } from "node:util";
import { type MessagePort, parentPort, threadId, type Worker } from "node:worker_threads";
import { foreignRoute, MAX_FOREIGN_THREAD, RECORD_BACKGROUND, RECORD_UNKNOWN } from "../model/messages";
import { AgentWorker } from "./agent-worker";
import type { Attribution } from "./http-requests";
import {
  currentRecord,
  enterRecord,
  leaveRecord,
  type RequestRecord,
  runInContext,
  STILL_OPEN,
  TaskRecord,
} from "./request-context";
import {
  MAX_PORTS,
  type MessageNote,
  otherEnd,
  TASK_ANONYMOUS,
  TASK_BACKGROUND,
  TASK_FORGOTTEN,
  TASK_RUNNING,
  TaskTable,
} from "./task-table";

/** How Node hands each message to its port (lib/internal/per_context/messageport.js); not there: nothing is followed. */
const DISPATCH: unique symbol = Symbol.for("nodejs.internal.kHybridDispatch") as never;
const RECEIVED_PORTS: unique symbol = Symbol.for("nodejs.internal.kCurrentlyReceivingPorts") as never;
/** Windows after which a task that nobody's request has turned out to own is background work. */
const ANONYMOUS_WINDOWS = 20;
/** Deserializing runs outside of any resource. */
const NO_ASYNC_ID = 0;

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;
interface Port extends MessagePort {
  readonly [RECEIVED_PORTS]?: unknown;
  [DISPATCH]?: AnyFunction;
}

/** A port as this thread counts it. */
interface PortEnd {
  readonly end: number;
  sent: number;
  received: number;
}

export class ThreadMessages {
  readonly #ends = new WeakMap<object, PortEnd>();
  readonly #workers = new WeakMap<object, PortEnd>();
  /** What has come to ports that are not known (yet): a worker may speak before it is spoken to. */
  readonly #early = new WeakMap<object, number>();
  readonly #table: TaskTable;
  /** The end of the `Worker` whose postMessage is about to call its port's. */
  #workerEnd: PortEnd | null = null;
  /** A task of nobody whose answer is being delivered; 0 without one. */
  #answering = 0;
  #anonymousSince = new Map<number, number>();
  #isOff = false;
  #followsScopes = false;

  /** @param memory of `TaskTable.allocate`, the same in all threads of the process. */
  constructor(
    memory: SharedArrayBuffer,
    private readonly attribution: Attribution,
    private readonly caught: (error: unknown) => void,
  ) {
    this.#table = new TaskTable(memory);
  }

  switchOff(): void {
    this.#isOff = true;
  }

  /** Wraps what messages pass through. Stays for good: another tool may have wrapped it again. */
  follow(): void {
    const threads = require("node:worker_threads") as typeof import("node:worker_threads") & Record<string, unknown>;
    const ports = threads.MessagePort.prototype as unknown as Port & Record<string, AnyFunction>;
    if (threadId > MAX_FOREIGN_THREAD || typeof ports[DISPATCH] !== "function") return;
    this.#wrapDispatch(ports, ports[DISPATCH]);
    this.#wrapPortSend(ports);
    this.#wrapWorkerSend(threads.Worker.prototype as unknown as Record<string, AnyFunction>);
    this.#wrapReceive(threads);
    this.#wrapChannels(threads);
    if (parentPort !== null) {
      this.#ends.set(parentPort, { end: otherEnd(TaskTable.parentEnd(threadId)), sent: 0, received: 0 });
    }
    syncBuiltinESMExports();
  }

  /** Once per birth window, with the counter's present value: whose request has ended? */
  settle(ordinal: number): void {
    const { ledger } = this.attribution;
    if (ledger.openTasks.length === 0) return;
    const open: TaskRecord[] = [];
    for (const record of ledger.openTasks) {
      const route = this.#routeOf(record.task);
      if (route === null) {
        open.push(record);
        continue;
      }
      this.#anonymousSince.delete(record.task);
      record.routeIndex = route;
      ledger.end(record, ordinal);
    }
    ledger.openTasks = open;
  }

  /** A request of this thread has ended: the threads that work for it may know its route now. */
  ended(record: RequestRecord): void {
    if (record.task !== 0 && !(record instanceof TaskRecord)) {
      this.#table.finish(record.task, foreignRoute(threadId, record.routeIndex));
    }
  }

  /** @returns null while it cannot be told. */
  #routeOf(task: number): number | null {
    const state = this.#table.stateOf(task);
    if (state > 0) return state;
    if (state === TASK_BACKGROUND) return RECORD_BACKGROUND;
    if (state === TASK_FORGOTTEN) return RECORD_UNKNOWN;
    if (state === TASK_RUNNING) return null;
    const windows = (this.#anonymousSince.get(task) ?? 0) + 1;
    this.#anonymousSince.set(task, windows);
    return windows > ANONYMOUS_WINDOWS ? RECORD_BACKGROUND : null;
  }

  /** @returns the number under which other threads know the running request; a new one for nobody's message. */
  #noteOf(): { task: number; originThread: number } {
    const record = currentRecord();
    if (record === null) return { task: this.#table.newTask(true), originThread: threadId };
    if (record instanceof TaskRecord) return { task: record.task, originThread: record.originThread };
    return { task: this.#taskOf(record), originThread: threadId };
  }

  #taskOf(record: RequestRecord): number {
    if (record.task === 0) {
      record.task = this.#table.newTask(false);
      if (record.endOrdinal !== STILL_OPEN) this.ended(record);
    }
    return record.task;
  }

  /** Before a message leaves. A port that was used before it is handed on cannot be counted by both threads. */
  #sending(port: PortEnd, transferred: unknown): void {
    const list = transferListOf(transferred);
    const ports: number[] = [];
    for (let i = 0; i < list.length; i++) {
      const item = list[i];
      const end = typeof item === "object" && item !== null ? this.#ends.get(item) : undefined;
      if (end !== undefined && end.sent === 0 && end.received === 0 && ports.length < MAX_PORTS) ports.push(end.end);
      else if (isPort(item)) ports.push(0);
    }
    const { task, originThread } = this.#noteOf();
    this.#table.note(port.end, port.sent + 1, { task, originThread, ports });
  }

  #noteFor(port: PortEnd): MessageNote | null {
    return this.#table.read(otherEnd(port.end), port.received + 1);
  }

  /** The record for a message that asks this thread for work; null for answers, and while a request of ours runs. */
  #recordFor(note: MessageNote | null): TaskRecord | null {
    if (note === null || note.originThread === threadId || this.#isInRequest()) return null;
    return new TaskRecord(note.task, note.originThread);
  }

  #isInRequest(): boolean {
    const record = currentRecord();
    return record !== null && !(record instanceof TaskRecord) && record.endOrdinal === STILL_OPEN;
  }

  #followPorts(note: MessageNote | null, received: unknown): void {
    if (note === null || note.ports.length === 0 || !Array.isArray(received)) return;
    const ports = received.filter(isPort);
    if (ports.length !== note.ports.length) return;
    ports.forEach((port: object, index) => {
      const end = note.ports[index] ?? 0;
      if (end !== 0) this.#ends.set(port, { end, sent: 0, received: 0 });
    });
  }

  #wrapDispatch(ports: Port, original: AnyFunction): void {
    const messages = this;
    Object.defineProperty(ports, DISPATCH, {
      configurable: true,
      writable: true,
      enumerable: false,
      value: function dispatch(this: Port, data: unknown, type: unknown, event: unknown): unknown {
        // Node brings a message without an event; an event that the service dispatches itself is none of the sender's.
        const isMessage = event === undefined && (type === "message" || type === "messageerror");
        const port = isMessage ? messages.#receiving(this) : undefined;
        if (port === undefined) return original.call(this, data, type, event);
        return messages.#deliver(this, port, original, data, type, event);
      },
    });
  }

  /** @returns undefined for a port that is not followed; its messages are counted, should it turn out to be a worker's. */
  #receiving(port: Port): PortEnd | undefined {
    const known = this.#ends.get(port);
    if (known === undefined) this.#early.set(port, (this.#early.get(port) ?? 0) + 1);
    return known;
  }

  #deliver(port: Port, counted: PortEnd, original: AnyFunction, data: unknown, type: unknown, event: unknown): unknown {
    let record: TaskRecord | null = null;
    let answered = 0;
    const { labels } = this.attribution;
    labels.beginAgent();
    try {
      const note = this.#noteFor(counted);
      counted.received++;
      this.#followPorts(note, port[RECEIVED_PORTS]);
      if (!this.#isOff) record = this.#recordFor(note);
      if (note?.originThread === threadId && this.#table.stateOf(note.task) === TASK_ANONYMOUS) answered = note.task;
    } catch (error) {
      this.caught(error);
    }
    labels.endAgent();
    if (record !== null) {
      labels.adopt(record, NO_ASYNC_ID);
      return runInContext(record, original, port, data, type, event);
    }
    if (answered === 0) return original.call(port, data, type, event);
    return this.#deliverAnswer(answered, () => original.call(port, data, type, event));
  }

  /** A pool that had queued its task sends it in nobody's context; who is called back with the answer is its owner. */
  #deliverAnswer(task: number, deliver: () => unknown): unknown {
    this.#followScopes();
    const outer = this.#answering;
    this.#answering = task;
    try {
      return deliver();
    } finally {
      if (this.#answering === task) this.#table.finish(task, TASK_BACKGROUND);
      this.#answering = outer;
    }
  }

  #bindAnswer(): void {
    const record = currentRecord();
    if (record === null || record instanceof TaskRecord) return;
    this.#table.give(this.#answering, this.#taskOf(record));
    this.#answering = 0;
  }

  /** Only where queued tasks are seen: libraries with a resource per task run its callback in that resource's scope. */
  #followScopes(): void {
    if (this.#followsScopes) return;
    this.#followsScopes = true;
    const messages = this;
    const prototype = AsyncResource.prototype as unknown as Record<"runInAsyncScope", AnyFunction>;
    const original = prototype.runInAsyncScope;
    const run: AnyFunction = function (fn, ...args) {
      return Reflect.apply(fn as AnyFunction, this, args);
    };
    const bind: AnyFunction = function (fn, ...args) {
      if (messages.#answering !== 0) messages.#bindAnswer();
      return Reflect.apply(run, this, [fn, ...args]);
    };
    prototype.runInAsyncScope = function runInAsyncScope(fn, thisArg, ...args) {
      if (messages.#answering === 0 || typeof fn !== "function") return original.call(this, fn, thisArg, ...args);
      return original.call(this, bind, thisArg, fn, ...args);
    };
  }

  #wrapPortSend(ports: Record<string, AnyFunction>): void {
    const messages = this;
    const original = ports["postMessage"] as AnyFunction;
    ports["postMessage"] = function postMessage(...args) {
      const workerEnd = messages.#workerEnd;
      messages.#workerEnd = null;
      const port = workerEnd ?? messages.#ends.get(this as object);
      if (port === undefined || messages.#isOff) return original.apply(this, args);
      if (workerEnd !== null && !messages.#ends.has(this as object)) messages.#know(this as object, workerEnd);
      const { labels } = messages.attribution;
      labels.beginAgent();
      try {
        messages.#sending(port, args[1]);
      } catch (error) {
        messages.caught(error);
      }
      labels.endAgent();
      const result = original.apply(this, args); // What it throws is the service's, and nothing was sent.
      port.sent++;
      return result;
    };
  }

  #know(port: object, end: PortEnd): void {
    end.received = this.#early.get(port) ?? 0;
    this.#early.delete(port);
    this.#ends.set(port, end);
  }

  #wrapWorkerSend(workers: Record<string, AnyFunction>): void {
    const messages = this;
    const original = workers["postMessage"] as AnyFunction;
    workers["postMessage"] = function postMessage(...args) {
      messages.#workerEnd = messages.#endOf(this as Worker);
      try {
        return original.apply(this, args);
      } finally {
        messages.#workerEnd = null;
      }
    };
  }

  #endOf(worker: Worker): PortEnd | null {
    if (this.#isOff || AgentWorker.ownWorkers.has(worker)) return null;
    const known = this.#workers.get(worker);
    if (known !== undefined) return known;
    const thread = worker.threadId;
    if (!(thread > 0)) return null; // It has ended.
    const end: PortEnd = { end: TaskTable.parentEnd(thread), sent: 0, received: 0 };
    this.#workers.set(worker, end);
    return end;
  }

  /** Here the receiver's own code goes on after the call: the message's owner is entered before, and left by the next. */
  #wrapReceive(threads: Record<string, unknown>): void {
    const messages = this;
    const original = threads["receiveMessageOnPort"] as (port: object) => unknown;
    threads["receiveMessageOnPort"] = function receiveMessageOnPort(...args: [object]): unknown {
      const port = messages.#isOff ? undefined : messages.#ends.get(args[0]);
      if (port === undefined) return original.apply(this, args);
      const before = currentRecord();
      const note = messages.#enter(port);
      let isTaken = true; // One that cannot be read is gone as well.
      try {
        const received = original.apply(this, args);
        isTaken = received !== undefined;
        if (!isTaken) messages.#return(before, note);
        return received;
      } finally {
        if (isTaken) port.received++;
      }
    };
  }

  #enter(port: PortEnd): MessageNote | null {
    try {
      const note = this.#noteFor(port);
      const record = this.#recordFor(note);
      if (record !== null) enterRecord(record);
      return note;
    } catch (error) {
      this.caught(error);
      return null;
    }
  }

  #return(before: RequestRecord | null, note: MessageNote | null): void {
    if (currentRecord() === before) return;
    if (before === null || note === null) leaveRecord();
    else enterRecord(before);
  }

  #wrapChannels(threads: Record<string, unknown>): void {
    const messages = this;
    const original = threads["MessageChannel"] as new () => { port1: object; port2: object };
    const wrapped = new Proxy(original, {
      construct(target, args, newTarget) {
        const channel = Reflect.construct(target, args, newTarget) as { port1: object; port2: object };
        try {
          const end = messages.#table.newChannel();
          messages.#ends.set(channel.port1, { end, sent: 0, received: 0 });
          messages.#ends.set(channel.port2, { end: otherEnd(end), sent: 0, received: 0 });
        } catch (error) {
          messages.caught(error);
        }
        return channel;
      },
    });
    const property = Object.getOwnPropertyDescriptor(original.prototype, "constructor");
    if (property?.configurable === true)
      Object.defineProperty(original.prototype, "constructor", { ...property, value: wrapped });
    threads["MessageChannel"] = wrapped;
    // The first look makes a plain property of the lazy one.
    if ((globalThis.MessageChannel as unknown) !== original) return;
    const global = Object.getOwnPropertyDescriptor(globalThis, "MessageChannel");
    Object.defineProperty(globalThis, "MessageChannel", { ...global, value: wrapped });
  }
}

function isPort(item: unknown): boolean {
  return typeof item === "object" && item !== null && !types.isProxy(item) && DISPATCH in item;
}

/** The second argument of `postMessage`, without running code of the service: getters and proxies are left to Node. */
function transferListOf(transferred: unknown): readonly unknown[] {
  if (typeof transferred !== "object" || transferred === null || types.isProxy(transferred)) return [];
  const list: unknown = Array.isArray(transferred)
    ? transferred
    : Object.getOwnPropertyDescriptor(transferred, "transfer")?.value;
  return Array.isArray(list) && !types.isProxy(list) ? list : [];
}
