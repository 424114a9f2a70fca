/**
 * Pure. Owns what keeps a verdict from being told: that it is another finding's already, or that one which names it better
 * is about to come.
 */
import { isAlarm, type VerdictName } from "../model/finding";
import type { DetectorMemory } from "./detector-memory";
import { halfExposureMillis } from "./exposure";
import type { Evaluation } from "./hypothesis";
import { yieldsToOwnCode } from "./naming";
import type { OwnerState, TrackedSite } from "./owner-state";
import { RoutePool } from "./route-pool";
import type { StoredSample } from "./sample-store";
import { isStanding } from "./verdict";

/** Evidence above this share of its threshold will probably cross it within a horizon. */
const PROMISING_SHARE = 0.5;
/** A route is over its threshold for a horizon before it may stand; noise may make that longer. */
const ROUTE_FIRST_HORIZONS = 1.5;
/** Sites of two routes are one when more than this share of the samples passes through the standing one. */
const SAME_SITE_SHARE = 0.5;
const COMMON_PART_SHARE = 0.2;

export class Precedence {
  constructor(private readonly memory: DetectorMemory) {}

  /** Whether `next` is not to be told of the site at this look. */
  holdsBack(owner: OwnerState, tracked: TrackedSite, next: VerdictName, now: number): boolean {
    if (owner === this.memory.pool.owner && this.waitsForARoute(owner, tracked, next, now)) return true;
    if (!isStanding(tracked.verdict) && isStanding(next)) {
      return (
        this.mergesIntoAnother(owner, tracked, next) ||
        this.waitsForAnother(owner, tracked, now) ||
        this.waitsForOwnCode(owner, tracked, next, now)
      );
    }
    if (!isAlarm({ verdict: next }) || isAlarm(tracked)) return false;
    return this.isToldElsewhere(owner, tracked, next) || (next === "leak" && this.waitsForAnother(owner, tracked, now));
  }

  /**
   * What one route retains is one finding: an object graph is allocated in many places. One site leaking on several
   * routes is one finding too. Owners without a route may have several unrelated ones.
   */
  private mergesIntoAnother(owner: OwnerState, tracked: TrackedSite, verdict: VerdictName): boolean {
    const standsHere =
      owner.hasRequests && [...owner.tracked.values()].some((site) => isStanding(site.verdict) && site !== tracked);
    return standsHere || this.isToldElsewhere(owner, tracked, verdict);
  }

  /** An alarm is told only by an alarm: what fills a cache on another route says nothing of a leak on this one. */
  private isToldElsewhere(owner: OwnerState, tracked: TrackedSite, verdict: VerdictName): boolean {
    const living = this.memory.livingAt(owner, tracked.frame);
    const { pool, owners } = this.memory;
    for (const other of [...owners.values(), pool.owner]) {
      if (other === owner) continue;
      // The samples of a route are in the pool too.
      const tells =
        other !== pool.owner && isAlarm({ verdict }) ? isAlarm : (site: TrackedSite) => isStanding(site.verdict);
      if ([...other.tracked.values()].some((site) => tells(site) && this.isSameSite(site, tracked, living)))
        return true;
    }
    return false;
  }

  /** The finding is named after the route with most bytes per request: a lesser one gives it a horizon to come first. */
  private waitsForAnother(owner: OwnerState, tracked: TrackedSite, now: number): boolean {
    // The pool waits for its routes as it is (`waitsForARoute`).
    const isPoolsAlarm = owner === this.memory.pool.owner && isStanding(tracked.verdict);
    if (!owner.hasRequests || isPoolsAlarm) return false;
    tracked.readySinceMillis ??= now;
    if (now - tracked.readySinceMillis > this.memory.options.horizonMillis) return false;
    const living = this.memory.livingAt(owner, tracked.frame);
    const rate = this.bytesPerRequest(owner, tracked, now);
    for (const other of this.memory.owners.values()) {
      if (other === owner || !other.hasRequests) continue;
      for (const site of other.tracked.values()) {
        if (!other.evaluations.get(site.frame)?.overThreshold || !this.isSameSite(site, tracked, living)) continue;
        if (this.bytesPerRequest(other, site, now) > rate) return true;
      }
    }
    return false;
  }

  /**
   * A site of the pool is news only while it is spread over routes, and no route of its own is about to be named. Once it is
   * watched, a route that is over its threshold gets the horizon that it takes to be sure, and half as much again. What is
   * urgent waits for nobody then.
   */
  private waitsForARoute(owner: OwnerState, tracked: TrackedSite, next: VerdictName, now: number): boolean {
    const { frame, verdict } = tracked;
    const isWatched = verdict === "watch";
    if (isStanding(verdict) || (isWatched && (!isStanding(next) || next === "urgent"))) return false;
    if (!isWatched && !RoutePool.isSpread(owner.evaluations.get(frame)?.survivors ?? [])) return true;
    const patience = ROUTE_FIRST_HORIZONS * this.memory.options.horizonMillis;
    // Also of routes that are over their threshold, and so not in the pool, but do not stand yet.
    return this.memory.routeOwners().some((route) => {
      const own = route.evaluations.get(frame);
      if (own === undefined) return false;
      if (isWatched) return own.overThreshold && route.heldMillis(frame, now) < patience;
      return own.lnE > PROMISING_SHARE * own.lnThreshold;
    });
  }

  /**
   * What Node made is named only where no code of the service or a package is about to be, what only leads to the service's
   * own code (and is not urgent) where none of that holds enough: those get a horizon.
   */
  private waitsForOwnCode(owner: OwnerState, tracked: TrackedSite, next: VerdictName, now: number): boolean {
    const { stacks, options } = this.memory;
    const { evaluations } = owner;
    const isNodes = !stacks.isNamableFrame(tracked.frame);
    if (!isNodes && (next === "urgent" || !yieldsToOwnCode(tracked.frame, evaluations, stacks))) return false;
    tracked.readySinceMillis ??= now;
    if (now - tracked.readySinceMillis > options.horizonMillis) return false;
    const isPromising = ([frame, { lnE, lnThreshold }]: [number, Evaluation]): boolean =>
      stacks.isNamableFrame(frame) && lnE > PROMISING_SHARE * lnThreshold;
    return !isNodes || [...evaluations].some(isPromising);
  }

  /** Bytes that live of births in the later half of the owner's exposure, per request. */
  private bytesPerRequest(owner: OwnerState, tracked: TrackedSite, now: number): number {
    const since = halfExposureMillis(owner.clock, now);
    let bytes = 0;
    for (const sample of this.memory.livingAt(owner, tracked.frame)) {
      if (sample.bornMillis >= since) bytes += sample.sizeBytes * sample.weight;
    }
    return bytes / Math.max(1, owner.clock.at(now) - owner.clock.at(since));
  }

  /**
   * The same function, or one that most of the candidate's samples pass through: two depths of one site. A part is enough
   * where the evidence is the same function's, which inlining lets two routes call by different names.
   */
  private isSameSite(standing: TrackedSite, candidate: TrackedSite, living: readonly StoredSample[]): boolean {
    if (standing.namedFrame === candidate.namedFrame) return true;
    const through = living.filter((sample) => this.memory.stacks.stack(sample.stack).includes(standing.namedFrame));
    const least = standing.frame === candidate.frame ? COMMON_PART_SHARE : SAME_SITE_SHARE;
    return through.length > least * living.length;
  }
}
