/** Pure. Owns the rules that turn evidence into a verdict, and the alternatives each of them rejects. */
import type { FindingAlternative, FindingContrast, FindingGrowth, VerdictName } from "../model/finding";
import type { Evaluation } from "./hypothesis";
import { STEADY_RATIO_LOW } from "./steadiness";

/** Rule (iii): survivors per exposure, later half over earlier half. */
const LEAK_HALF_RATIO = 0.7;
/** A standing `leak` is kept down to here, so that counting noise does not flip it. */
const KEEP_HALF_RATIO = 0.55;
const SATURATING_HALF_RATIO = 0.3;
/** `saturating` is told where the ratio is surely below this: of a steady leak few survivors, or bursts, show 0.6 now and then. */
const STEADY_HALF_RATIO = 1;
/** Rule (iv): the poorest quarter over the mean. */
const LEAK_QUARTER_RATIO = 0.5;
const KEEP_QUARTER_RATIO = 0.25;
/** Below this many survivors the ratios are noise and no `leak` is said. */
const MINIMUM_SURVIVORS = 20;
/** Rule (v): the share of mature cohorts that live through every age that enough of them have reached. */
const LEAK_SURVIVAL_RATIO = 0.5;
/**
 * Horizons that the oldest object of a site has lived when a `leak` is first said. A cache for a day's entries fills in a day
 * of mean traffic; begun at a weekend, or any other quiet time, it evicts for the first time well after a horizon.
 */
const LEAK_OLDEST_HORIZONS = 2;
/** What counts as mature has survived so many (src/worker/live-samples.ts). */
const MATURITY_MAJOR_GCS = 2;
/** A broken rule must stay broken this share of the horizon before a verdict is withdrawn. */
export const WITHDRAWAL_SHARE_OF_HORIZON: number = 1 / 3;

/** A verdict that a person has been told about growth. */
export function isStanding(verdict: VerdictName): boolean {
  return verdict === "leak" || verdict === "urgent" || verdict === "saturating";
}

export interface Standing {
  /** How long the hypothesis has been over threshold at every look. */
  readonly heldMillis: number;
  /** How long it has been so with nothing that refutes it (`isRefuted`) at any look. */
  readonly unrefutedMillis: number;
  /** Age of the site's oldest living sample. */
  readonly oldestMillis: () => number;
  readonly horizonMillis: number;
  readonly current: VerdictName | null;
}

/** What the evidence of this look alone supports; withdrawal delays are the caller's. */
export function judge(evaluation: Evaluation | null, standing: Standing): VerdictName | null {
  if (evaluation === null || !evaluation.overThreshold) return null;
  const { halfRatio, halfRatioHigh, minQuarterRatio, survivors } = evaluation;
  if (standing.heldMillis < standing.horizonMillis || halfRatio === null || minQuarterRatio === null) return "watch";
  const standsAsLeak = standing.current === "leak" || standing.current === "urgent";
  const half = standsAsLeak ? KEEP_HALF_RATIO : LEAK_HALF_RATIO;
  const quarter = standsAsLeak ? KEEP_QUARTER_RATIO : LEAK_QUARTER_RATIO;
  if ((evaluation.survivalRatio ?? 1) < LEAK_SURVIVAL_RATIO) return "watch";
  const isSteady = survivors.length >= MINIMUM_SURVIVORS && halfRatio >= half && minQuarterRatio >= quarter;
  if (isSteady && (standsAsLeak || isSure(evaluation, standing))) return "leak";
  const isFlattening = halfRatio < LEAK_HALF_RATIO && (halfRatioHigh ?? 0) < STEADY_HALF_RATIO;
  if (isFlattening && halfRatio >= SATURATING_HALF_RATIO) return "saturating";
  return "watch";
}

/** What a leak must show to be told, and need not show again while it stands. */
function isSure({ halfRatioLow }: Evaluation, { unrefutedMillis, oldestMillis, horizonMillis }: Standing): boolean {
  if (unrefutedMillis < horizonMillis || (halfRatioLow ?? 0) < STEADY_RATIO_LOW) return false;
  return oldestMillis() >= LEAK_OLDEST_HORIZONS * horizonMillis;
}

