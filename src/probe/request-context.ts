/**
 * Runs on the service's main thread and its worker threads. Owns the request record and the one AsyncLocalStorage that
 * carries it. Must not hold anything but small numbers: a record lives as long as any context that once saw its request.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { dirname, join } from "node:path";
import type { Context, ContextManager } from "@opentelemetry/api";

/** Where a record is found in an OpenTelemetry context that was derived from it; what `createContextKey` would make. */
const RECORD_KEY = Symbol.for("leak-agent request record");
/** @opentelemetry/api, src/internal/global-utils.ts. */
const API_GLOBAL = Symbol.for("opentelemetry.js.api.1");

/** A copy of the API that the app has loaded. */
const API_COPY = /[\\/]@opentelemetry[\\/]api[\\/]build[\\/]src[\\/]index\.js$/;

interface ApiGlobal {
  readonly version?: string;
  context?: ContextManager;
}

type Api = typeof import("@opentelemetry/api");

/** Loaded late, or never: a service without OpenTelemetry does not need it, and it takes 0.2 MB of heap. */
function api(): Api {
  return require("@opentelemetry/api") as Api;
}

/** `endOrdinal` of a record whose request still runs. */
export const STILL_OPEN = -1;

/** One request, as the ledger knows it. It is itself an OpenTelemetry context that holds nothing but itself. */
export class RequestRecord implements Context {
  /** 0 until a sample is attributed to this request. */
  recordId = 0;
  endOrdinal: number = STILL_OPEN;
  /** The sampler's life that `endOrdinal` belongs to. */
  endEpoch = 0;
  /** The loop turn of its end, all of which belongs to it; null where turns are not counted, and before. */
  endTurn: number | null = null;
  /** Its number for other threads; 0 until it asks one of them for something. */
  task = 0;
  /** Counted and named; it may still own what runs in this loop turn. */
  isOver = false;
  constructor(public routeIndex: number) {}

  getValue(key: symbol): unknown {
    return key === RECORD_KEY ? this : undefined;
  }

  setValue(key: symbol, value: unknown): Context {
    return api().ROOT_CONTEXT.setValue(RECORD_KEY, this).setValue(key, value);
  }

  deleteValue(_key: symbol): Context {
    return this;
  }
}

/** What a message from another thread's request started here. It ends when that request does. */
export class TaskRecord extends RequestRecord {
  constructor(
    override task: number,
    readonly originThread: number,
  ) {
    super(-1);
  }
}

/** Carries a record, or an OpenTelemetry context derived from one. */
export const storage: AsyncLocalStorage<Context> = new AsyncLocalStorage<Context>();

/** @param store what `storage` holds, `undefined` included. */
export function recordIn(store: unknown): RequestRecord | null {
  if (store instanceof RequestRecord) return store;
  if (store === undefined || store === null || typeof (store as Context).getValue !== "function") return null;
  const record = (store as Context).getValue(RECORD_KEY);
  return record instanceof RequestRecord ? record : null;
}

export function currentRecord(): RequestRecord | null {
  return recordIn(storage.getStore());
}

/** Called right before the storage's store changes, and right before it changes back; set by the hook mechanism. */
let onSwitch: () => void = () => {};

export function setSwitchListener(listener: () => void): void {
  onSwitch = listener;
}

/** From here on the current asynchronous execution belongs to `record`. */
export function enterRecord(record: RequestRecord): void {
  onSwitch();
  storage.enterWith(record);
}

/** From here on the current asynchronous execution belongs to nobody. */
export function leaveRecord(): void {
  onSwitch();
  storage.enterWith(undefined as unknown as Context);
}

/** Runs `fn` with `context` as the store. The exit is reported inside, where the store is still this one. */
export function runInContext<A extends unknown[], R>(
  context: Context,
  fn: (...args: A) => R,
  thisArg: unknown,
  ...args: A
): R {
  onSwitch();
  return storage.run(context, runReporting as typeof runReporting<A, R>, fn, thisArg, args);
}

function runReporting<A extends unknown[], R>(fn: (...args: A) => R, thisArg: unknown, args: A): R {
  try {
    return Reflect.apply(fn, thisArg, args) as R;
  } finally {
    onSwitch();
  }
}

/** The app's own active OpenTelemetry context, when it has a context manager (ours included). */
export function appContext(): Context | null {
  return (globalThis as Record<symbol, ApiGlobal | undefined>)[API_GLOBAL]?.context?.active() ?? null;
}

/**
 * Makes `@opentelemetry/api` contexts follow asynchronous calls where the app has no context manager of its own.
 * Leaves the app's alone. The first who registers anything decides for all which version of the API may register after it:
 * that is not for us to do, unless each copy the app has loaded is of our version, so that its SDK can start later.
 * What `setGlobalContextManager` does, without loading the API: all copies of it in a process meet in this one object.
 * @returns true when ours was registered.
 */
export function registerContextManager(): boolean {
  const holder = globalThis as Record<symbol, ApiGlobal | undefined>;
  if (holder[API_GLOBAL]?.context !== undefined) return false;
  const version = apiVersion(require.resolve("@opentelemetry/api"));
  const copies = Object.keys(require.cache).filter((file) => API_COPY.test(file));
  const isShared = copies.length > 0 && copies.every((file) => apiVersion(file) === version);
  const global = holder[API_GLOBAL] ?? (isShared ? { version } : null);
  if (global === null || global.version !== version) return false;
  global.context = new StorageContextManager();
  holder[API_GLOBAL] = global;
  return true;
}

function apiVersion(indexFile: string): string {
  return (require(join(dirname(indexFile), "version")) as { VERSION: string }).VERSION;
}

/** OpenTelemetry's context manager over the same storage, so that one look-up finds both. */
class StorageContextManager implements ContextManager {
  active(): Context {
    return storage.getStore() ?? api().ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return runInContext(context, fn as (...args: A) => ReturnType<F>, thisArg, ...args);
  }

  bind<T>(context: Context, target: T): T {
    if (typeof target !== "function") return target;
    const bound = target as unknown as (...args: unknown[]) => unknown;
    const wrapper = function (this: unknown, ...args: unknown[]): unknown {
      return runInContext(context, bound, this, ...args);
    };
    Object.defineProperty(wrapper, "length", { configurable: true, value: bound.length });
    return wrapper as unknown as T;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    return this;
  }
}
