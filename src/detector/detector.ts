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
import { type NamedSite, nameSites, yieldsToOwnCode } from "./naming";
import type { OwnerState, TrackedSite } from "./owner-state";
import { Precedence } from "./precedence";
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
/** A slow leak needs this long to be over its threshold once more. */
const RESTART_PATIENCE_HORIZONS = 3;
/** A look takes time in proportion to the samples remembered: with more than this, looks come less often. */
const SAMPLES_PER_LOOK_SPACING = 2_000;

export class Detector {
  private readonly memory: DetectorMemory;
  private readonly levelWatch: LevelWatch;
  private readonly precedence: Precedence;
  private lastLookMillis = 0;
  /** Most functions that one look tested, over all owners; and those of the present look. */
  private hypothesisCount = 0;
  private testedInLook = 0;
  private testedOwnerCount = 0;
  private survivals: SurvivalTally | null = null;

  constructor(options: DetectorOptions) {
    this.memory = new DetectorMemory(options);
    this.levelWatch = new LevelWatch(this.memory);
    this.precedence = new Precedence(this.memory);
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
    const ladders = this.memory.ladders.readings(
      (key) => owners.get(key)?.clock ?? null,
      now,
      (thread) => this.memory.decidableMillis(thread),
    );
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
    for (const tracked of this.bestNameFirst(owner)) {
      const next = this.nextVerdict(owner, tracked, current, now);
      if (next === null || next === tracked.verdict) {
        if (isStanding(tracked.verdict) && routeHasShown(this.memory, owner, tracked, now)) {
          this.tell(owner, tracked, tracked.verdict, now, transitions);
        }
        continue;
      }
      if (this.precedence.holdsBack(owner, tracked, next, now)) continue;
      this.tell(owner, tracked, next, now, transitions);
    }
  }

  /** Of several sites that are ready at one look, the first is told: most survivors first, what yields to own code last. */
  private bestNameFirst({ tracked, evaluations }: OwnerState): TrackedSite[] {
    const sites = [...tracked.values()].map((site) => ({
      site,
      count: evaluations.get(site.frame)?.survivors.length ?? 0,
      yields: yieldsToOwnCode(site.frame, evaluations, this.memory.stacks),
    }));
    sites.sort((a, b) => Number(a.yields) - Number(b.yields) || b.count - a.count);
    return sites.map(({ site }) => site);
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
    if (tracked.isSpent || this.isTooSoonToWithdraw(owner, tracked, supported, now)) return null;
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

  /**
   * A restart of the sampler forgets all samples, none of which was freed. What stands gets a horizon to show again, and some
   * more while the new evidence speaks for it, though not yet loudly enough.
   */
  private isTooSoonToWithdraw(
    owner: OwnerState,
    { verdict, frame }: TrackedSite,
    supported: VerdictName | null,
    now: number,
  ): boolean {
    if (!isStanding(verdict) || (supported !== null && isAlarm({ verdict: supported }))) return false;
    const { restartedMillis, options } = this.memory;
    const horizons = (now - restartedMillis) / options.horizonMillis;
    if (horizons >= RESTART_PATIENCE_HORIZONS) return false;
    const evaluation = owner.evaluations.get(frame) ?? null;
    return horizons < 1 || (evaluation !== null && evaluation.lnE > 0 && !isRefuted(evaluation));
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
