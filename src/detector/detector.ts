/**
 * Pure: the same observations give the same transitions, live or replayed from a history file.
 * Owns the order of work at each look: take in, test every function of every owner, name sites, judge, report changes.
 */
import type { RouteKind, VerdictName } from "../model/finding";
import type { Observation } from "../model/observation";
import type { OwnerKind, Route } from "../model/owner";
import { type Clock, ExposureClock, HourClock } from "./exposure";
import { contrastRecord, growthRate, growthRecord } from "./growth";
import { type Evaluation, evaluate, forOrder, type HypothesisContext, startGrid } from "./hypothesis";
import { nameBelow } from "./inlining";
import { explainedBy, forecastOf, headroomOf, impactOf, LevelHistory } from "./level-trend";
import { type NamedSite, nameSites } from "./naming";
import { OwnerState, type TrackedSite } from "./owner-state";
import { SampleStore, type StoredSample } from "./sample-store";
import { StackIndex } from "./stack-index";
import type { Transition } from "./transition";
import { alternativesOf, judge, WITHDRAWAL_SHARE_OF_HORIZON } from "./verdict";

export type { Transition } from "./transition";

export interface DetectorOptions {
  readonly horizonMillis: number;
  readonly windowMillis: number;
  readonly applicationRoot: string;
}

/** Fewer matured samples than this cannot cross any threshold. */
const MINIMUM_SAMPLES = 8;
const MAX_PATH_FRAMES = 16;
/** Observations come from several threads; the owners are looked at no more often than this share of the horizon. */
const LOOK_SPACING_SHARE = 1 / 60;
/** A look takes time in proportion to the samples remembered: with more than this, looks come less often. */
const SAMPLES_PER_LOOK_SPACING = 2_000;
const MAX_TRACKED_PER_OWNER = 64;

interface ThreadGcHistory {
  majorGcCount: number;
  /** [time of an observation, mark-compacts completed by then], thinned. */
  readonly points: [number, number][];
}

export class Detector {
  private readonly stacks = new StackIndex();
  private readonly routes: Route[] = [];
  private readonly aliases = new Map<number, number>();
  private readonly store: SampleStore = new SampleStore((stack) => this.stacks.leaf(stack));
  private readonly owners = new Map<string, OwnerState>();
  private readonly clocks = new Map<number, ExposureClock>();
  private readonly levels = new LevelHistory();
  private readonly gcs = new Map<number, ThreadGcHistory>();
  private originMillis = 0;
  private lastLookMillis = 0;
  private intervalBytes = 1;
  private labelledRatio: number | null = null;
  private requestedGcCount = 0;
  private hypothesisCount = 0;
  private testedOwnerCount = 0;

  constructor(private readonly options: DetectorOptions) {}

  /** Takes one observation in and answers which verdicts changed because of it (or of the time that passed). */
  observe(observation: Observation): readonly Transition[] {
    if (this.originMillis === 0) this.originMillis = observation.timeMillis;
    this.takeIn(observation);
    const now = observation.timeMillis;
    const spacing = LOOK_SPACING_SHARE * this.options.horizonMillis * Math.max(1, this.store.size / SAMPLES_PER_LOOK_SPACING);
    if (now - this.lastLookMillis < spacing) return [];
    this.lastLookMillis = now;
    return this.look(now);
  }

  private takeIn(observation: Observation): void {
    const now = observation.timeMillis;
    this.stacks.addFrames(observation.newFrames ?? []);
    this.stacks.addStacks(observation.newStacks ?? []);
    for (const route of observation.newRoutes ?? []) this.routes.push(route);
    if (observation.restarted === true) this.restart(observation.thread, now);
    for (const [from, to] of observation.routeAliases ?? []) this.alias(from, to);
    for (const [time, route, count] of observation.requests ?? []) this.clockOf(this.resolve(route)).add(time, count);
    this.noteGcs(observation);
    for (const sample of observation.matured ?? []) {
      const owner = this.ownerOf(sample.kind, this.resolve(sample.route));
      this.store.mature(sample, owner.key, observation.thread, now, observation.intervalBytes);
    }
    for (const key of observation.freed ?? []) this.store.free(key, now);
    this.levels.add(now, observation.level);
    this.intervalBytes = observation.intervalBytes;
    this.labelledRatio = observation.labelledRatio;
    this.requestedGcCount = observation.requestedGcCount;
  }

