/** Pure. Owns the guess which route a site without one belongs to, from the requests that came while it grew. */
import type { FindingGrowth } from "../model/finding";
import type { Route } from "../model/owner";
import type { DetectorMemory } from "./detector-memory";
import { type InferredRoute, inferRoute } from "./route-regression";
import type { StoredSample } from "./sample-store";

const MAX_WINDOWS = 96;
/** Windows are no shorter than this share of the horizon: births are dated to a window of theirs. */
const WINDOWS_PER_HORIZON = 24;
const MIN_WINDOW_MILLIS = 1_000;

export interface InferredOwner {
  readonly route: Route;
  readonly inferred: InferredRoute;
  readonly requests: number;
}

/**
 * @param living mature samples of the site that are alive, whoever owns them.
 * @param startMillis since when; births before it do not count, nor do those after `endMillis` (not yet mature).
 * @returns null where the mix of routes cannot tell.
 */
export function inferOwner(
  memory: DetectorMemory,
  living: readonly StoredSample[],
  startMillis: number,
  endMillis: number,
): InferredOwner | null {
  const { horizonMillis } = memory.options;
  const span = endMillis - startMillis;
  const width = Math.max(span / MAX_WINDOWS, horizonMillis / WINDOWS_PER_HORIZON, MIN_WINDOW_MILLIS);
  const count = Math.floor(span / width);
  if (count < 1) return null;
  const survivors = new Array<number>(count).fill(0);
  for (const { bornMillis, sizeBytes, weight } of living) {
    const until = (bornMillis - startMillis) / width;
    spread(survivors, until - memory.options.windowMillis / width, until, sizeBytes * weight);
  }
  const counts = new Map<number, number[]>();
  for (const [route, clock] of memory.routeClocks()) {
    const at = (edge: number): number => clock.at(startMillis + edge * width);
    counts.set(
      route,
      survivors.map((_, window) => at(window + 1) - at(window)),
    );
  }
  const inference = inferRoute(survivors, counts);
  if (!inference.known) return null;
  const route = memory.routeAt(inference.inferred.route);
  const own = counts.get(inference.inferred.route) ?? [];
  if (route === null) return null;
  return { route, inferred: inference.inferred, requests: own.reduce((sum, requests) => sum + requests, 0) };
}

/**
 * A birth is dated to the end of its window, and requests are taken to come evenly within one: so are births, or the two
 * would disagree about what lies on either side of an edge.
 */
function spread(windows: number[], from: number, until: number, bytes: number): void {
  for (let window = Math.max(0, Math.floor(from)); window < Math.min(until, windows.length); window++) {
    const share = (Math.min(until, window + 1) - Math.max(from, window)) / (until - from);
    windows[window] = (windows[window] ?? 0) + share * bytes;
  }
}

/** Bytes per request as the regression has them; the rest is as measured. */
export function inferredGrowth(growth: FindingGrowth, owner: InferredOwner | null): FindingGrowth {
  if (owner === null) return growth;
  const { perRequest, perRequestLow, perRequestHigh } = owner.inferred;
  return {
    ...growth,
    bytesPerRequest: perRequest,
    bytesPerRequestLow: perRequestLow,
    bytesPerRequestHigh: perRequestHigh,
    requests: Math.round(owner.requests),
  };
}
