/**
 * Pure. Owns the matured samples the detector remembers, alive and dead, by owner.
 * Bounded: the live samples, and the deaths of the last half of each owner's exposure, the latest first.
 */
import type { MaturedSample } from "../model/observation";
import type { OwnerKind } from "../model/owner";

export class StoredSample {
  /** Infinity while alive. */
  freedMillis: number = Number.POSITIVE_INFINITY;
  /** Part of a growing container's chain of reallocations: no vote in the cohort test. */
  container = false;
  /** Its successor has been found. */
  paired = false;
  /**
   * Of the latest look at its owner (src/detector/hypothesis.ts): how many starts are not after its birth and not after
   * its death (-1 while alive), and at how many ages it has matured.
   */
  bornAfter = 0;
  freedAfter = -1;
  ripeAges = 0;

  constructor(
    /** Running number. */
    readonly id: number,
    readonly thread: number,
    readonly bornMillis: number,
    readonly maturedMillis: number,
    readonly kind: OwnerKind,
    public owner: string,
    readonly stack: number,
    readonly sizeBytes: number,
    private readonly intervalBytes: number,
  ) {}

  /** 1/p: how many objects of this size one sample stands for. */
  get weight(): number {
    return 1 / inclusionProbability(this.sizeBytes, this.intervalBytes);
  }

  /** Variance of `sizeBytes * weight` as an estimate of the bytes allocated: z^2 (1-p) / p^2. */
  get varianceBytes2(): number {
    const p = inclusionProbability(this.sizeBytes, this.intervalBytes);
    return (this.sizeBytes ** 2 * (1 - p)) / p ** 2;
  }
}

/** Objects from this size on may be the backing store of a growing container. */
const CONTAINER_MINIMUM_BYTES = 2_048;
/** V8's Map doubles, arrays grow by half plus 16, a rehash of equal size happens; more than this is no rehash. */
const CONTAINER_MAXIMUM_GROWTH = 4.2;
const CONTAINER_MINIMUM_GROWTH = 0.95;
/** One container has one backing store; two while it is being moved. */
const MAX_LIVING_SUCCESSORS = 2;
const RECENT_CONTAINERS = 512;
/** Living ones; beyond it new ones are not taken (counted). */
const MAX_SAMPLES = 80_000;
/** Deaths remembered, shared by the owners; each has room for so many at least. */
const MAX_DEAD = 20_000;
const MIN_DEAD_PER_OWNER = 40;

/** Inclusion probability of an object under V8's Poisson sampling by bytes: p = 1 - exp(-z/R). */
export function inclusionProbability(sizeBytes: number, intervalBytes: number): number {
  return -Math.expm1(-sizeBytes / intervalBytes);
}

export class SampleStore {
  private readonly byKey = new Map<string, StoredSample>();
  private readonly byOwner = new Map<string, Set<StoredSample>>();
  private readonly recentContainers: StoredSample[] = [];
  /** Owners whose oldest deaths were dropped: when the last of those happened. */
  private readonly deathsSince = new Map<string, number>();
  /** Deaths before this were dropped, by owner. */
  private readonly prunedBefore = new Map<string, number>();
  private storedCount = 0;
  droppedCount = 0;

  /** @param leafOf the frame that allocated a stack's samples; a container keeps it while it grows. */
  constructor(private readonly leafOf: (stack: number) => number) {}

  /** Living samples. */
  get size(): number {
    return this.byKey.size;
  }

  /** Living samples, and dead ones that still count. */
  get storedSize(): number {
    let count = 0;
    for (const samples of this.byOwner.values()) count += samples.size;
    return count;
  }

  of(owner: string): ReadonlySet<StoredSample> {
    return this.byOwner.get(owner) ?? new Set();
  }

  /** @returns null when there is no room. */
  mature(
    sample: MaturedSample,
    owner: string,
    thread: number,
    nowMillis: number,
    intervalBytes: number,
  ): StoredSample | null {
    if (this.byKey.size >= MAX_SAMPLES) {
      this.droppedCount++;
      return null;
    }
    const stored = new StoredSample(
      ++this.storedCount,
      thread,
      sample.bornMillis,
      nowMillis,
      sample.kind,
      owner,
      sample.stack,
      sample.sizeBytes,
      intervalBytes,
    );
    this.byKey.set(sample.key, stored);
    this.ownerSet(owner).add(stored);
    this.noteContainer(stored);
    return stored;
  }

  free(key: string, nowMillis: number): void {
    const sample = this.byKey.get(key);
    if (sample === undefined) return;
    this.byKey.delete(key);
    sample.freedMillis = nowMillis;
    if (sample.sizeBytes >= CONTAINER_MINIMUM_BYTES) this.pairContainers();
  }

