/**
 * Runs on the service's main thread and its worker threads. Owns the two mechanisms that tell which context took each
 * sample: checks at context boundaries (hook), or the sampler's own step (interpose). Must never throw into a boundary.
 */
import { type AsyncHook, AsyncResource, createHook, executionAsyncId } from "node:async_hooks";
import type { LabelMechanism } from "../model/messages";
import { OWNER_AGENT, OWNER_BACKGROUND, OWNER_UNATTRIBUTED, type OwnerToken } from "../model/owner";
import { AGENT_STORE, CONTROL_INSIDE_AGENT, CONTROL_RING_LENGTH, CONTROL_TURN } from "../native";
import type { LabelSource } from "./engine";
import type { OrdinalReader } from "./ordinal-reader";
import type { OwnerLedger } from "./owner-ledger";
import { currentRecord, type RequestRecord, recordIn, STILL_OPEN, setSwitchListener, storage } from "./request-context";

/** `Labels.turn` where it is not known which samples were taken in the present loop turn. */
export const TURN_UNKNOWN: null = null;

/** Gives each sample ordinal its owner while attached. */
export interface Labels {
  readonly mechanism: LabelMechanism;
  /** The number of the present loop turn, or TURN_UNKNOWN. */
  readonly turn: number | null;
  /** Starts after the sampler has (re)started; ordinals up to the present one must be owned by the caller. */
  attach(): boolean;
  detach(): void;
  /**
   * Node has just parsed this request, in nobody's context or an earlier request's: that work is its own.
   * @param asyncId the resource it was parsed in; the one that runs now when left out.
   */
  adopt(record: RequestRecord, asyncId?: number): void;
  /** Between these two, the code that allocates is the agent's. They may nest. */
  beginAgent(): void;
  endAgent(): void;
  /** Writes everything up to now into the ledger. */
  settle(): void;
}

export class NoLabels implements Labels {
  readonly mechanism = "none";
  /** There are no samples to tell apart. */
  readonly turn = 0;
  attach(): boolean {
    return true;
  }
  detach(): void {}
  adopt(): void {}
  beginAgent(): void {}
  endAgent(): void {}
  settle(): void {}
}

/** What an exception inside a mechanism is given to. */
export type Caught = (error: unknown) => void;

/**
 * At each boundary the counter is read; where it moved, the new ordinals belong to the context that ends here.
 * The exit of `runInAsyncScope` must be checked inside the scope: on Node 24 and later the frame is back by the time it
 * returns.
 */
export class HookLabels implements Labels {
  readonly mechanism = "hook";
  readonly turn: null = TURN_UNKNOWN;
  #lastOrdinal = 0;
  #agentDepth = 0;
  #attached = false;
  #hook: AsyncHook | null = null;

  constructor(
    private readonly ordinals: OrdinalReader,
    private readonly ledger: OwnerLedger,
    private readonly caught: Caught,
    /** False in the self-test, which is synchronous and must leave no hook behind. */
    private readonly usesAsyncHook: boolean,
  ) {}

