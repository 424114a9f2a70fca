/**
 * Pure. Owns how steadily the survivors of one function were born, measured on the exposure of its owner: later half over
 * earlier half and how sure that is, and the poorest quarter.
 */
import type { Clock } from "./exposure";
import type { StoredSample } from "./sample-store";

const NORMAL_QUANTILE_95 = 1.644854;
/**
 * What fills 95 % within the horizon has halved its growth by the time that a `leak` can be told: a rate that may have halved,
 * as far as few survivors can tell, is not steady.
 */
export const STEADY_RATIO_LOW = 0.5;

export interface Steadiness {
  /** Survivors per exposure of the later half over the earlier one, births from start to decidable; null = no births. */
  readonly halfRatio: number | null;
  /** Ends of `halfRatio`, each one-sided 95 %; null as `halfRatio`. */
  readonly halfRatioLow: number | null;
  readonly halfRatioHigh: number | null;
  /** The poorest quarter's survivors per exposure over the mean. */
  readonly minQuarterRatio: number | null;
}

const NO_BIRTHS: Steadiness = { halfRatio: null, halfRatioLow: null, halfRatioHigh: null, minQuarterRatio: null };

/** @param survivors living samples born since the start, in order of birth. @param endMillis later births cannot be judged yet. */
export function steadinessOf(
  survivors: readonly StoredSample[],
  startMillis: number,
  endMillis: number,
  clock: Clock,
): Steadiness {
  const from = clock.at(startMillis);
  const span = clock.at(endMillis) - from;
  if (endMillis <= startMillis || span <= 0) return NO_BIRTHS;
  const quarters: [number, number, number, number] = [0, 0, 0, 0];
  const bursts = new BurstSizes();
  for (const sample of survivors) {
    if (sample.container || sample.bornMillis > endMillis) continue;
    const quarter = Math.min(3, Math.floor((4 * (clock.at(sample.bornMillis) - from)) / span));
    quarters[quarter as 0 | 1 | 2 | 3]++;
    bursts.add(sample.bornMillis);
  }
  const earlier = quarters[0] + quarters[1];
  const later = quarters[2] + quarters[3];
  const total = earlier + later;
  if (total === 0) return NO_BIRTHS;
  return {
    halfRatio: earlier === 0 ? Number.MAX_SAFE_INTEGER : later / earlier,
    halfRatioLow: lowerRatio(later, earlier, bursts.meanSize()),
    halfRatioHigh: 1 / lowerRatio(earlier, later, bursts.meanSize()),
    minQuarterRatio: Math.min(...quarters) / (total / 4),
  };
}

/**
 * One-sided 95 % lower bound of the ratio of two Poisson rates over equal exposure, by the normal approximation of its
 * logarithm. Half a count is added to each, so that 0 has a bound too.
 * @param burstSize samples that come together count as one: the variance is so many times larger (Kish 1965).
 */
export function lowerRatio(later: number, earlier: number, burstSize: number): number {
  const deviation = Math.sqrt(burstSize * (1 / (later + 0.5) + 1 / (earlier + 0.5)));
  return ((later + 0.5) / (earlier + 0.5)) * Math.exp(-NORMAL_QUANTILE_95 * deviation);
}

/** How many samples are born together, as a further sample sees it: sum of squares over the sum. */
class BurstSizes {
  private sum = 0;
  private squares = 0;
  private size = 0;
  private bornMillis = Number.NaN;

  /** In order of birth. */
  add(bornMillis: number): void {
    this.size = bornMillis === this.bornMillis ? this.size + 1 : 1;
    this.bornMillis = bornMillis;
    this.sum++;
    // k^2 - (k-1)^2
    this.squares += 2 * this.size - 1;
  }

  meanSize(): number {
    return this.sum === 0 ? 1 : this.squares / this.sum;
  }
}