  /** The thread's sampler forgot everything: its samples leave without having died. */
  forgetThread(thread: number): void {
    for (const [key, sample] of this.byKey) if (sample.thread === thread) this.byKey.delete(key);
    for (const samples of this.byOwner.values()) {
      for (const sample of samples) if (sample.thread === thread) samples.delete(sample);
    }
  }

  rename(from: string, to: string): void {
    const moved = this.byOwner.get(from);
    if (moved === undefined || from === to) return;
    this.byOwner.delete(from);
    const since = Math.max(this.completeSince(from), this.completeSince(to));
    if (since !== Number.NEGATIVE_INFINITY) this.deathsSince.set(to, since);
    this.deathsSince.delete(from);
    const pruned = Math.max(this.prunedBefore.get(from) ?? 0, this.prunedBefore.get(to) ?? 0);
    this.prunedBefore.delete(from);
    if (pruned > 0) this.prunedBefore.set(to, pruned);
    const target = this.ownerSet(to);
    for (const sample of moved) {
      sample.owner = to;
      target.add(sample);
    }
  }

  /**
   * Drops deaths before `beforeMillis` of one owner: no start that is still looked at can count them. Of more than its
   * share, the oldest go too; then no start may lie before the last of them.
   */
  pruneDeaths(owner: string, beforeMillis: number): void {
    const samples = this.byOwner.get(owner);
    if (samples === undefined) return;
    this.prunedBefore.set(owner, Math.max(beforeMillis, this.prunedBefore.get(owner) ?? 0));
    const deaths: number[] = [];
    for (const sample of samples) {
      if (sample.freedMillis < beforeMillis) samples.delete(sample);
      else if (sample.freedMillis !== Number.POSITIVE_INFINITY) deaths.push(sample.freedMillis);
    }
    const share = Math.max(MIN_DEAD_PER_OWNER, Math.floor(MAX_DEAD / this.byOwner.size));
    if (deaths.length > share) this.dropOldest(owner, samples, deaths, share);
    if (samples.size === 0) this.byOwner.delete(owner);
  }

  /** Deaths of this owner are known completely since then. */
  completeSince(owner: string): number {
    return this.deathsSince.get(owner) ?? Number.NEGATIVE_INFINITY;
  }

  /** The same, whichever start asks: also since what was dropped because no start of its owner could count it. */
  deathsKnownSince(owner: string): number {
    return Math.max(this.completeSince(owner), this.prunedBefore.get(owner) ?? Number.NEGATIVE_INFINITY);
  }

  private dropOldest(owner: string, samples: Set<StoredSample>, deaths: number[], share: number): void {
    deaths.sort((a, b) => a - b);
    // A quarter more than needed, so that this does not come at every look.
    const last = deaths[Math.min(deaths.length - 1, deaths.length - Math.floor(share * 0.75))] ?? 0;
    for (const sample of samples) if (sample.freedMillis <= last) samples.delete(sample);
    this.deathsSince.set(owner, last + 1);
  }

  private ownerSet(owner: string): Set<StoredSample> {
    let samples = this.byOwner.get(owner);
    if (samples === undefined) {
      samples = new Set();
      this.byOwner.set(owner, samples);
    }
    return samples;
  }

  private noteContainer(sample: StoredSample): void {
    if (sample.sizeBytes < CONTAINER_MINIMUM_BYTES) return;
    this.recentContainers.push(sample);
    if (this.recentContainers.length > RECENT_CONTAINERS) this.recentContainers.shift();
    this.pairContainers();
  }

  /**
   * A dead object and a larger living one from the same leaf, born while the first lived: the container was
   * reallocated. Neither is a death nor a survival of what the program keeps. A leaf with many living objects of that
   * size is no container (a cache of large values), and its deaths count.
   */
  private pairContainers(): void {
    for (const dead of this.recentContainers) {
      if (dead.freedMillis === Number.POSITIVE_INFINITY || dead.paired) continue;
      const successors = this.recentContainers.filter((other) => isSuccessor(dead, other, this.leafOf));
      const alive = successors.filter((other) => other.freedMillis === Number.POSITIVE_INFINITY);
      if (successors.length === 0 || alive.length > MAX_LIVING_SUCCESSORS) continue;
      dead.paired = true;
      dead.container = true;
      for (const successor of successors) successor.container = true;
    }
  }
}

function isSuccessor(dead: StoredSample, other: StoredSample, leafOf: (stack: number) => number): boolean {
  const growth = other.sizeBytes / dead.sizeBytes;
  return (
    other !== dead &&
    other.thread === dead.thread &&
    other.bornMillis > dead.bornMillis &&
    other.bornMillis <= dead.freedMillis &&
    growth >= CONTAINER_MINIMUM_GROWTH &&
    growth <= CONTAINER_MAXIMUM_GROWTH &&
    leafOf(other.stack) === leafOf(dead.stack)
  );
}
