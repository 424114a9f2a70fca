/**
 * Runs on the service's main thread and its worker threads. Owns whose answer a pooled client socket brings: that of the
 * request which wrote to it last, not of the one that happened to open it. Must not change what a socket does.
 */
import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { currentRecord, type RequestRecord, runInContext } from "./request-context";

const CLIENT: unique symbol = Symbol("leak-agent client socket");
const WRAPPED = Symbol.for("leak-agent wrapped");

/** What is known of a socket that the service opened. */
interface Conversation {
  writer: RequestRecord | null;
  /** The writer has heard nothing since it wrote. */
  isAwaiting: boolean;
  /** Two requests have waited for answers at once: which of them a chunk answers cannot be told. For good. */
  isShared: boolean;
  /** The client tells whom it writes for; it may write in another request's context. */
  isTold: boolean;
  /** Another tool's own `push` on this socket; null: the inherited one. */
  readonly push: Push | null;
}

type Write = (this: ClientSocket, ...args: unknown[]) => boolean;
type Push = (this: ClientSocket, chunk: unknown, encoding?: BufferEncoding) => boolean;
/** `_server` is set by node:net on the sockets that a server accepted. */
type ClientSocket = Socket & { _server?: unknown; [CLIENT]?: Conversation };

/** What an exception inside a wrapper is given to. */
type Caught = (error: unknown) => void;

let isOff = false;

export function leaveClientSockets(): void {
  isOff = true;
}

/**
 * Has every client socket bring its answers in the context of the request that asked. Called once per thread, at its
 * first request; stays for good, since somebody else may have wrapped the same method on top.
 */
export function followClientSockets(caught: Caught): void {
  const { Socket: socketClass } = require("node:net") as typeof import("node:net");
  const prototype = socketClass.prototype as unknown as { write: Write };
  // Node inherits it; what another tool puts on the streams later must still be met.
  const inherited = Object.getPrototypeOf(prototype) as { write: Write };
  const own = Object.hasOwn(prototype, "write") ? prototype.write : null;
  const write: Write = function write(...args) {
    try {
      if (!isOff && !isServerSide(this) && this[CLIENT]?.isTold !== true) noteWriter(this, currentRecord());
    } catch (error) {
      caught(error);
    }
    return Reflect.apply(own ?? inherited.write, this, args) as boolean;
  };
  describeAs(write, own ?? inherited.write);
  prototype.write = write;
  followUndici(caught);
}

/** One function for all sockets: a closure each would make a leaked socket larger. */
const pushAnswer: Push = function push(this: ClientSocket, chunk, encoding) {
  const original = this[CLIENT]?.push ?? (Object.getPrototypeOf(this) as { push: Push }).push;
  const writer = isOff ? null : answered(this);
  if (writer === null) return original.call(this, chunk, encoding);
  return runInContext(writer, original, this, chunk, encoding);
};

function isServerSide(socket: ClientSocket): boolean {
  return socket._server !== undefined && socket._server !== null;
}

function noteWriter(socket: ClientSocket, record: RequestRecord | null): void {
  const conversation = socket[CLIENT];
  if (conversation === undefined) {
    if (record === null) return;
    // Not enumerable: drivers and loggers walk over the properties of sockets.
    const push = Object.hasOwn(socket, "push") ? (socket.push as Push) : null;
    const value: Conversation = { writer: record, isAwaiting: true, isShared: false, isTold: false, push };
    Object.defineProperty(socket, CLIENT, { value });
    // Only on sockets that a request has written to: on all others, stack traces show nothing of the agent.
    Object.defineProperty(socket, "push", { configurable: true, writable: true, enumerable: false, value: pushAnswer });
    return;
  }
  if (conversation.isAwaiting && conversation.writer !== record) conversation.isShared = true;
  conversation.writer = record;
  conversation.isAwaiting = true;
}

/** @returns the request that this chunk answers where it is another than the present one, otherwise null. */
function answered(socket: ClientSocket): RequestRecord | null {
  const conversation = socket[CLIENT];
  if (conversation === undefined) return null;
  conversation.isAwaiting = false;
  if (conversation.isShared || conversation.writer === currentRecord()) return null;
  return conversation.writer;
}

const ASKED_BY: unique symbol = Symbol("leak-agent asked by");

interface UndiciMessage {
  readonly request: { [ASKED_BY]?: RequestRecord };
  readonly socket?: ClientSocket;
}

/** undici (and `fetch`) queues requests and sends them when an earlier one is over, in that one's context. */
function followUndici(caught: Caught): void {
  subscribe("undici:request:create", (message) => {
    try {
      const record = isOff ? null : currentRecord();
      if (record !== null) Object.defineProperty((message as UndiciMessage).request, ASKED_BY, { value: record });
    } catch (error) {
      caught(error);
    }
  });
  subscribe("undici:client:sendHeaders", (message) => {
    try {
      const { request, socket } = message as UndiciMessage;
      if (isOff || socket === undefined) return;
      noteWriter(socket, request[ASKED_BY] ?? null);
      const conversation = socket[CLIENT];
      if (conversation !== undefined) conversation.isTold = true;
    } catch (error) {
      caught(error);
    }
  });
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

interface Pool {
  /** Ends of the file of the module that makes the pool. */
  readonly file: RegExp;
  /** Takes a callback, which the pool calls in the context of whoever returns a connection. */
  readonly method: string;
}

const POOLS: readonly Pool[] = [
  { file: /[\\/]pg-pool[\\/]index\.js$/, method: "connect" },
  { file: /[\\/]mysql2[\\/]lib[\\/](base[\\/])?pool\.js$/, method: "getConnection" },
  { file: /[\\/]mysql[\\/]lib[\\/]Pool\.js$/, method: "getConnection" },
];

/** Looks for connection pools with callbacks among the loaded modules; what is wrapped already stays as it is. */
export function followLoadedPools(): void {
  for (const file of Object.keys(require.cache)) {
    const pool = POOLS.find((candidate) => candidate.file.test(file));
    if (pool === undefined) continue;
    const exports = require.cache[file]?.exports as { prototype?: Record<string | symbol, unknown> } | undefined;
    bindCallback(exports?.prototype, pool.method);
  }
}

function bindCallback(prototype: Record<string | symbol, unknown> | undefined, name: string): void {
  const original = prototype?.[name];
  if (prototype === undefined || typeof original !== "function" || Object.hasOwn(prototype, WRAPPED)) return;
  if (!Object.hasOwn(prototype, name)) return;
  const bound = function (this: unknown, ...args: unknown[]): unknown {
    const record = currentRecord();
    const callback = args[0];
    if (record !== null && typeof callback === "function") {
      args[0] = function (this: unknown, ...results: unknown[]): unknown {
        return runInContext(record, callback as Method, this, ...results);
      };
    }
    return Reflect.apply(original as Method, this, args);
  };
  describeAs(bound, original);
  prototype[name] = bound;
  Object.defineProperty(prototype, WRAPPED, { value: true });
}

/** Some tools tell functions by their name and number of parameters. */
function describeAs(wrapper: object, original: object): void {
  for (const property of ["name", "length"]) {
    const described = Object.getOwnPropertyDescriptor(original, property);
    if (described !== undefined) Object.defineProperty(wrapper, property, described);
  }
}
