/**
 * Pure. Owns everything the detector remembers of the observations so far: routes and their clocks, stacks, samples,
 * mark-compacts, memory levels. Judges nothing.
 */
import type { Frame, Observation } from "../model/observation";
import type { OwnerKind, Route } from "../model/owner";
import { type Clock, ExposureClock, HourClock } from "./exposure";
import type { HypothesisContext } from "./hypothesis";
import { Ladders } from "./ladder";
import { LevelHistory } from "./level-trend";
import { OwnerState } from "./owner-state";
import { commonClock, namePool, RoutePool, standsFor } from "./route-pool";
import { SampleStore, type StoredSample } from "./sample-store";
import { StackIndex } from "./stack-index";

export interface DetectorOptions {
  readonly horizonMillis: number;
  readonly windowMillis: number;
  readonly applicationRoot: string;
  /** Names of functions under which an earlier life knew this site, so that a finding keeps its id; null: unknown. */
  readonly knownSiteFunctions?: (site: Frame, route: string | null) => readonly string[] | null;
  /** Whether a function is the service's own by its source map: in a bundle the path does not tell; left out: by path. */
  readonly isOwnCode?: (frame: Frame) => boolean;
}

/** Observations of which the mark-compact count is remembered, per thread. */
const MAX_GC_POINTS = 512;

/** Some owners, and their exposure. */
export interface OwnersAtClock {
  readonly owners: readonly OwnerState[];
  readonly clock: Clock;
}

interface ThreadGcHistory {
  majorGcCount: number;
  /** [time of an observation, mark-compacts completed by then], thinned. */
  readonly points: [number, number][];
}

export class DetectorMemory {
  readonly stacks: StackIndex;
  readonly store: SampleStore = new SampleStore((stack) => this.stacks.leaf(stack));
  readonly ladders: Ladders;
  readonly owners: Map<string, OwnerState> = new Map();
  readonly levels: LevelHistory = new LevelHistory();
  readonly pool: RoutePool = new RoutePool();
  intervalBytes = 1;
  labelledRatio: number | null = null;
  requestedGcCount = 0;
  private readonly routes: Route[] = [];
  private readonly aliases = new Map<number, number>();
  private readonly clocks = new Map<number, ExposureClock>();
  private readonly gcs = new Map<number, ThreadGcHistory>();
  private originMillis = 0;
  /** When the main thread's sampler was last restarted, and so all its samples lost; long ago where it never was. */
  restartedMillis: number = Number.NEGATIVE_INFINITY;

  constructor(readonly options: DetectorOptions) {
    this.stacks = new StackIndex(options.isOwnCode);
    this.ladders = new Ladders(this.stacks);
  }

