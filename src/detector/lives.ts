/**
 * Pure. Owns the rule across process lives: what lives too short to judge alone say together about one site of one route.
 * The current life must agree by itself, so that a fix is never judged by the evidence of an earlier build.
 */
import type { FindingAlternative, FindingGrowth } from "../model/finding";
import type { LifeSeries } from "../model/life";
import { lnEvidence, lnThreshold } from "./evidence";
import { type Rate, rateOf } from "./growth";
import { lowerRatio, STEADY_RATIO_LOW } from "./steadiness";

/** A life agrees when the odds against a bounded structure are better than this: five cohorts without a death. */
const LN_AGREES: number = Math.log(10);
/** Fewer events than this say nothing against a leak. */
const MINIMUM_EVENTS = 5;
/** Lives that must agree, the current one among them. */
const MINIMUM_LIVES = 3;
/** Lives that disagree, per life that agrees. */
const MAX_DISSENT = 1 / 4;
/** A life that saw this many freed, and this share of what matured, knows for how long things are kept. */
const MINIMUM_FREED = 3;
const MINIMUM_FREED_SHARE = 0.15;
/** The rules of a single life (verdict.ts): steadiness of the survivors in halves and quarters, and how many there are. */
const HALF_RATIO = 0.7;
const QUARTER_RATIO = 0.5;
const MINIMUM_SURVIVORS = 20;
/**
 * Of what earlier lives held at their end: born in the later half of the life over the earlier one. A leak's is 1, less what
 * warm-up left; a structure that fills 95 % within each life is at 0.22.
 */
const WHOLE_LIFE_RATIO = 0.5;
/**
 * And the earlier half over the later one. A leak still holds what it kept early; a structure whose entries go within the
 * life holds only its newest, and is near 0 even where its later half is too short to see them go. A leak whose rate climbs
 * evenly from nothing is at 1/3.
 */
const STILL_HELD_RATIO = 0.25;
/** A structure that was full once must be outgrown by this factor before it is anything else. */
const OUTGROWN_RATIO = 1.25;
/** The single life's judgement and this one are two looks at one budget. */
const JUDGES = 2;

/** One life's numbers of one site. */
export interface SiteLife {
  readonly startMillis: number;
  readonly endMillis: number;
  readonly series: LifeSeries;
}

export interface EvidenceAcrossLives {
  readonly supportsLeak: boolean;
  readonly agreeingLives: number;
  readonly dissentingLives: number;
  /** Lives shorter than things are known to be kept: no vote. */
  readonly censoredLives: number;
  readonly maturedCount: number;
  readonly freedCount: number;
  readonly lnE: number;
  readonly lnThreshold: number;
  /** For how long, in agreeing lives together, births of the later half were watched. */
  readonly heldMillis: number;
  readonly survivorCount: number;
  readonly halfRatio: number | null;
  readonly minQuarterRatio: number | null;
  /** Bytes held at the end of earlier lives, per exposure: born in the later half of the life over the earlier one. */
  readonly wholeLifeRatio: number | null;
}

/**
 * @param past lives that ended before the current one began.
 * @param order order of appearance of the site among all that were recorded: its share of the error budget.
 */
