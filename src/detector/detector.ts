/**
 * Pure: the same observations give the same transitions, live or replayed from a history file.
 * Owns the order of work at each look: take in, test every function of every owner, name sites, judge, report changes.
 */
import { isAlarm, type VerdictName } from "../model/finding";
import type { Observation } from "../model/observation";
import { describeTransition, type GrowthOf, routeHasShown } from "./describe-transition";
import { DetectorMemory, type DetectorOptions } from "./detector-memory";
import { halfExposureMillis } from "./exposure";
import { evaluateAll } from "./hypotheses";
import { type Evaluation, Look } from "./hypothesis";
import { nameBelow } from "./inlining";
import { judgeLadder, type LadderReading, perHour } from "./ladder";
import type { Trend } from "./level-trend";
import { LevelWatch } from "./level-watch";
import { type NamedSite, nameSites } from "./naming";
import type { OwnerState, TrackedSite } from "./owner-state";
import { oldestBirth } from "./retained";
import { RoutePool } from "./route-pool";
import type { StoredSample } from "./sample-store";
import { type DetectorSummary, summarize } from "./summary";
import { SurvivalTally } from "./survival-tally";
import type { Transition } from "./transition";
import { isRefuted, isStanding, judge, WITHDRAWAL_SHARE_OF_HORIZON } from "./verdict";

export type { DetectorOptions } from "./detector-memory";
export type { Transition } from "./transition";

/** Fewer matured samples than this cannot cross any threshold. */
const MINIMUM_SAMPLES = 8;
/** Observations come from several threads; the owners are looked at no more often than this share of the horizon. */
const LOOK_SPACING_SHARE = 1 / 60;
/** A look takes time in proportion to the samples remembered: with more than this, looks come less often. */
const SAMPLES_PER_LOOK_SPACING = 2_000;
/** Evidence above this share of its threshold will probably cross it within a horizon. */
const PROMISING_SHARE = 0.5;
/** A route is over its threshold for a horizon before it may stand; noise may make that longer. */
const ROUTE_FIRST_HORIZONS = 1.5;
/** Sites of two routes are one when more than this share of the samples passes through the standing one. */
const SAME_SITE_SHARE = 0.5;
const COMMON_PART_SHARE = 0.2;

export class Detector {
  private readonly memory: DetectorMemory;
  private readonly levelWatch: LevelWatch;
  private lastLookMillis = 0;
  /** Most functions that one look tested, over all owners; and those of the present look. */
  private hypothesisCount = 0;
  private testedInLook = 0;
  private testedOwnerCount = 0;
  private survivals: SurvivalTally | null = null;

  constructor(options: DetectorOptions) {
    this.memory = new DetectorMemory(options);
    this.levelWatch = new LevelWatch(this.memory);
  }

  /** Takes one observation in and answers which verdicts changed because of it (or of the time that passed). */
  observe(observation: Observation): readonly Transition[] {
    this.memory.takeIn(observation);
    this.survivals?.observe(observation);
    const now = observation.timeMillis;
    const spacing =
      LOOK_SPACING_SHARE *
      this.memory.options.horizonMillis *
      Math.max(1, this.memory.store.storedSize / SAMPLES_PER_LOOK_SPACING);
    if (now - this.lastLookMillis < spacing) return [];
    this.lastLookMillis = now;
    return this.look(now);
  }

  /** Everything remembered, for reading only. */
  get view(): DetectorMemory {
    return this.memory;
  }

  /**
   * The record of a `leak` that more than this life speaks for (lives.ts); the site's own verdict stays as it is.
   * @returns null where the owner or the site is unknown.
   */
  describeAcrossLives(
    ownerKey: string,
    { frame, namedFrame }: Pick<TrackedSite, "frame" | "namedFrame">,
    growthOf: GrowthOf,
    now: number,
  ): Transition | null {
    const owner = this.memory.owners.get(ownerKey);
    if (owner === undefined) return null;
    const own = owner.tracked.get(namedFrame) ?? newSite(frame, namedFrame, now);
    const previousVerdict = own.sequence === 0 ? null : own.verdict;
    const site: TrackedSite = { ...own, verdict: "leak", previousVerdict, sequence: own.sequence + 1 };
    return describeTransition(this.memory, owner, site, now, this.hypothesisCount, growthOf);
  }

  /** Totals by route and site, for metrics; they start when this is first called. */
  tally(): SurvivalTally {
    this.survivals ??= new SurvivalTally(this.memory.stacks);
    return this.survivals;
  }

