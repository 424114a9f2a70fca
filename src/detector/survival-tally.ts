/**
 * Pure. Owns running totals of what matured and what was freed, by owner and site, for metrics: sums only ever grow, and a
 * sample that is freed counts where it had counted as matured. Judges nothing; bounded in series and in samples followed.
 */
import type { MaturedSample, Observation } from "../model/observation";
import { OTHER_ROUTE, type Route } from "../model/owner";
import { POOL_KEY } from "./route-pool";
import { inclusionProbability } from "./sample-store";
import type { StackIndex } from "./stack-index";

/** Routes with totals of their own; what comes later counts for `OTHER_OWNER`, unless it has a site. */
const MAX_OWNERS = 100;
/** Sites that had their turn keep their totals, in case they come back. */
const MAX_KEPT_SITES = 400;
/** As many as the detector remembers; what comes beyond is counted and not followed to its death. */
const MAX_FOLLOWED = 80_000;

const ROUTE_PREFIX = "route:";
/** Key of the owner that stands for all owners without totals of their own. */
const OTHER_OWNER = "other";

/** A place where samples are counted apart from the rest of their route. */
export interface TalliedSite {
  /** `route:<index>` or `kind:<owner kind>`, as in the detector's memory; POOL_KEY: on every route, each for itself. */
  readonly owner: string;
  /** Unique among the sites of an owner, and stable. */
  readonly site: number;
  /** The function whose samples count; may change when V8 inlines. */
  readonly frame: number;
}

/** What only ever grows. */
export interface SurvivalSums {
  readonly maturedCohorts: number;
  readonly freedCohorts: number;
  /** Estimated bytes at maturity, and the variance of that estimate. */
  readonly retainedBytes: number;
  readonly retainedVarianceBytes2: number;
  readonly freedBytes: number;
}

export interface SurvivalTotals extends SurvivalSums {
  readonly owner: string;
  /** Null for owners without a route. */
  readonly route: Route | null;
  /** Null: everything of this owner that belongs to no site. */
  readonly site: number | null;
  /** When the first sample or the site came: sums start here. */
  readonly sinceMillis: number;
  /** Living mature samples; falls when a thread ends, too. */
  readonly matureBytes: number;
  /** The part of the sums that was told of a route before it was folded into this one. */
  readonly movedIn: SurvivalSums;
}

export interface ExposureTotal {
  readonly route: Route;
  readonly sinceMillis: number;
  readonly requestCount: number;
  /** The part of it that was told of other routes, as in `SurvivalTotals`. */
  readonly movedInCount: number;
}

const NOTHING: SurvivalSums = {
  maturedCohorts: 0,
  freedCohorts: 0,
  retainedBytes: 0,
  retainedVarianceBytes2: 0,
  freedBytes: 0,
};

interface Cohort {
  maturedCount: number;
  deadCount: number;
  isFreed: boolean;
}

type Series = { -readonly [Key in keyof SurvivalTotals]: SurvivalTotals[Key] } & {
  /** By birth window; gone when its last sample is. */
  readonly cohorts: Map<number, Cohort>;
  /** The sums when they were last told. */
  told: SurvivalSums;
};

interface Exposure {
  readonly owner: string;
  readonly route: Route;
  readonly sinceMillis: number;
  requestCount: number;
  movedInCount: number;
  toldCount: number;
}

interface Followed {
  readonly series: Series;
  readonly bornMillis: number;
  readonly bytes: number;
}

export class SurvivalTally {
  private readonly series = new Map<string, Series>();
  private readonly routes: Route[] = [];
  private readonly exposures = new Map<string, Exposure>();
  private readonly aliases = new Map<number, number>();
  private readonly followed = new Map<string, Followed>();
  /** Owner -> function -> site. */
  private sites = new Map<string, Map<number, number>>();
  private active = new Set<string>();
  /** Matured samples that are not followed to their death. */
  droppedCount = 0;

  constructor(private readonly stacks: Pick<StackIndex, "candidatesOf">) {}

  /** Call after the stacks of the observation are known. */
  observe(observation: Observation): void {
    const now = observation.timeMillis;
    this.routes.push(...(observation.newRoutes ?? []));
    if (observation.restarted === true) this.forgetThread(`${observation.thread}.`);
    for (const [from, to] of observation.routeAliases ?? []) this.fold(from, to);
    for (const [, route, count] of observation.requests ?? [])
      this.expose(`${ROUTE_PREFIX}${this.resolve(route)}`, count, now);
    for (const sample of observation.matured ?? []) this.mature(sample, observation.intervalBytes, now);
    for (const key of observation.freed ?? []) this.free(key);
  }

