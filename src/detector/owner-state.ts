/** Pure. Owns what is remembered about one owner (a route, or background work): its order, clock and verdicts. */
import type { VerdictName } from "../model/finding";
import type { Route } from "../model/owner";
import type { Clock } from "./exposure";
import type { Evaluation } from "./hypothesis";
import type { InferredOwner } from "./infer-owner";
import type { LadderReading } from "./ladder";
import { isRefuted } from "./verdict";

/** Sites with a verdict, or with one before. */
export const MAX_TRACKED_PER_OWNER = 64;

/** A site that has, or had, a verdict. */
export interface TrackedSite {
  /** The function whose samples are the evidence. */
  frame: number;
  /** The function that is named: `frame`, or one below it (src/detector/inlining.ts). */
  readonly namedFrame: number;
  /** Names of the three functions that end in the site, as first reported: part of the finding's id, so they stay. */
  siteFunctions: readonly string[];
  verdict: VerdictName;
  previousVerdict: VerdictName | null;
  sequence: number;
  readonly firstSeenMillis: number;
  /** Since when the rules no longer support the standing verdict; null while they do. */
  brokenSinceMillis: number | null;
  /** Since when `urgent` stands although no look supported as much; null while one does. */
  calmSinceMillis: number | null;
  /** Withdrawn although the evidence is over threshold: it is not watched again on the same evidence. */
  isSpent: boolean;
  /** Since when it could stand as a leak, but waits for a route that retains more at the same site. */
  readySinceMillis: number | null;
  /** The container that grows there, as of the latest look; null where none does. */
  ladder: LadderReading | null;
  ladderSinceMillis: number;
  /** The route found by regression, for owners without requests: once told it stays, whatever later mixes of requests can tell. */
  inferred: InferredOwner | null;
  inferredAtMillis: number;
  /** How the routes were called when a site of the pool was last told; null for other owners, and before. */
  pooledAs: Route | null;
}

export class OwnerState {
  private readonly siteOrders = new Map<number, number>();
  private readonly overSince = new Map<number, number>();
  /** When a function's evidence last spoke against a leak. */
  private readonly refutedAt = new Map<number, number>();
  /** By the named function. */
  readonly tracked: Map<number, TrackedSite> = new Map();
  /** How often a site found no room. */
  refusedCount = 0;
  evaluations: ReadonlyMap<number, Evaluation> = new Map();
  /** Order in which owners were first tested; decides the share of the error budget. -1 before. */
  order = -1;

  constructor(
    readonly key: string,
    /** Index into the routes, or -1. */
    readonly route: number,
    public clock: Clock,
    readonly hasRequests: boolean,
  ) {}

  /** Order of appearance of a function within this owner; decides its share of the error budget. */
  siteOrder(frame: number): number {
    const known = this.siteOrders.get(frame);
    if (known !== undefined) return known;
    const order = this.siteOrders.size;
    this.siteOrders.set(frame, order);
    return order;
  }

  /** Follows one more site, where there is no room in place of the oldest that is over and done with. @returns false: refused. */
  track(site: TrackedSite): boolean {
    if (this.tracked.size >= MAX_TRACKED_PER_OWNER) {
      const done = [...this.tracked.values()].find((tracked) => this.isDone(tracked));
      if (done === undefined) {
        this.refusedCount++;
        return false;
      }
      this.tracked.delete(done.namedFrame);
    }
    this.tracked.set(site.namedFrame, site);
    return true;
  }

  /** Nothing speaks for it now, so that it would not be told anew on evidence that was told before. */
  private isDone({ verdict, isSpent, ladder, frame }: TrackedSite): boolean {
    if (verdict !== "retracted" && verdict !== "inconclusive") return false;
    return !isSpent && ladder === null && this.evaluations.get(frame)?.overThreshold !== true;
  }

  /** Notes which functions are over threshold at this look. */
  noteLook(evaluations: ReadonlyMap<number, Evaluation>, nowMillis: number): void {
    this.evaluations = evaluations;
    for (const frame of this.overSince.keys()) {
      if (evaluations.get(frame)?.overThreshold) continue;
      this.overSince.delete(frame);
      this.refutedAt.delete(frame);
    }
    for (const [frame, evaluation] of evaluations) {
      if (evaluation.overThreshold && !this.overSince.has(frame)) this.overSince.set(frame, nowMillis);
      if (evaluation.overThreshold && isRefuted(evaluation)) this.refutedAt.set(frame, nowMillis);
    }
  }

  heldMillis(frame: number, nowMillis: number): number {
    const since = this.overSince.get(frame);
    return since === undefined ? 0 : nowMillis - since;
  }

  /** How long it has been over threshold with nothing that speaks against a leak at any look. */
  unrefutedMillis(frame: number, nowMillis: number): number {
    return Math.min(
      this.heldMillis(frame, nowMillis),
      nowMillis - (this.refutedAt.get(frame) ?? Number.NEGATIVE_INFINITY),
    );
  }

  /** The sampler forgot everything: what was measured before cannot be compared with what comes. */
  restart(clock: Clock): void {
    this.clock = clock;
    this.overSince.clear();
    this.refutedAt.clear();
    this.evaluations = new Map();
  }
}