export function acrossLives(
  past: readonly SiteLife[],
  current: SiteLife,
  horizonMillis: number,
  order: number,
): EvidenceAcrossLives {
  const generations = [...generationsOf(past), current.series];
  const residence = Math.max(0, ...generations.map(knownResidence));
  // Births that were watched for less than things are kept speak for nothing; deaths speak against a leak at any age.
  const voting = generations.filter((one) => observedMillis(one) >= residence || dissents(one));
  const agreeing = voting.filter(agrees);
  const dissentingLives = voting.filter(dissents).length;
  const maturedCount = sum(voting, (one) => one.matured);
  const freedCount = sum(voting, (one) => one.freed);
  const quarters = [0, 1, 2, 3].map((index) => sum(voting, (one) => one.quarters[index] ?? 0));
  const survivorCount = sum(quarters, (count) => count);
  const [q0 = 0, q1 = 0, q2 = 0, q3 = 0] = quarters;
  const evidence = {
    agreeingLives: agreeing.length,
    dissentingLives,
    censoredLives: generations.length - voting.length,
    maturedCount,
    freedCount,
    lnE: lnEvidence(maturedCount, freedCount),
    lnThreshold: lnThreshold(order, 0, 0, JUDGES, 1),
    heldMillis: sum(agreeing, observedMillis),
    survivorCount,
    halfRatio: q0 + q1 === 0 ? null : (q2 + q3) / (q0 + q1),
    minQuarterRatio: survivorCount === 0 ? null : Math.min(...quarters) / (survivorCount / 4),
    wholeLifeRatio: wholeLifeRatioOf(past),
  };
  return {
    ...evidence,
    supportsLeak:
      agrees(current.series) &&
      voting.includes(current.series) &&
      evidence.agreeingLives >= MINIMUM_LIVES &&
      dissentingLives <= MAX_DISSENT * evidence.agreeingLives &&
      evidence.lnE > evidence.lnThreshold &&
      evidence.heldMillis >= horizonMillis &&
      survivorCount >= MINIMUM_SURVIVORS &&
      (evidence.halfRatio ?? 0) >= HALF_RATIO &&
      lowerRatio(q2 + q3, q0 + q1, 1) >= STEADY_RATIO_LOW &&
      (evidence.minQuarterRatio ?? 0) >= QUARTER_RATIO &&
      (evidence.wholeLifeRatio ?? 0) >= WHOLE_LIFE_RATIO &&
      stillHeldRatio(evidence) >= STILL_HELD_RATIO &&
      current.series.matureBytes > OUTGROWN_RATIO * Math.max(0, ...past.map(({ series }) => knownPlateau(series))),
  };
}

/** What a finding on this evidence has rejected, and by which number. */
export function alternativesAcrossLives(evidence: EvidenceAcrossLives, horizonMillis: number): FindingAlternative[] {
  const { agreeingLives, heldMillis, halfRatio, minQuarterRatio } = evidence;
  const rows: [name: string, statistic: string, value: number, bound: number][] = [
    ["bounded cache in steady state", "lnE", evidence.lnE, evidence.lnThreshold],
    ["the chance of one life", "lives", agreeingLives, MINIMUM_LIVES],
    ["short burst or batch", "heldSeconds", heldMillis / 1_000, horizonMillis / 1_000],
    ["warm-up or a one-off", "minQuarterRatio", minQuarterRatio ?? 0, QUARTER_RATIO],
    ["a structure that fills in each life", "wholeLifeRatio", evidence.wholeLifeRatio ?? 0, WHOLE_LIFE_RATIO],
    ["a structure whose entries go within each life", "stillHeldRatio", stillHeldRatio(evidence), STILL_HELD_RATIO],
    ["a structure that is filling up", "halfRatio", Math.min(halfRatio ?? 0, Number.MAX_SAFE_INTEGER), HALF_RATIO],
  ];
  return rows.map(([name, statistic, value, bound]) => ({ name, statistic, value, bound, rejected: value >= bound }));
}

/**
 * The later half of one life may be a few hours, begun in its warm-up: lives that agree tell the rate better together.
 * The interval is the wider one of their own variances and of how they differ.
 * @param growth of the current life; its share that is not at this site is taken to change alike.
 * @param ofSite the site's own part of it, over the same births: what both share of chance cancels out.
 * @param earlier lives of the same build.
 */