  /** What found no room and is not followed, for metrics. */
  refused(): Readonly<Record<"sites" | "containers", number>> {
    const { owners, pool, ladders } = this.memory;
    const sites = [...owners.values(), pool.owner].reduce((sum, { refusedCount }) => sum + refusedCount, 0);
    return { sites, containers: ladders.refusedCount };
  }

  /** What is known now, for metrics. @param limit most sites to name. @param shown as in `summarize`. */
  summary(limit: number, shown: ReadonlySet<string>): DetectorSummary {
    return summarize(this.memory, limit, shown);
  }

  private look(now: number): Transition[] {
    const transitions: Transition[] = [];
    const { owners, store } = this.memory;
    this.testedInLook = 0;
    this.levelWatch.lookAtLevel(now);
    const ladders = this.memory.ladders.readings((key) => owners.get(key)?.clock ?? null, now);
    const poolHalfMillis = this.memory.poolHalfMillis(now);
    for (const owner of owners.values()) {
      const halfMillis = halfExposureMillis(owner.clock, now);
      store.pruneDeaths(owner.key, owner.hasRequests ? Math.min(halfMillis, poolHalfMillis) : halfMillis);
      const own = ladders.get(owner.key) ?? [];
      if (store.of(owner.key).size < MINIMUM_SAMPLES && owner.tracked.size === 0 && own.length === 0) {
        if (owner.evaluations.size > 0) owner.noteLook(new Map(), now); // Its samples left with a thread.
        continue;
      }
      this.lookAt(owner, own, now, transitions);
    }
    this.lookAtPool(now, transitions);
    transitions.push(...this.levelWatch.lookOutside(now));
    this.memory.pool.release();
    return transitions;
  }

  /** All routes together, but for those that speak for themselves: what many routes keep a little of. */
  private lookAtPool(now: number, transitions: Transition[]): void {
    const { pool } = this.memory;
    const hasFinding = [...pool.owner.tracked.values()].some((site) => isStanding(site.verdict));
    const members = this.memory.routeOwners().filter((owner) => !speaksForItself(owner, hasFinding));
    this.memory.refreshPool(members, now);
    if (pool.samples.size < MINIMUM_SAMPLES && pool.owner.tracked.size === 0) return;
    this.lookAt(pool.owner, [], now, transitions);
  }

  private lookAt(owner: OwnerState, ladders: readonly LadderReading[], now: number, transitions: Transition[]): void {
    const samples = this.memory.samplesOf(owner);
    const followed = new Set([...owner.tracked.values()].map((site) => site.frame));
    if (owner.order < 0) owner.order = this.testedOwnerCount++;
    const look = new Look(this.memory.contextOf(owner, samples, now), samples);
    const samplesOf = this.byFunction(look.samples, owner.hasRequests);
    const tested = [...samplesOf].filter(
      ([frame, own]) =>
        (own.length >= MINIMUM_SAMPLES || followed.has(frame)) &&
        (owner !== this.memory.pool.owner || RoutePool.isOnEnoughRoutes(own)),
    );
    const evaluations = evaluateAll(owner, look, tested);
    this.testedInLook += evaluations.size;
    this.hypothesisCount = Math.max(this.hypothesisCount, this.testedInLook);
    owner.noteLook(evaluations, now);
    const named = this.nameSitesOf(owner, evaluations, samplesOf, look);
    for (const tracked of owner.tracked.values()) tracked.ladder = null;
    for (const ladder of ladders) this.followLadder(owner, ladder, now);
    this.judgeAll(owner, named, now, transitions);
  }

  private followLadder(owner: OwnerState, ladder: LadderReading, now: number): void {
    const { frame } = ladder;
    // Its first steps are forgotten one day, and who made them; the name that people know stays.
    const standing = [...owner.tracked.values()].find((site) => site.frame === frame && isStanding(site.verdict));
    const namedFrame = standing?.namedFrame ?? ladder.namedFrame;
    if (!owner.tracked.has(namedFrame)) this.track(owner, frame, namedFrame, now);
    const tracked = owner.tracked.get(namedFrame);
    if (tracked !== undefined) tracked.ladder = ladder;
  }