  takeIn(observation: Observation): void {
    if (this.originMillis === 0) this.originMillis = observation.timeMillis;
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
      const stored = this.store.mature(sample, owner.key, observation.thread, now, observation.intervalBytes);
      if (stored !== null) this.ladders.note(stored, observation.intervalBytes);
    }
    for (const key of observation.freed ?? []) this.store.free(key, now);
    this.levels.add(now, observation.level);
    this.intervalBytes = observation.intervalBytes;
    this.labelledRatio = observation.labelledRatio;
    this.requestedGcCount = observation.requestedGcCount;
  }

  /** Requests of each route. */
  routeClocks(): ReadonlyMap<number, ExposureClock> {
    return this.clocks;
  }

  routeAt(index: number): Route | null {
    return this.routes[index] ?? null;
  }

  /** The route of an owner, or null for owners without one. */
  routeOf(owner: OwnerState): Route | null {
    return this.routes[owner.route] ?? null;
  }

  /** The owner (none before its first sample) and clock of a route; null when no request of it was ever counted. */
  routeNamed(name: string): OwnersAtClock | null {
    const route = this.resolve(this.routes.findIndex((candidate) => candidate.name === name));
    const clock = this.clocks.get(route);
    return clock === undefined ? null : { owners: this.ownersOf([route]), clock };
  }

  /** The same for all routes that a pooled finding of that name speaks for. */
  routesPooledAs(name: string, nowMillis: number): OwnersAtClock | null {
    const pooled = [...this.clocks].filter(([route]) => standsFor(name, this.routes[route]?.name ?? ""));
    if (pooled.length === 0) return null;
    const clocks = pooled.map(([, clock]) => ({ clock }));
    return {
      owners: this.ownersOf(pooled.map(([route]) => route)),
      clock: commonClock(clocks, this.originMillis, nowMillis),
    };
  }

  /** Mark-compacts of a thread since then; at least so many where that is longer ago than is remembered. */
  majorGcsSince(thread: number, sinceMillis: number): number {
    const history = this.gcs.get(thread);
    const first = history?.points.find(([timeMillis]) => timeMillis >= sinceMillis);
    return history === undefined || first === undefined ? 0 : history.majorGcCount - first[1];
  }

  majorGcCount(thread: number): number {
    return this.gcs.get(thread)?.majorGcCount ?? 0;
  }

  samplesOf(owner: OwnerState): ReadonlySet<StoredSample> {
    return owner === this.pool.owner ? this.pool.samples : this.store.of(owner.key);
  }

  /** Routes that samples were seen of. */
  routeOwners(): OwnerState[] {
    return [...this.owners.values()].filter((owner) => owner.hasRequests);
  }

  /** When half of the requests of all routes had come: deaths since then are kept, for the pool. */
  poolHalfMillis(nowMillis: number): number {
    return RoutePool.halfMillis(this.routeOwners(), this.originMillis, nowMillis);
  }

  /** Pools these routes as they are now. */
  refreshPool(members: readonly OwnerState[], nowMillis: number): void {
    this.pool.refresh(
      members,
      (owner) => this.store.of(owner.key),
      (owner) => this.store.deathsKnownSince(owner.key),
      this.originMillis,
      nowMillis,
    );
  }

  /** What a site of the pool is called, and the requests of the routes that name stands for. */
  namePool(
    living: readonly StoredSample[],
    nowMillis: number,
  ): {
    readonly route: Route;
    readonly clock: Clock;
    readonly keys: ReadonlySet<string>;
    readonly largest: readonly string[];
  } {
    const { route, members, largest } = namePool(this.pool.members, living, (owner) => this.routeOf(owner));
    const clock = commonClock(members, this.originMillis, nowMillis);
    return { route, clock, keys: new Set(members.map(({ key }) => key)), largest };
  }

  /** Living samples that an owner holds through a function. */
  livingAt(owner: OwnerState, frame: number): StoredSample[] {
    return [...this.samplesOf(owner)].filter(
      (sample) =>
        sample.freedMillis === Number.POSITIVE_INFINITY &&
        !sample.container &&
        this.stacks.candidatesOf(sample.stack).includes(frame),
    );
  }

  contextOf(owner: OwnerState, samples: ReadonlySet<StoredSample>, now: number): HypothesisContext {
    const first = samples.values().next().value;
    return {
      nowMillis: now,
      horizonMillis: this.options.horizonMillis,
      clock: owner.clock,
      decidableMillis: this.decidableMillis(first?.thread ?? 0),
      completeSinceMillis:
        owner === this.pool.owner ? this.pool.completeSinceMillis : this.store.completeSince(owner.key),
      ownerOrder: Math.max(0, owner.order),
    };
  }

  private ownersOf(routes: readonly number[]): OwnerState[] {
    return routes.flatMap((route) => this.owners.get(`route:${route}`) ?? []);
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
    this.ladders.forgetThread(thread);
    if (thread !== 0) return;
    this.originMillis = now;
    this.restartedMillis = now;
    this.clocks.clear();
    this.pool.owner.restart(new HourClock(now));
    for (const owner of this.owners.values()) {
      owner.restart(owner.hasRequests ? this.clockOf(owner.route) : new HourClock(now));
    }
  }

  private noteGcs(observation: Observation): void {
    if (observation.restarted === true && observation.thread !== 0) {
      // It has ended, or the next observation begins its history: nothing of its new life was born before that one.
      this.gcs.delete(observation.thread);
      return;
    }
    let history = this.gcs.get(observation.thread);
    if (history === undefined || observation.restarted === true) {
      history = { majorGcCount: 0, points: [] };
      this.gcs.set(observation.thread, history);
    }
    history.majorGcCount = observation.majorGcCount;
    history.points.push([observation.timeMillis, observation.majorGcCount]);
    if (history.points.length > MAX_GC_POINTS) history.points.splice(0, MAX_GC_POINTS / 2);
  }

  /** The latest birth time after which two mark-compacts have completed in this thread. */
  decidableMillis(thread: number): number {
    const history = this.gcs.get(thread);
    if (history === undefined) return 0;
    for (let i = history.points.length - 1; i >= 0; i--) {
      const point = history.points[i];
      if (point !== undefined && point[1] <= history.majorGcCount - 2) return point[0];
    }
    return 0;
  }
}