  /** From now on these sites count apart, and only these; what has matured stays where it was counted. */
  follow(sites: readonly TalliedSite[], nowMillis: number): void {
    this.sites = new Map();
    this.active = new Set();
    for (const { owner, site, frame } of sites) {
      const frames = this.sites.get(owner) ?? new Map<number, number>();
      this.sites.set(owner, frames.set(frame, site));
      this.active.add(seriesKey(owner, site));
      if (owner === POOL_KEY) continue;
      if (owner.startsWith(ROUTE_PREFIX)) this.exposureOf(owner, nowMillis, true);
      this.seriesOf(owner, site, nowMillis);
    }
    if (this.series.size > MAX_OWNERS + MAX_KEPT_SITES) this.forgetOldSites();
  }

  /** Every series that counts now; sites that are no longer followed are left out. */
  totals(): readonly SurvivalTotals[] {
    return this.counting();
  }

  exposure(): readonly ExposureTotal[] {
    return [...this.exposures.values()];
  }

  /** What `totals` and `exposure` answer now has been told: of a route that is folded later, it is not news again. */
  noteTold(): void {
    for (const series of this.counting()) series.told = sumOf(series, NOTHING);
    for (const exposure of this.exposures.values()) exposure.toldCount = exposure.requestCount;
  }

  private counting(): Series[] {
    return [...this.series.values()].filter(({ owner, site }) => site === null || this.isFollowed(owner, site));
  }

  private mature(sample: MaturedSample, intervalBytes: number, now: number): void {
    const p = inclusionProbability(sample.sizeBytes, intervalBytes);
    if (this.followed.size >= MAX_FOLLOWED || !(p > 0)) {
      this.droppedCount++;
      return;
    }
    const hasRequests = sample.route >= 0 && (sample.kind === "request" || sample.kind === "background-of");
    const owner = hasRequests ? `${ROUTE_PREFIX}${this.resolve(sample.route)}` : `kind:${sample.kind}`;
    const series = this.seriesOf(owner, this.siteOf(owner, sample.stack), now);
    const bytes = sample.sizeBytes / p;
    series.retainedBytes += bytes;
    series.matureBytes += bytes;
    series.retainedVarianceBytes2 += (sample.sizeBytes ** 2 * (1 - p)) / p ** 2;
    const cohort = series.cohorts.get(sample.bornMillis) ?? { maturedCount: 0, deadCount: 0, isFreed: false };
    if (cohort.maturedCount === 0) series.maturedCohorts++;
    cohort.maturedCount++;
    series.cohorts.set(sample.bornMillis, cohort);
    this.followed.set(sample.key, { series, bornMillis: sample.bornMillis, bytes });
  }

  private free(key: string): void {
    const sample = this.followed.get(key);
    if (sample === undefined) return;
    this.followed.delete(key);
    const { series, bornMillis, bytes } = sample;
    series.freedBytes += bytes;
    series.matureBytes = Math.max(0, series.matureBytes - bytes);
    const cohort = series.cohorts.get(bornMillis);
    if (cohort === undefined) return;
    cohort.deadCount++;
    if (!cohort.isFreed && 2 * cohort.deadCount >= cohort.maturedCount) {
      cohort.isFreed = true;
      series.freedCohorts++;
    }
    if (cohort.deadCount >= cohort.maturedCount) series.cohorts.delete(bornMillis);
  }

  /** Its samples leave without having been freed. */
  private forgetThread(keyPrefix: string): void {
    for (const [key, { series, bornMillis, bytes }] of this.followed) {
      if (!key.startsWith(keyPrefix)) continue;
      this.followed.delete(key);
      series.matureBytes = Math.max(0, series.matureBytes - bytes);
      series.cohorts.delete(bornMillis);
    }
  }

  private siteOf(owner: string, stack: number): number | null {
    const own = this.sites.get(owner);
    const pooled = owner.startsWith(ROUTE_PREFIX) ? this.sites.get(POOL_KEY) : undefined;
    if (own === undefined && pooled === undefined) return null;
    for (const frame of this.stacks.candidatesOf(stack).toReversed()) {
      const site = own?.get(frame) ?? pooled?.get(frame);
      if (site !== undefined) return site;
    }
    return null;
  }