  /** A site that already stands as a leak keeps its name; what it does not hold may be named anew. */
  private nameSitesOf(
    owner: OwnerState,
    evaluations: ReadonlyMap<number, Evaluation>,
    samplesOf: ReadonlyMap<number, readonly StoredSample[]>,
    look: Look,
  ): NamedSite[] {
    const reevaluate = (rest: readonly StoredSample[], frame: number): Evaluation | null =>
      rest.length < MINIMUM_SAMPLES ? null : look.evaluate(rest, owner.siteOrder(frame));
    const standing = [...owner.tracked.values()].filter((site) => isStanding(site.verdict)).map((site) => site.frame);
    const over = new Map([...evaluations].filter(([, { overThreshold }]) => overThreshold));
    const sinceMillis = look.starts[0]?.startMillis ?? 0;
    return nameSites(over, samplesOf, standing, this.memory.stacks, reevaluate, sinceMillis);
  }

  private judgeAll(owner: OwnerState, named: readonly NamedSite[], now: number, transitions: Transition[]): void {
    const current = new Set<number>();
    for (const site of named) {
      const namedFrame = this.nameOf(owner, site.frame);
      current.add(namedFrame);
      this.track(owner, site.frame, namedFrame, now);
    }
    for (const tracked of mostSurvivorsFirst(owner)) {
      const next = this.nextVerdict(owner, tracked, current, now);
      if (next === null || next === tracked.verdict) {
        if (isStanding(tracked.verdict) && routeHasShown(this.memory, owner, tracked, now)) {
          this.tell(owner, tracked, tracked.verdict, now, transitions);
        }
        continue;
      }
      if (owner === this.memory.pool.owner && this.waitsForARoute(owner, tracked, next, now)) continue;
      if (!isStanding(tracked.verdict) && isStanding(next)) {
        if (this.mergesIntoAnother(owner, tracked, next) || this.waitsForAnother(owner, tracked, now)) continue;
        if (this.waitsForOwnCode(owner, tracked, now)) continue;
      } else if (isAlarm({ verdict: next }) && !isAlarm(tracked)) {
        if (this.isToldElsewhere(owner, tracked, next)) continue;
        if (next === "leak" && this.waitsForAnother(owner, tracked, now)) continue;
      }
      this.tell(owner, tracked, next, now, transitions);
    }
  }

  private tell(
    owner: OwnerState,
    tracked: TrackedSite,
    verdict: VerdictName,
    now: number,
    transitions: Transition[],
  ): void {
    tracked.previousVerdict = tracked.sequence === 0 ? null : tracked.verdict;
    tracked.verdict = verdict;
    tracked.sequence++;
    const transition = describeTransition(this.memory, owner, tracked, now, this.hypothesisCount);
    if (transition !== null) transitions.push(transition);
  }

  /** V8 may inline a function while it is followed: its evidence then lies with its caller, its name stays. */
  private track(owner: OwnerState, frame: number, namedFrame: number, now: number): void {
    const known = owner.tracked.get(namedFrame);
    if (known !== undefined) {
      known.frame = frame;
      return;
    }
    owner.track(newSite(frame, namedFrame, now));
  }

  private nextVerdict(
    owner: OwnerState,
    tracked: TrackedSite,
    current: ReadonlySet<number>,
    now: number,
  ): VerdictName | null {
    const supported = this.levelWatch.escalate(this.supportedVerdict(owner, tracked, now), owner, tracked, now);
    if (supported !== "watch") tracked.isSpent = false;
    if (tracked.isSpent) return null;
    const patience = WITHDRAWAL_SHARE_OF_HORIZON * this.memory.options.horizonMillis;
    if (tracked.verdict !== "urgent" || supported === "urgent") tracked.calmSinceMillis = null;
    else tracked.calmSinceMillis ??= now;
    if (tracked.calmSinceMillis !== null && supported !== null) {
      // Nobody is woken twice because the site's share of the growth hovers around what is urgent.
      tracked.brokenSinceMillis = null;
      return now - tracked.calmSinceMillis < patience ? null : supported;
    }
    const standing = isStanding(tracked.verdict);
    const weakens =
      (tracked.verdict === "leak" && supported !== "leak" && supported !== "urgent") ||
      (standing && supported === "watch");
    const isNamed = current.has(tracked.namedFrame) || tracked.ladder !== null;
    if (supported !== null && !weakens && (standing || isNamed)) {
      tracked.brokenSinceMillis = null;
      return supported;
    }
    if (tracked.verdict === "retracted" || tracked.verdict === "inconclusive") return null;
    // Counting noise breaks a rule now and then: a verdict weakens only when it stays broken.
    tracked.brokenSinceMillis ??= now;
    if (now - tracked.brokenSinceMillis < patience) return null;
    if (supported === "saturating") return "saturating";
    // Still over threshold, but for a while now another function names the same samples better.
    if (supported !== null && tracked.verdict === "watch") return "inconclusive";
    if (supported !== "watch") return "retracted";
    if (!isRefuted(owner.evaluations.get(tracked.frame) ?? null)) return null;
    tracked.isSpent = true;
    return "retracted";
  }