  private look(now: number): Transition[] {
    const transitions: Transition[] = [];
    for (const owner of this.owners.values()) {
      const halfMillis = halfExposureMillis(owner.clock, now);
      this.store.pruneDeaths(owner.key, halfMillis);
      this.lookAt(owner, now, transitions);
    }
    return transitions;
  }

  private lookAt(owner: OwnerState, now: number, transitions: Transition[]): void {
    const samples = this.store.of(owner.key);
    if (samples.size < MINIMUM_SAMPLES && owner.tracked.size === 0) return;
    const followed = new Set([...owner.tracked.values()].map((site) => site.frame));
    if (owner.order < 0) owner.order = this.testedOwnerCount++;
    const samplesOf = this.byFunction(samples);
    const context = this.contextOf(owner, samples, now);
    const starts = startGrid(context);
    const evaluations = new Map<number, Evaluation>();
    const bySamples = new Map<string, Evaluation | null>();
    for (const [frame, own] of samplesOf) {
      if (own.length < MINIMUM_SAMPLES && !followed.has(frame)) continue;
      const fingerprint = fingerprintOf(own);
      const order = owner.siteOrder(frame);
      let evaluation = bySamples.get(fingerprint);
      if (evaluation === undefined) {
        evaluation = evaluate(own, order, context, starts);
        bySamples.set(fingerprint, evaluation);
      }
      if (evaluation !== null) evaluations.set(frame, forOrder(evaluation, order));
    }
    this.hypothesisCount = Math.max(this.hypothesisCount, evaluations.size);
    owner.noteLook(evaluations, now);
    const named = this.nameSitesOf(owner, evaluations, samplesOf, context, starts);
    this.judgeAll(owner, named, now, transitions);
  }

