/** Pure. Owns what the memory level adds to the verdicts: which of them are urgent, and growth that no site explains. */
import type { VerdictName } from "../model/finding";
import type { DetectorMemory } from "./detector-memory";
import { Urgency } from "./forecast";
import { outsideTransition } from "./outside-finding";
import { OutsideGrowth } from "./outside-growth";
import type { OwnerState, TrackedSite } from "./owner-state";
import type { Transition } from "./transition";
import { isStanding } from "./verdict";

const HOUR_MILLIS = 3_600_000;
/**
 * A site that explains less of the level's growth than this is not what somebody must be woken for; nor is one that grows
 * by less than this of what it takes to meet the limit so soon, where the level has gone up in one step.
 */
const URGENT_SITE_SHARE = 0.2;

/** Levels change slowly, and each is gone through whole: they are looked at no more often than this share of the horizon. */
const OUTSIDE_SPACING_SHARE = 1 / 24;

export class LevelWatch {
  private readonly urgency: Urgency;
  private readonly outside: OutsideGrowth;
  private isUrgent = false;
  private lookedOutsideMillis = 0;

  constructor(private readonly memory: DetectorMemory) {
    this.urgency = new Urgency(memory.options.horizonMillis);
    this.outside = new OutsideGrowth(memory.options.horizonMillis);
  }

  /** Before the sites are judged: is the level about to meet its limit? */
  lookAtLevel(nowMillis: number): void {
    const origin = this.memory.levels.firstMillis();
    this.isUrgent = origin !== null && this.urgency.look(this.memory.levels, origin, nowMillis);
  }

  /** `urgent` for a site that the level's growth comes from, while that growth is about to meet the limit. */
  escalate(
    verdict: VerdictName | null,
    owner: OwnerState,
    tracked: TrackedSite,
    nowMillis: number,
  ): VerdictName | null {
    if (!this.isUrgent || (verdict !== "leak" && verdict !== "watch")) return verdict;
    const since = this.halfLifeMillis(nowMillis);
    const heap = this.memory.levels.trend((reading) => reading.postGcHeapBytes, since);
    if (heap === null || heap.bytesPerHour <= 0) return verdict;
    const inHalfLife = this.bytesPerHour(owner, tracked, since, nowMillis);
    // What began within the last horizon would be thinned out by the time before it.
    const horizonAgo = nowMillis - this.memory.options.horizonMillis;
    const inHorizon = since < horizonAgo ? this.bytesPerHour(owner, tracked, horizonAgo, nowMillis) : inHalfLife;
    const isCause = Math.max(inHalfLife, inHorizon) >= URGENT_SITE_SHARE * this.urgency.neededBytesPerHour;
    return isCause && inHalfLife >= URGENT_SITE_SHARE * heap.bytesPerHour ? "urgent" : verdict;
  }

  /** After the sites were judged: what grows beside them. */
  lookOutside(nowMillis: number): Transition[] {
    const { levels } = this.memory;
    const originMillis = levels.firstMillis();
    const spacing = OUTSIDE_SPACING_SHARE * this.memory.options.horizonMillis;
    if (originMillis === null || nowMillis - this.lookedOutsideMillis < spacing) return [];
    this.lookedOutsideMillis = nowMillis;
    const look = {
      nowMillis,
      originMillis,
      isUrgent: this.isUrgent,
      siteBytesPerHour: this.isUrgent ? this.standingBytesPerHour(nowMillis) : 0,
    };
    return this.outside.look(levels, look).map((change) => outsideTransition(this.memory, change, nowMillis));
  }

  private halfLifeMillis(nowMillis: number): number {
    return ((this.memory.levels.firstMillis() ?? nowMillis) + nowMillis) / 2;
  }

  private standingBytesPerHour(nowMillis: number): number {
    const since = this.halfLifeMillis(nowMillis);
    let sum = 0;
    for (const owner of [...this.memory.owners.values(), this.memory.pool.owner]) {
      for (const tracked of owner.tracked.values()) {
        if (isStanding(tracked.verdict)) sum += this.bytesPerHour(owner, tracked, since, nowMillis);
      }
    }
    return sum;
  }

  private bytesPerHour(owner: OwnerState, tracked: TrackedSite, sinceMillis: number, nowMillis: number): number {
    let bytes = 0;
    for (const sample of this.memory.livingAt(owner, tracked.frame)) {
      if (sample.bornMillis >= sinceMillis) bytes += sample.sizeBytes * sample.weight;
    }
    return nowMillis <= sinceMillis ? 0 : (bytes * HOUR_MILLIS) / (nowMillis - sinceMillis);
  }
}