  /** What this look alone supports: by cohorts, or by a container that grows there. */
  private supportedVerdict(owner: OwnerState, tracked: TrackedSite, now: number): VerdictName | null {
    const { horizonMillis } = this.memory.options;
    const byCohorts = judge(owner.evaluations.get(tracked.frame) ?? null, {
      heldMillis: owner.heldMillis(tracked.frame, now),
      unrefutedMillis: owner.unrefutedMillis(tracked.frame, now),
      oldestMillis: () => now - oldestBirth(this.memory.livingAt(owner, tracked.frame), now),
      horizonMillis,
      current: tracked.verdict,
    });
    const { ladder } = tracked;
    if (ladder === null) {
      tracked.ladderSinceMillis = now;
      return byCohorts;
    }
    if (byCohorts !== null && byCohorts !== "watch") return byCohorts;
    const bytesPerHour = perHour(owner.clock, ladder, now);
    const trend = (): Trend | null =>
      this.memory.levels.trend((reading) => reading.postGcHeapBytes, ladder.firstMillis);
    const heldMillis = now - tracked.ladderSinceMillis;
    return judgeLadder(ladder, bytesPerHour, trend, { nowMillis: now, heldMillis, horizonMillis });
  }

  private nameOf(owner: OwnerState, frame: number): number {
    return nameBelow(frame, this.memory.livingAt(owner, frame), this.memory.stacks);
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

  /** What Node made is named only where no code of the service or a package is about to be: that one gets a horizon. */
  private waitsForOwnCode(owner: OwnerState, tracked: TrackedSite, now: number): boolean {
    const { stacks, options } = this.memory;
    if (stacks.isNamableFrame(tracked.frame)) return false;
    tracked.readySinceMillis ??= now;
    if (now - tracked.readySinceMillis > options.horizonMillis) return false;
    return [...owner.evaluations].some(
      ([frame, { lnE, lnThreshold }]) => stacks.isNamableFrame(frame) && lnE > PROMISING_SHARE * lnThreshold,
    );
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

  /** @param withNodeFrames without a route, what Node alone made (connections, its timers) names nothing. */
  private byFunction(samples: readonly StoredSample[], withNodeFrames: boolean): Map<number, StoredSample[]> {
    const { stacks } = this.memory;
    const samplesOf = new Map<number, StoredSample[]>();
    for (const sample of samples) {
      if (!withNodeFrames && !stacks.isNamableFrame(stacks.candidatesLeafFirst(sample.stack)[0] ?? -1)) continue;
      // Leaf first: of functions that appear together, the deepest pays the least for the number of hypotheses.
      for (const frame of this.memory.stacks.candidatesLeafFirst(sample.stack)) {
        const own = samplesOf.get(frame);
        if (own === undefined) samplesOf.set(frame, [sample]);
        else own.push(sample);
      }
    }
    return samplesOf;
  }
}

/**
 * Its samples would speak twice. Once a pool has a finding, its routes stay in it: one that later has enough evidence of its
 * own is the same finding.
 */
function speaksForItself(owner: OwnerState, poolHasFinding: boolean): boolean {
  const stands = [...owner.tracked.values()].some((site) => isStanding(site.verdict));
  return stands || (!poolHasFinding && [...owner.evaluations.values()].some(({ overThreshold }) => overThreshold));
}

function mostSurvivorsFirst(owner: OwnerState): TrackedSite[] {
  const survivors = (site: TrackedSite): number => owner.evaluations.get(site.frame)?.survivors.length ?? 0;
  return [...owner.tracked.values()].sort((a, b) => survivors(b) - survivors(a));
}

function newSite(frame: number, namedFrame: number, now: number): TrackedSite {
  return {
    frame,
    namedFrame,
    siteFunctions: [],
    verdict: "inconclusive",
    previousVerdict: null,
    sequence: 0,
    firstSeenMillis: now,
    brokenSinceMillis: null,
    calmSinceMillis: null,
    isSpent: false,
    readySinceMillis: null,
    ladder: null,
    ladderSinceMillis: now,
    inferred: null,
    inferredAtMillis: now,
    pooledAs: null,
  };
}