  /** A site that already stands as a leak keeps its name; what it does not hold may be named anew. */
  private nameSitesOf(
    owner: OwnerState,
    evaluations: ReadonlyMap<number, Evaluation>,
    samplesOf: ReadonlyMap<number, readonly StoredSample[]>,
    context: HypothesisContext,
    starts: ReturnType<typeof startGrid>,
  ): NamedSite[] {
    const reevaluate = (rest: readonly StoredSample[], frame: number): Evaluation | null =>
      rest.length < MINIMUM_SAMPLES ? null : evaluate(rest, owner.siteOrder(frame), context, starts);
    const standing = new Set<StoredSample>();
    for (const site of owner.tracked.values()) {
      if (!isStanding(site.verdict)) continue;
      for (const sample of samplesOf.get(site.frame) ?? []) standing.add(sample);
    }
    const passing = new Map<number, Evaluation>();
    for (const [frame, evaluation] of evaluations) {
      if (!evaluation.overThreshold) continue;
      const own = samplesOf.get(frame) ?? [];
      const rest = standing.size === 0 ? own : own.filter((sample) => !standing.has(sample));
      const left = rest.length === own.length ? evaluation : reevaluate(rest, frame);
      if (left?.overThreshold) passing.set(frame, left);
    }
    return nameSites(passing, samplesOf, this.stacks, reevaluate, starts[0]?.startMillis ?? 0);
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
      if (next === null || next === tracked.verdict) continue;
      if (next === "leak" && this.mergesIntoAnother(owner, tracked)) continue;
      tracked.previousVerdict = tracked.sequence === 0 ? null : tracked.verdict;
      tracked.verdict = next;
      tracked.sequence++;
      const transition = this.describe(owner, tracked, now);
      if (transition !== null) transitions.push(transition);
    }
  }

  /** V8 may inline a function while it is followed: its evidence then lies with its caller, its name stays. */
  private track(owner: OwnerState, frame: number, namedFrame: number, now: number): void {
    const known = owner.tracked.get(namedFrame);
    if (known !== undefined) {
      known.frame = frame;
      return;
    }
    if (owner.tracked.size >= MAX_TRACKED_PER_OWNER) return;
    owner.tracked.set(namedFrame, {
      frame,
      namedFrame,
      verdict: "inconclusive",
      previousVerdict: null,
      sequence: 0,
      firstSeenMillis: now,
      brokenSinceMillis: null,
      mergedInto: null,
    });
  }

  private nextVerdict(
    owner: OwnerState,
    tracked: TrackedSite,
    current: ReadonlySet<number>,
    now: number,
  ): VerdictName | null {
    const evaluation = owner.evaluations.get(tracked.frame) ?? null;
    const supported = judge(evaluation, {
      heldMillis: owner.heldMillis(tracked.frame, now),
      horizonMillis: this.options.horizonMillis,
      current: tracked.verdict,
    });
    const standing = isStanding(tracked.verdict);
    if (supported !== null && (current.has(tracked.namedFrame) || standing)) {
      if (!standing || supported !== "watch") {
        tracked.brokenSinceMillis = null;
        return supported;
      }
    }
    if (tracked.verdict === "retracted" || tracked.verdict === "inconclusive") return null;
    tracked.brokenSinceMillis ??= now;
    const patience = WITHDRAWAL_SHARE_OF_HORIZON * this.options.horizonMillis;
    if (now - tracked.brokenSinceMillis < patience) return null;
    // Still over threshold, but for a while now another function names the same samples better.
    if (supported !== null && tracked.verdict === "watch") return "inconclusive";
    return supported === "watch" ? null : "retracted";
  }

  private nameOf(owner: OwnerState, frame: number): number {
    const living = [...this.store.of(owner.key)].filter(
      (sample) =>
        sample.freedMillis === Number.POSITIVE_INFINITY &&
        !sample.container &&
        this.stacks.candidatesOf(sample.stack).includes(frame),
    );
    return nameBelow(frame, living, this.stacks);
  }

  /**
   * What one route retains is one finding: an object graph is allocated in many places. One site leaking on several
   * routes is one finding too. Owners without a route may have several unrelated ones.
   */
  private mergesIntoAnother(owner: OwnerState, tracked: TrackedSite): boolean {
    const standsHere = owner.hasRequests && [...owner.tracked.values()].some((site) => isStanding(site.verdict) && site !== tracked);
    if (standsHere) return true;
    for (const other of this.owners.values()) {
      if (other === owner) continue;
      for (const site of other.tracked.values()) {
        if (site.namedFrame !== tracked.namedFrame || !isStanding(site.verdict)) continue;
        tracked.mergedInto = other.key;
        return true;
      }
    }
    return false;
  }

  private describe(owner: OwnerState, tracked: TrackedSite, now: number): Transition | null {
    const samples = this.store.of(owner.key);
    const own = [...samples].filter((sample) => this.stacks.candidatesOf(sample.stack).includes(tracked.frame));
    const living = own.filter((sample) => sample.freedMillis === Number.POSITIVE_INFINITY && !sample.container);
    const context = this.contextOf(owner, samples, now);
    const evaluation = owner.evaluations.get(tracked.frame) ?? evaluate(own, owner.siteOrder(tracked.frame), context, startGrid(context));
    const site = this.stacks.frames[tracked.namedFrame];
    if (site === undefined) return null;
    const startMillis = evaluation?.startMillis ?? owner.clock.originMillis();
    const ageMillis = evaluation?.ageMillis ?? 0;
    const endMillis = Math.max(startMillis, Math.min(context.decidableMillis, now - ageMillis));
    const retained = this.retainedWith(owner, tracked, samples);
    const rate = growthRate(retained, owner.clock, startMillis, endMillis);
    const growth = growthRecord(rate, retained, owner.hasRequests ? owner.clock : null, startMillis, endMillis);
    const elsewhere = this.elsewhere(owner, tracked, startMillis, endMillis);
    const contrast = contrastRecord({
      samples: living,
      clock: owner.clock,
      hasRequests: owner.hasRequests,
      otherBytes: elsewhere.bytes,
      otherRequests: elsewhere.requests,
      startMillis: Math.max(owner.clock.originMillis(), Math.min(...living.map((sample) => sample.bornMillis), now)),
      endMillis,
      horizonMillis: this.options.horizonMillis,
    });
    const heldMillis = owner.heldMillis(tracked.frame, now);
    const commonStack = this.representativeStack(tracked, living.length > 0 ? living : own);
    const ownerLiving = [...samples].filter((sample) => sample.freedMillis === Number.POSITIVE_INFINITY && !sample.container);
    const since = owner.clock.originMillis();
    return {
      key: `${owner.key}|${tracked.namedFrame}`,
      sequence: tracked.sequence,
      timeMillis: now,
      firstSeenMillis: tracked.firstSeenMillis,
      verdict: tracked.verdict,
      previousVerdict: tracked.previousVerdict,
      impact: impactOf(growth.bytesPerHour, headroomOf(this.levels.latest())),
      route: this.routes[owner.route] ?? null,
      routeKind: kindOf(living.length > 0 ? living : own),
      routeShareRatio: share(living.length, living.length + elsewhere.samples),
      otherRoutes: elsewhere.leakingRoutes,
      site,
      siteShareRatio: share(living.length, Math.max(retained.length, ownerLiving.length)),
      siteInlined: commonStack !== null && this.stacks.leaf(commonStack) !== tracked.namedFrame,
      path: commonStack === null ? [] : this.pathOf(commonStack),
      applicationFrame: commonStack === null ? null : this.stacks.nearestApplication(commonStack, tracked.namedFrame),
      growth,
      evidence: {
        method: "cohort",
        samples: living.length,
        cohortsMatured: evaluation?.maturedCount ?? 0,
        cohortsFreed: evaluation?.freedCount ?? 0,
        lnE: evaluation?.lnE ?? 0,
        lnThreshold: evaluation?.lnThreshold ?? 0,
        hypotheses: this.hypothesisCount,
        ageSeconds: ageMillis / 1_000,
        oldestAgeSeconds: living.length === 0 ? 0 : (now - Math.min(...living.map((sample) => sample.bornMillis))) / 1_000,
        majorGcs: this.gcs.get(0)?.majorGcCount ?? 0,
        halfRatio: evaluation?.halfRatio ?? null,
        minQuarterRatio: evaluation?.minQuarterRatio ?? null,
        unrefutedSeconds: heldMillis / 1_000,
        lives: 1,
      },
      contrast,
      explained: explainedBy(growth.bytesPerHour, this.levels, since),
      forecast: forecastOf(this.levels, since),
      alternatives:
        evaluation === null
          ? []
          : alternativesOf(evaluation, heldMillis, this.options.horizonMillis, contrast.idleBytesPerHour, contrast.busyBytesPerHour),
      samplingIntervalBytes: this.intervalBytes,
      labelledRatio: this.labelledRatio,
      threadId: living[0]?.thread ?? 0,
      requestedGcCount: this.requestedGcCount,
      supersededBy: null,
    };
  }

  /** Living samples of the site and, on a route, of its other sites over threshold: one finding speaks for all of them. */
  private retainedWith(owner: OwnerState, tracked: TrackedSite, samples: Iterable<StoredSample>): StoredSample[] {
    const frames = new Set([tracked.frame]);
    if (owner.hasRequests) {
      for (const site of owner.tracked.values()) {
        if (owner.evaluations.get(site.frame)?.overThreshold) frames.add(site.frame);
      }
    }
    return [...samples].filter(
      (sample) =>
        sample.freedMillis === Number.POSITIVE_INFINITY &&
        !sample.container &&
        this.stacks.candidatesOf(sample.stack).some((frame) => frames.has(frame)),
    );
  }

  /** The most common stack that shows the named function; one from before it was inlined when no sample does any more. */
  private representativeStack(tracked: TrackedSite, samples: readonly StoredSample[]): number | null {
    const { frame, namedFrame } = tracked;
    const showing = samples.filter((sample) => this.stacks.stack(sample.stack).includes(namedFrame));
    if (showing.length > 0) return mostCommonStack(showing);
    const earlier = this.stacks.stacksThrough(namedFrame).find((stack) => this.stacks.stack(stack).includes(frame));
    return earlier ?? mostCommonStack(samples);
  }

  /** The same function on other owners: what it retains there, and where it leaks too. */
  private elsewhere(
    owner: OwnerState,
    { frame, namedFrame }: TrackedSite,
    startMillis: number,
    endMillis: number,
  ): { bytes: number; requests: number; samples: number; leakingRoutes: string[] } {
    let bytes = 0;
    let requests = 0;
    let count = 0;
    const leaking: { name: string; perExposure: number }[] = [];
    for (const other of this.owners.values()) {
      if (other === owner) continue;
      const living = [...this.store.of(other.key)].filter(
        (sample) =>
          sample.freedMillis === Number.POSITIVE_INFINITY &&
          !sample.container &&
          this.stacks.candidatesOf(sample.stack).includes(frame),
      );
      const exposure = other.clock.at(endMillis) - other.clock.at(startMillis);
      if (other.hasRequests) requests += exposure;
      const recent = living.filter((sample) => sample.bornMillis > startMillis && sample.bornMillis <= endMillis);
      const recentBytes = recent.reduce((sum, sample) => sum + sample.sizeBytes * sample.weight, 0);
      bytes += recentBytes;
      count += living.length;
      const site = other.tracked.get(namedFrame);
      const verdict = site?.verdict;
      const name = this.routes[other.route]?.name;
      const merged = site?.mergedInto === owner.key;
      if (name !== undefined && exposure > 0 && (merged || (verdict !== undefined && isStanding(verdict)))) {
        leaking.push({ name, perExposure: recentBytes / exposure });
      }
    }
    leaking.sort((a, b) => b.perExposure - a.perExposure);
    return { bytes, requests, samples: count, leakingRoutes: leaking.map((route) => route.name) };
  }

  private byFunction(samples: Iterable<StoredSample>): Map<number, StoredSample[]> {
    const samplesOf = new Map<number, StoredSample[]>();
    for (const sample of samples) {
      // Leaf first: of functions that appear together, the deepest pays the least for the number of hypotheses.
      for (const frame of this.stacks.candidatesOf(sample.stack).toReversed()) {
        const own = samplesOf.get(frame);
        if (own === undefined) samplesOf.set(frame, [sample]);
        else own.push(sample);
      }
    }
    return samplesOf;
  }

  private contextOf(owner: OwnerState, samples: ReadonlySet<StoredSample>, now: number): HypothesisContext {
    const first = samples.values().next().value;
    return {
      nowMillis: now,
      horizonMillis: this.options.horizonMillis,
      clock: owner.clock,
      decidableMillis: this.decidableMillis(first?.thread ?? 0),
      ownerOrder: Math.max(0, owner.order),
    };
  }

  private pathOf(stack: number): Transition["path"] {
    const frames = this.stacks.stack(stack).flatMap((index) => this.stacks.frames[index] ?? []);
    return frames.slice(-MAX_PATH_FRAMES);
  }

  private ownerOf(kind: OwnerKind, route: number): OwnerState {
    const hasRequests = route >= 0 && (kind === "request" || kind === "background-of");
    const key = hasRequests ? `route:${route}` : `kind:${kind}`;
    let owner = this.owners.get(key);
    if (owner === undefined) {
      const clock = hasRequests ? this.clockOf(route) : new HourClock(this.originMillis);
      owner = new OwnerState(key, hasRequests ? route : -1, clock, hasRequests);
      this.owners.set(key, owner);
    }
    return owner;
  }

  private clockOf(route: number): ExposureClock {
    let clock = this.clocks.get(route);
    if (clock === undefined) {
      clock = new ExposureClock(this.originMillis, this.options.windowMillis);
      this.clocks.set(route, clock);
    }
    return clock;
  }

  private resolve(route: number): number {
    let resolved = route;
    for (let hops = 0; hops < 8; hops++) {
      const next = this.aliases.get(resolved);
      if (next === undefined || next === resolved) break;
      resolved = next;
    }
    return resolved;
  }

  private alias(from: number, to: number): void {
    const target = this.resolve(to);
    if (from === target) return;
    this.aliases.set(from, target);
    const clock = this.clocks.get(from);
    if (clock !== undefined) {
      this.clockOf(target).absorb(clock);
      this.clocks.delete(from);
    }
    this.owners.delete(`route:${from}`);
    if (this.store.of(`route:${from}`).size > 0) {
      const owner = this.ownerOf("request", target);
      this.store.rename(`route:${from}`, owner.key);
    }
  }

  private restart(thread: number, now: number): void {
    this.store.forgetThread(thread);
    if (thread !== 0) return;
    this.originMillis = now;
    this.clocks.clear();
    for (const owner of this.owners.values()) {
      owner.restart(owner.hasRequests ? this.clockOf(owner.route) : new HourClock(now));
    }
  }

  private noteGcs(observation: Observation): void {
    let history = this.gcs.get(observation.thread);
    if (history === undefined || observation.restarted === true) {
      history = { majorGcCount: 0, points: [] };
      this.gcs.set(observation.thread, history);
    }
    history.majorGcCount = observation.majorGcCount;
    history.points.push([observation.timeMillis, observation.majorGcCount]);
    if (history.points.length > 512) history.points.splice(0, 256);
  }

  /** The latest birth time after which two mark-compacts have completed in this thread. */
  private decidableMillis(thread: number): number {
    const history = this.gcs.get(thread);
    if (history === undefined) return 0;
    for (let i = history.points.length - 1; i >= 0; i--) {
      const point = history.points[i];
      if (point !== undefined && point[1] <= history.majorGcCount - 2) return point[0];
    }
    return 0;
  }
}