export function growthAcrossLives(
  growth: FindingGrowth,
  ofSite: Rate | null,
  earlier: readonly LifeSeries[],
  current: LifeSeries,
): FindingGrowth {
  const lives = [...earlier.filter(agrees), current];
  const exposure = sum(lives, (one) => one.exposure);
  const bytes = sum(lives, (one) => one.bytes);
  const own = ofSite?.perExposure ?? 0;
  if (own <= 0 || bytes <= 0) return growth;
  const within = sum(lives, (one) => one.varianceBytes2);
  const between = sum(lives, (one) => (one.bytes - (bytes / exposure) * one.exposure) ** 2);
  const { perExposure, low, high } = rateOf(bytes, exposure, Math.max(within, between));
  const perRequest = (rate: number): number | null =>
    growth.bytesPerRequest === null ? null : growth.bytesPerRequest * (rate / own);
  return {
    ...growth,
    bytesPerRequest: perRequest(perExposure),
    bytesPerRequestLow: perRequest(low),
    bytesPerRequestHigh: perRequest(high),
    bytesPerHour: growth.bytesPerHour * (perExposure / own),
    bytesPerHourLow: growth.bytesPerHour * (low / own),
    bytesPerHourHigh: growth.bytesPerHour * (high / own),
  };
}

/**
 * Processes that ran at the same time are one voice: their sums would be no evidence (fifty pods that warm up cross any
 * threshold). A generation speaks with the mean of its members, rounded against the leak.
 */
function generationsOf(lives: readonly SiteLife[]): LifeSeries[] {
  const generations: SiteLife[][] = [];
  let endMillis = Number.NEGATIVE_INFINITY;
  for (const life of [...lives].sort((a, b) => a.startMillis - b.startMillis)) {
    const last = generations.at(-1);
    if (last === undefined || life.startMillis >= endMillis) generations.push([life]);
    else last.push(life);
    endMillis = Math.max(endMillis, life.endMillis);
  }
  return generations.map((members) => meanOf(members.map(({ series }) => series)));
}

function meanOf(members: readonly LifeSeries[]): LifeSeries {
  const [first] = members;
  if (first === undefined) throw new RangeError("a generation has at least one life");
  const mean = (of: (one: LifeSeries) => number): number => sum(members, of) / members.length;
  const residences = members.flatMap((one) => one.residenceMillis ?? []);
  return {
    ...first,
    matured: Math.floor(mean((one) => one.matured)),
    freed: Math.ceil(mean((one) => one.freed)),
    survivors: Math.floor(mean((one) => one.survivors)),
    quarters: [0, 1, 2, 3].map((index) => mean((one) => one.quarters[index] ?? 0)) as unknown as LifeSeries["quarters"],
    residenceMillis: residences.length === 0 ? null : Math.max(...residences),
  };
}

/**
 * What one life saw of its later half cannot tell how much came before; the ends of several lives together can. The last
 * births of a life cannot be judged: what the later half brought until then is taken up to its whole exposure.
 */
function wholeLifeRatioOf(past: readonly SiteLife[]): number | null {
  const later = sum(past, ({ series }) => (series.bytes * (series.laterExposure ?? series.exposure)) / series.exposure);
  const earlier = sum(past, ({ series }) => series.matureBytes - series.bytes);
  return later + earlier <= 0 ? null : later / Math.max(earlier, Number.EPSILON * later);
}

/** Bytes held at the end of earlier lives: born in the earlier half of the life over the later one. */
function stillHeldRatio({ wholeLifeRatio }: Pick<EvidenceAcrossLives, "wholeLifeRatio">): number {
  return wholeLifeRatio === null ? 0 : Math.min(1 / wholeLifeRatio, Number.MAX_SAFE_INTEGER);
}

function agrees({ matured, freed }: LifeSeries): boolean {
  return lnEvidence(matured, freed) >= LN_AGREES;
}

function dissents({ matured, freed }: LifeSeries): boolean {
  return matured + freed >= MINIMUM_EVENTS && lnEvidence(matured, freed) < 0;
}

function observedMillis({ startMillis, timeMillis }: LifeSeries): number {
  return timeMillis - startMillis;
}

/** For how long this site keeps things, where a life has seen enough of them go; else 0. */
function knownResidence({ matured, freed, residenceMillis }: LifeSeries): number {
  return freed >= Math.max(MINIMUM_FREED, MINIMUM_FREED_SHARE * matured) ? (residenceMillis ?? 0) : 0;
}

/** How large the structure was in a life in which as many went as came; else 0. */
function knownPlateau(series: LifeSeries): number {
  return series.freed >= MINIMUM_FREED && series.freed >= series.matured / 2 ? series.matureBytes : 0;
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}