/** Evidence that speaks against a verdict that stands, rather than being too thin for it: an expiry, or no more growth. */
export function isRefuted(evaluation: Evaluation | null): boolean {
  if (evaluation === null) return false;
  const { survivalRatio, halfRatio } = evaluation;
  return (survivalRatio ?? 1) < LEAK_SURVIVAL_RATIO || (halfRatio ?? 1) < SATURATING_HALF_RATIO;
}

/**
 * The alternatives that the numbers of a finding speak for or against.
 * @param oldestMillis age of the oldest living sample.
 * @param majorGcsSurvived mark-compacts since it was born; a lower bound in a long life.
 */
export function alternativesOf(
  evaluation: Evaluation,
  heldMillis: number,
  oldestMillis: number,
  horizonMillis: number,
  { idleBytesPerHour, busyBytesPerHour }: Pick<FindingContrast, "idleBytesPerHour" | "busyBytesPerHour">,
  growth: Pick<FindingGrowth, "bytesPerRequestLow">,
  majorGcsSurvived: number,
): FindingAlternative[] {
  const alternatives: FindingAlternative[] = [
    reject("bounded cache in steady state", "lnE", evaluation.lnE, evaluation.lnThreshold, evaluation.overThreshold),
    reject(
      "short burst or batch",
      "heldSeconds",
      heldMillis / 1_000,
      horizonMillis / 1_000,
      heldMillis >= horizonMillis,
    ),
    reject(
      "a cache that a quiet time fills slowly",
      "oldestAgeSeconds",
      oldestMillis / 1_000,
      (LEAK_OLDEST_HORIZONS * horizonMillis) / 1_000,
      oldestMillis >= LEAK_OLDEST_HORIZONS * horizonMillis,
    ),
  ];
  if (evaluation.minQuarterRatio !== null) {
    const value = evaluation.minQuarterRatio;
    alternatives.push(
      reject("warm-up or a one-off", "minQuarterRatio", value, LEAK_QUARTER_RATIO, value >= LEAK_QUARTER_RATIO),
    );
  }
  if (evaluation.halfRatio !== null) {
    const value = evaluation.halfRatio;
    alternatives.push(
      reject("a structure that is filling up", "halfRatio", value, LEAK_HALF_RATIO, value >= LEAK_HALF_RATIO),
    );
  }
  const survival = evaluation.survivalRatio ?? (evaluation.overThreshold ? 1 : null);
  if (survival !== null) {
    alternatives.push(
      reject(
        "a cache with a time to live, or a queue",
        "survivalRatio",
        survival,
        LEAK_SURVIVAL_RATIO,
        survival >= LEAK_SURVIVAL_RATIO,
      ),
    );
  }
  alternatives.push(
    reject(
      "garbage that waits for a mark-compact",
      "majorGcsSurvived",
      majorGcsSurvived,
      MATURITY_MAJOR_GCS,
      majorGcsSurvived >= MATURITY_MAJOR_GCS,
    ),
  );
  if (growth.bytesPerRequestLow !== null) {
    const low = growth.bytesPerRequestLow;
    alternatives.push(reject("more traffic, each request freeing its own", "bytesPerRequestLow", low, 0, low > 0));
  }
  if (idleBytesPerHour !== null && busyBytesPerHour !== null && busyBytesPerHour > 0) {
    const share = idleBytesPerHour / busyBytesPerHour;
    alternatives.push(reject("a background job", "idleOverBusyGrowth", share, 0.5, share < 0.5));
  }
  return alternatives;
}

function reject(name: string, statistic: string, value: number, bound: number, rejected: boolean): FindingAlternative {
  return { name, statistic, value: Number.isFinite(value) ? value : Number.MAX_SAFE_INTEGER, bound, rejected };
}