function isStanding(verdict: VerdictName): boolean {
  return verdict === "leak" || verdict === "urgent" || verdict === "saturating";
}

/** Functions of one call chain often have the very same samples: they are tested once. */
function fingerprintOf(samples: readonly StoredSample[]): string {
  let sum = 0;
  for (const sample of samples) sum += sample.id;
  return `${samples.length}:${samples[0]?.id ?? 0}:${sum}`;
}

function mostSurvivorsFirst(owner: OwnerState): TrackedSite[] {
  const survivors = (site: TrackedSite): number => owner.evaluations.get(site.frame)?.survivors.length ?? 0;
  return [...owner.tracked.values()].sort((a, b) => survivors(b) - survivors(a));
}

function kindOf(samples: readonly StoredSample[]): RouteKind {
  const counts = new Map<OwnerKind, number>();
  for (const sample of samples) counts.set(sample.kind, (counts.get(sample.kind) ?? 0) + 1);
  let best: OwnerKind = "unattributed";
  for (const [kind, count] of counts) if (count > (counts.get(best) ?? 0)) best = kind;
  return best === "agent" ? "unattributed" : best;
}

function mostCommonStack(samples: readonly StoredSample[]): number | null {
  const counts = new Map<number, number>();
  let best: number | null = null;
  for (const { stack } of samples) {
    const count = (counts.get(stack) ?? 0) + 1;
    counts.set(stack, count);
    if (best === null || count > (counts.get(best) ?? 0)) best = stack;
  }
  return best;
}

function halfExposureMillis(clock: Clock, now: number): number {
  const half = clock.at(now) / 2;
  let low = clock.originMillis();
  let high = now;
  while (high - low > 100) {
    const middle = (low + high) / 2;
    if (clock.at(middle) < half) low = middle;
    else high = middle;
  }
  return low;
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