  private isFollowed(owner: string, site: number): boolean {
    const isRoute = owner.startsWith(ROUTE_PREFIX) || owner === OTHER_OWNER;
    return this.active.has(seriesKey(owner, site)) || (isRoute && this.active.has(seriesKey(POOL_KEY, site)));
  }

  private seriesOf(owner: string, site: number | null, now: number): Series {
    const exposure = owner.startsWith(ROUTE_PREFIX) ? this.exposureOf(owner, now, false) : null;
    const name = exposure?.owner ?? owner;
    const key = seriesKey(name, site);
    let series = this.series.get(key);
    if (series === undefined) {
      series = {
        owner: name,
        route: exposure?.route ?? null,
        site,
        sinceMillis: now,
        maturedCohorts: 0,
        freedCohorts: 0,
        retainedBytes: 0,
        retainedVarianceBytes2: 0,
        freedBytes: 0,
        matureBytes: 0,
        movedIn: NOTHING,
        cohorts: new Map(),
        told: NOTHING,
      };
      this.series.set(key, series);
    }
    return series;
  }

  private expose(owner: string, count: number, now: number): void {
    this.exposureOf(owner, now, false).requestCount += count;
  }

  /** @param isNeeded gives the route totals of its own beyond the cap: it has a site. */
  private exposureOf(owner: string, now: number, isNeeded: boolean): Exposure {
    const known = this.exposures.get(owner);
    if (known !== undefined) return known;
    const name = this.exposures.size < MAX_OWNERS || isNeeded ? owner : OTHER_OWNER;
    const route = name === OTHER_OWNER ? undefined : this.routes[Number(name.slice(ROUTE_PREFIX.length))];
    const exposure = this.exposures.get(name) ?? {
      owner: name,
      route: route ?? OTHER_ROUTE,
      sinceMillis: now,
      requestCount: 0,
      movedInCount: 0,
      toldCount: 0,
    };
    this.exposures.set(name, exposure);
    return exposure;
  }

  private resolve(route: number): number {
    let resolved = route;
    for (let hops = 0; hops < 8; hops++) {
      const next = this.aliases.get(resolved);
      if (next === undefined) break;
      resolved = next;
    }
    return resolved;
  }

  /** A route turned out to be another one: its totals go over, and its own series end. */
  private fold(from: number, to: number): void {
    const target = this.resolve(to);
    if (from === target) return;
    this.aliases.set(from, target);
    const owner = `${ROUTE_PREFIX}${from}`;
    const exposure = this.exposures.get(owner);
    if (exposure === undefined) return;
    this.exposures.delete(owner);
    const joined = this.exposureOf(`${ROUTE_PREFIX}${target}`, exposure.sinceMillis, false);
    joined.requestCount += exposure.requestCount;
    joined.movedInCount += exposure.toldCount;
    for (const [key, series] of this.series) {
      if (series.owner !== owner) continue;
      this.series.delete(key);
      this.add(series, this.seriesOf(`${ROUTE_PREFIX}${target}`, null, series.sinceMillis));
    }
  }

  private add(from: Series, to: Series): void {
    Object.assign(to, sumOf(to, from));
    to.movedIn = sumOf(to.movedIn, from.told);
    to.matureBytes += from.matureBytes;
    for (const [bornMillis, cohort] of from.cohorts)
      if (!to.cohorts.has(bornMillis)) to.cohorts.set(bornMillis, cohort);
    for (const [key, sample] of this.followed)
      if (sample.series === from) this.followed.set(key, { ...sample, series: to });
  }

  private forgetOldSites(): void {
    for (const [key, { owner, site }] of this.series) {
      if (this.series.size <= MAX_OWNERS + MAX_KEPT_SITES / 2) break;
      if (site !== null && !this.isFollowed(owner, site)) this.series.delete(key);
    }
  }
}

function sumOf(a: SurvivalSums, b: SurvivalSums): SurvivalSums {
  return {
    maturedCohorts: a.maturedCohorts + b.maturedCohorts,
    freedCohorts: a.freedCohorts + b.freedCohorts,
    retainedBytes: a.retainedBytes + b.retainedBytes,
    retainedVarianceBytes2: a.retainedVarianceBytes2 + b.retainedVarianceBytes2,
    freedBytes: a.freedBytes + b.freedBytes,
  };
}

function seriesKey(owner: string, site: number | null): string {
  return `${owner}|${site ?? ""}`;
}