  attach(): boolean {
    const now = this.ordinals.read();
    if (now < 0) return false;
    this.#lastOrdinal = now;
    if (this.#attached) return true;
    this.#attached = true;
    setSwitchListener(this.#check);
    wrapAsyncScope(this.#check);
    if (this.usesAsyncHook) this.#hook = createHook({ after: this.#check }).enable();
    return true;
  }

  detach(): void {
    this.#attached = false;
    this.#hook?.disable();
    this.#hook = null;
    setSwitchListener(() => {});
    unwrapAsyncScope();
  }

  adopt(record: RequestRecord): void {
    const current = currentRecord();
    const isParsed = this.#agentDepth === 0 && (current === null || current.endOrdinal !== STILL_OPEN);
    this.#ownUpToNow(isParsed ? record : current);
  }

  beginAgent(): void {
    this.#check();
    this.#agentDepth++;
  }

  endAgent(): void {
    this.#check();
    if (this.#agentDepth > 0) this.#agentDepth--;
  }

  settle(): void {
    this.#check();
  }

  readonly #check = (): void => {
    if (this.ordinals.read() > this.#lastOrdinal) this.#ownUpToNow(currentRecord());
  };

  #ownUpToNow(record: RequestRecord | null): void {
    const now = this.ordinals.read();
    const last = this.#lastOrdinal;
    if (now <= last || !this.#attached) return;
    this.#lastOrdinal = now;
    try {
      this.ledger.own(last + 1, now, this.#tokenFor(record));
    } catch (error) {
      this.caught(error);
    }
  }

  #tokenFor(record: RequestRecord | null): OwnerToken {
    if (this.#agentDepth > 0) return OWNER_AGENT;
    return record === null ? OWNER_BACKGROUND : this.ledger.tokenFor(record);
  }
}

/** Samples that may wait in the addon's ring of 256 before a request drains it. */
const MAX_WAITING = 64;

/** V8's sampler itself notes the context of each sample; the addon hands them out once per loop turn. */
export class InterposedLabels implements Labels {
  readonly mechanism = "interpose";
  readonly #control: Int32Array;
  /** While a request is adopted: it gets the samples that were taken in no context by the resource that runs now. */
  #adopting: RequestRecord | null = null;
  #adoptedAsyncId = -1;

  constructor(
    private readonly source: LabelSource,
    private readonly ledger: OwnerLedger,
    private readonly caught: Caught,
  ) {
    this.#control = source.control;
  }

  get turn(): number {
    return this.#control[CONTROL_TURN] ?? 0;
  }

  attach(): boolean {
    return this.source.interpose(storage, this.#drained);
  }

  detach(): void {
    this.source.drain();
    this.source.removeInterposition();
  }

  adopt(record: RequestRecord, asyncId?: number): void {
    if (this.#control[CONTROL_RING_LENGTH] === 0) return;
    this.#adopting = record;
    this.#adoptedAsyncId = asyncId ?? executionAsyncId();
    this.source.drain();
    this.#adopting = null;
  }

  beginAgent(): void {
    // Once per loop turn is too late for a turn that is full of requests.
    if ((this.#control[CONTROL_RING_LENGTH] ?? 0) >= MAX_WAITING) this.source.drain();
    this.#control[CONTROL_INSIDE_AGENT] = (this.#control[CONTROL_INSIDE_AGENT] ?? 0) + 1;
  }

  endAgent(): void {
    // A capture fills the ring with samples of its own: what the service allocates in this turn must find room.
    if ((this.#control[CONTROL_RING_LENGTH] ?? 0) >= MAX_WAITING) this.source.drain();
    this.#control[CONTROL_INSIDE_AGENT] = Math.max(0, (this.#control[CONTROL_INSIDE_AGENT] ?? 0) - 1);
  }

  settle(): void {
    this.source.drain();
  }

  readonly #drained = (ordinals: Float64Array, stores: readonly unknown[], count: number): void => {
    for (let i = 0; i < count; i++) {
      const ordinal = ordinals[i] ?? 0;
      this.ledger.own(ordinal, ordinal, this.#ownerOf(stores[i], ordinal));
    }
  };

  #ownerOf(store: unknown, ordinal: number): OwnerToken {
    if (store === AGENT_STORE) return OWNER_AGENT;
    try {
      const record = store === this.#adoptedAsyncId ? this.#adopting : recordIn(store);
      if (record === null) return OWNER_BACKGROUND;
      // Samples are drained in the turn they were taken in: it ended in this one, so its end moves.
      if (record.endTurn === this.turn && record.endOrdinal < ordinal) this.ledger.end(record, ordinal);
      return this.ledger.tokenFor(record);
    } catch (error) {
      this.caught(error);
      return OWNER_UNATTRIBUTED;
    }
  }
}

type ScopeFunction = (this: unknown, ...args: unknown[]) => unknown;
type RunInAsyncScope = (this: AsyncResource, fn: ScopeFunction, thisArg?: unknown, ...args: unknown[]) => unknown;

/** The check of the mechanism in charge; the wrapper stays when somebody else has wrapped it again in the meantime. */
let scopeCheck: (() => void) | null = null;
let originalRun: RunInAsyncScope | null = null;
let wrappedRun: RunInAsyncScope | null = null;

function wrapAsyncScope(check: () => void): void {
  scopeCheck = check;
  if (wrappedRun !== null) return;
  const prototype = AsyncResource.prototype as unknown as { runInAsyncScope: RunInAsyncScope };
  const original = prototype.runInAsyncScope;
  originalRun = original;
  wrappedRun = function runInAsyncScope(fn, thisArg, ...args) {
    if (scopeCheck === null || typeof fn !== "function") return original.call(this, fn, thisArg, ...args);
    scopeCheck();
    return original.call(this, runChecked, thisArg, fn, ...args);
  };
  prototype.runInAsyncScope = wrappedRun;
}

function runChecked(this: unknown, fn: unknown, ...args: unknown[]): unknown {
  try {
    return Reflect.apply(fn as ScopeFunction, this, args);
  } finally {
    scopeCheck?.();
  }
}

function unwrapAsyncScope(): void {
  scopeCheck = null;
  const prototype = AsyncResource.prototype as unknown as { runInAsyncScope: RunInAsyncScope };
  if (originalRun === null || prototype.runInAsyncScope !== wrappedRun) return;
  prototype.runInAsyncScope = originalRun;
  wrappedRun = null;
  originalRun = null;
}
