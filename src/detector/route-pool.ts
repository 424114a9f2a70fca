/**
 * Pure. Owns the hypothesis "whichever route it is": the samples and requests of all routes as one owner, for a site that
 * leaks on many routes of which none has enough evidence. Routes that speak for themselves stay out of it.
 */
import type { Route } from "../model/owner";
import { type Clock, ExposureClock, halfExposureMillis } from "./exposure";
import { OwnerState } from "./owner-state";
import type { StoredSample } from "./sample-store";

export const POOL_KEY = "routes";
/** Fewer routes than this are each looked at long enough. */
export const MINIMUM_POOLED_ROUTES = 4;
/** A route with this share of a site's survivors will speak for itself. */
const LARGEST_ROUTE_SHARE = 0.5;
/** Routes that differ in one segment are named together when they hold this share of a site's survivors. */
const FAMILY_SHARE = 0.8;
/** Points of the common clock over the life so far. */
const CLOCK_POINTS = 256;
/** Largest routes that a finding names. */
const MAX_NAMED_ROUTES = 8;
const PARAMETER = ":id";
/** The name where the routes have no template in common. */
export const SEVERAL_ROUTES: Route = { name: "(several routes)", method: null, template: null };

export class RoutePool {
  readonly owner: OwnerState = new OwnerState(POOL_KEY, -1, new ExposureClock(0, 1), true);
  members: readonly OwnerState[] = [];
  samples: ReadonlySet<StoredSample> = new Set();
  /** Deaths of every member are known completely since then. */
  completeSinceMillis: number = Number.NEGATIVE_INFINITY;

  /** When half of the requests of all routes had come. */
  static halfMillis(routes: readonly OwnerState[], originMillis: number, nowMillis: number): number {
    return halfExposureMillis(commonClock(routes, originMillis, nowMillis), nowMillis);
  }

  /** Takes the present samples and requests of these routes; nothing where they are too few. */
  refresh(
    members: readonly OwnerState[],
    samplesOf: (owner: OwnerState) => ReadonlySet<StoredSample>,
    completeSinceOf: (owner: OwnerState) => number,
    originMillis: number,
    nowMillis: number,
  ): void {
    this.members = members.length < MINIMUM_POOLED_ROUTES ? [] : members;
    this.samples = new Set(this.members.flatMap((member) => [...samplesOf(member)]));
    this.completeSinceMillis = Math.max(Number.NEGATIVE_INFINITY, ...this.members.map(completeSinceOf));
    this.owner.clock = commonClock(this.members, originMillis, nowMillis);
  }

  /** Between two looks nothing of this is needed: every sample is known to its route. */
  release(): void {
    this.samples = new Set();
    this.owner.evaluations = new Map();
  }

  /** A function of fewer routes is theirs alone to speak for. */
  static isOnEnoughRoutes(samples: readonly StoredSample[]): boolean {
    const owners = new Set<string>();
    for (const { owner } of samples) {
      if (owners.add(owner).size >= MINIMUM_POOLED_ROUTES) return true;
    }
    return false;
  }

  /** Whether the survivors lie on many routes, none of which has most of them. */
  static isSpread(survivors: readonly StoredSample[]): boolean {
    const counts = new Map<string, number>();
    for (const { owner } of survivors) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    return (
      counts.size >= MINIMUM_POOLED_ROUTES && Math.max(...counts.values()) < LARGEST_ROUTE_SHARE * survivors.length
    );
  }
}

/** How the routes of a pooled finding are called. */
export interface PooledName {
  readonly route: Route;
  /** Routes that the requests are counted of. */
  readonly members: readonly OwnerState[];
  /** The routes with most survivors. */
  readonly largest: readonly string[];
}

/**
 * One template where nearly all survivors are of routes that differ in a single segment: a parameter with too few values
 * to be seen as one. @param living of the site. @param routeOf an owner's route.
 */
export function namePool(
  members: readonly OwnerState[],
  living: readonly StoredSample[],
  routeOf: (owner: OwnerState) => Route | null,
): PooledName {
  const counts = new Map<string, number>();
  for (const { owner } of living) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  const holders = members.flatMap((member) => {
    const route = routeOf(member);
    return route === null ? [] : [{ member, route, count: counts.get(member.key) ?? 0 }];
  });
  const family = largestFamily(holders, living.length);
  const kept = family?.holders ?? holders;
  const largest = kept
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, MAX_NAMED_ROUTES)
    .map(({ route }) => route.name);
  return { route: family?.route ?? SEVERAL_ROUTES, members: kept.map(({ member }) => member), largest };
}

interface Holder {
  readonly member: OwnerState;
  readonly route: Route;
  readonly count: number;
}

function largestFamily(
  holders: readonly Holder[],
  livingCount: number,
): { readonly route: Route; readonly holders: Holder[] } | null {
  const families = new Map<string, { route: Route; holders: Holder[]; count: number }>();
  for (const holder of holders) {
    const { method, template } = holder.route;
    if (method === null || template === null) continue;
    const segments = template.split("/");
    // Of `/a` and `/b` nothing is common: they are two routes of a service, not one with a parameter.
    for (let at = 1; at < segments.length && segments.length > 2; at++) {
      const shared = segments.with(at, PARAMETER).join("/");
      const name = `${method} ${shared}`;
      const family = families.get(name) ?? { route: { name, method, template: shared }, holders: [], count: 0 };
      families.set(name, family);
      family.holders.push(holder);
      family.count += holder.count;
    }
  }
  const [best] = [...families.values()]
    .filter((family) => family.holders.filter(({ count }) => count > 0).length >= MINIMUM_POOLED_ROUTES)
    .sort((a, b) => b.count - a.count);
  return best === undefined || best.count < FAMILY_SHARE * livingCount ? null : best;
}

/** Whether a pooled finding of that name speaks for this route: in another life it may be known by its parameter already. */
export function standsFor(pooledName: string, routeName: string): boolean {
  if (pooledName === SEVERAL_ROUTES.name || pooledName === routeName) return true;
  const segments = routeName.split("/");
  return segments.some((_, at) => at > 0 && segments.with(at, PARAMETER).join("/") === pooledName);
}

/** The requests of several routes together. */
export function commonClock(
  owners: readonly { readonly clock: Clock }[],
  originMillis: number,
  nowMillis: number,
): Clock {
  const width = Math.max(1, (nowMillis - originMillis) / CLOCK_POINTS);
  const common = new ExposureClock(originMillis, width);
  const at = (timeMillis: number): number => owners.reduce((sum, { clock }) => sum + clock.at(timeMillis), 0);
  let before = 0;
  for (let point = 1; point <= CLOCK_POINTS; point++) {
    const timeMillis = originMillis + point * width;
    const total = at(timeMillis);
    common.add(timeMillis, total - before);
    before = total;
  }
  return common;
}
