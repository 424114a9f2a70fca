/**
 * Pure. Owns growth that shows in a level of the process and at no site: memory outside the JS heap, open files, loaded
 * modules, and a heap that is about to end without a site that explains it. Never names a line.
 */
import type { OutsideSignal, VerdictName } from "../model/finding";
import type { LevelReading } from "../model/observation";
import { halfRatioOf, type Series } from "./forecast";
import { type LevelHistory, theilSen } from "./level-trend";
import { WITHDRAWAL_SHARE_OF_HORIZON } from "./verdict";

/**
 * The judged time is cut into so many windows; of each the least reading counts, since levels drop only at a GC. In half
 * as many where a window had no reading, as in a short load test.
 */
const WINDOWS = [16, 8] as const;
/** Rule (iii): growth of the later half over that of the earlier. */
const HALF_RATIO = 0.7;
/** Rule (iv): the poorest quarter over the mean; lower once a verdict stands, so that noise does not flip it. */
const QUARTER_RATIO = 0.5;
const KEEP_QUARTER_RATIO = 0.25;
/** Growth below this share of the level is drift. */
const LEAST_SHARE = 0.1;
/** A level alone is weak evidence: `leak` needs the rules to hold for this many horizons, and twice that of life. */
const LEAK_HORIZONS = 2;
/** A share of the level's growth above which a site (or another signal) explains it. */
const EXPLAINED_SHARE = 0.5;
const MIB = 1_048_576;

interface SignalRule {
  readonly signal: OutsideSignal;
  readonly unit: "By" | "1";
  /** Growth in the judged time below this is noise. */
  readonly leastGrowth: number;
  read(reading: LevelReading): number | null;
}

/** In the order in which they claim growth of RSS: `native` is what the others leave. */
export const SIGNALS: readonly SignalRule[] = [
  {
    signal: "array-buffers",
    unit: "By",
    leastGrowth: 4 * MIB,
    read: (reading) => reading.arrayBuffersBytes ?? null,
  },
  {
    signal: "external",
    unit: "By",
    leastGrowth: 4 * MIB,
    read: ({ arrayBuffersBytes, externalBytes }) =>
      arrayBuffersBytes === undefined ? null : Math.max(0, externalBytes - arrayBuffersBytes),
  },
  {
    signal: "native",
    unit: "By",
    // Allocators keep what was freed: fragments of this size come and go in a healthy process.
    leastGrowth: 16 * MIB,
    read: ({ rssBytes, heapTotalBytes, externalBytes }) =>
      heapTotalBytes === undefined || heapTotalBytes === null
        ? null
        : Math.max(0, rssBytes - heapTotalBytes - externalBytes),
  },
  { signal: "open-files", unit: "1", leastGrowth: 32, read: (reading) => reading.openFileCount ?? null },
  { signal: "modules", unit: "1", leastGrowth: 64, read: (reading) => reading.moduleCount ?? null },
  { signal: "heap", unit: "By", leastGrowth: 4 * MIB, read: (reading) => reading.postGcHeapBytes },
];

/** What one look says of one signal. */
export interface OutsideReading {
  readonly signal: OutsideSignal;
  readonly unit: "By" | "1";
  readonly perHour: number;
  readonly perHourLow: number;
  readonly perHourHigh: number;
  readonly level: number;
  readonly startLevel: number;
  readonly startMillis: number;
  readonly halfRatio: number;
  readonly minQuarterRatio: number;
}

/** A changed verdict of one signal. */
export interface OutsideChange {
  readonly reading: OutsideReading;
  readonly verdict: VerdictName;
  readonly previousVerdict: VerdictName | null;
  readonly sequence: number;
  readonly firstSeenMillis: number;
  readonly heldMillis: number;
}

interface SignalState {
  verdict: VerdictName | null;
  sequence: number;
  firstSeenMillis: number;
  heldSinceMillis: number | null;
  brokenSinceMillis: number | null;
  /** Since when `urgent` stands although no look supported as much. */
  calmSinceMillis: number | null;
  last: OutsideReading | null;
}

export interface OutsideLook {
  readonly nowMillis: number;
  readonly originMillis: number;
  /** The level meets its limit soon (src/detector/forecast.ts). */
  readonly isUrgent: boolean;
  /** Growth of the heap, in bytes an hour, that standing sites explain. */
  readonly siteBytesPerHour: number;
}

export class OutsideGrowth {
  private readonly states = new Map<OutsideSignal, SignalState>();

  constructor(private readonly horizonMillis: number) {}

  /** @returns the signals whose verdict changed. */
  look(levels: LevelHistory, look: OutsideLook): OutsideChange[] {
    const changes: OutsideChange[] = [];
    for (const rule of SIGNALS) {
      const state = this.stateOf(rule.signal);
      const reading = growthOf(rule, levels, look, this.horizonMillis, state.verdict !== null);
      const next = this.nextVerdict(rule, reading, state, levels, look);
      const shown = reading ?? state.last;
      state.last = shown;
      if (next === null || next === state.verdict || shown === null) continue;
      if (state.sequence === 0) state.firstSeenMillis = look.nowMillis;
      state.sequence++;
      changes.push({
        reading: shown,
        verdict: next,
        previousVerdict: state.verdict,
        sequence: state.sequence,
        firstSeenMillis: state.firstSeenMillis,
        heldMillis: state.heldSinceMillis === null ? 0 : look.nowMillis - state.heldSinceMillis,
      });
      state.verdict = next;
    }
    return changes;
  }

  /** The sampler's restart does not touch levels; a new life does. */
  private stateOf(signal: OutsideSignal): SignalState {
    let state = this.states.get(signal);
    if (state === undefined) {
      state = {
        verdict: null,
        sequence: 0,
        firstSeenMillis: 0,
        heldSinceMillis: null,
        brokenSinceMillis: null,
        calmSinceMillis: null,
        last: null,
      };
      this.states.set(signal, state);
    }
    return state;
  }

  private nextVerdict(
    rule: SignalRule,
    reading: OutsideReading | null,
    state: SignalState,
    levels: LevelHistory,
    look: OutsideLook,
  ): VerdictName | null {
    const supported = reading === null ? null : this.supported(rule, reading, state, levels, look);
    const patience = WITHDRAWAL_SHARE_OF_HORIZON * this.horizonMillis;
    if (state.verdict !== "urgent" || supported === "urgent") state.calmSinceMillis = null;
    else state.calmSinceMillis ??= look.nowMillis;
    if (supported !== null) {
      state.brokenSinceMillis = null;
      if (state.calmSinceMillis !== null) return look.nowMillis - state.calmSinceMillis < patience ? null : supported;
      // From `leak` a level weakens only by being withdrawn.
      return state.verdict === "leak" && supported === "watch" ? null : supported;
    }
    state.heldSinceMillis = null;
    if (state.verdict === null || state.verdict === "retracted") return null;
    state.brokenSinceMillis ??= look.nowMillis;
    return look.nowMillis - state.brokenSinceMillis >= patience ? "retracted" : null;
  }

  private supported(
    rule: SignalRule,
    reading: OutsideReading,
    state: SignalState,
    levels: LevelHistory,
    look: OutsideLook,
  ): VerdictName | null {
    state.heldSinceMillis ??= look.nowMillis;
    const matters = look.isUrgent && rule.unit === "By" && this.drives(rule, reading, levels, look);
    if (matters) return "urgent";
    // A heap that grows is the cohorts' matter until it is urgent.
    if (rule.signal === "heap") return state.verdict === "urgent" ? "watch" : null;
    const held = look.nowMillis - state.heldSinceMillis;
    const lived = look.nowMillis - look.originMillis;
    const isLong = held >= LEAK_HORIZONS * this.horizonMillis && lived >= 2 * LEAK_HORIZONS * this.horizonMillis;
    return isLong ? "leak" : "watch";
  }

  /** Whether this signal is (most of) why the level that meets its limit grows. */
  private drives(rule: SignalRule, reading: OutsideReading, levels: LevelHistory, look: OutsideLook): boolean {
    if (rule.signal === "heap") return look.siteBytesPerHour < EXPLAINED_SHARE * reading.perHour;
    const rss = levels.trend(({ rssBytes }) => rssBytes, reading.startMillis);
    return rss !== null && rss.bytesPerHour > 0 && reading.perHour >= EXPLAINED_SHARE * rss.bytesPerHour;
  }
}

/** Growth over the later half of the life, by the rules; null when one of them is broken. */
export function growthOf(
  rule: SignalRule,
  levels: LevelHistory,
  look: Pick<OutsideLook, "nowMillis" | "originMillis" | "isUrgent">,
  horizonMillis: number,
  stands: boolean,
): OutsideReading | null {
  const lived = look.nowMillis - look.originMillis;
  // Near the end of a life there is no time to wait for a whole horizon.
  const leastMillis = look.isUrgent ? horizonMillis / 4 : horizonMillis;
  const startMillis = look.nowMillis - Math.max(leastMillis, lived / 2);
  if (startMillis < look.originMillis) return null;
  const floor = floorOf(
    levels.series((reading) => rule.read(reading), startMillis),
    startMillis,
    look.nowMillis,
  );
  if (floor === null) return null;
  const { values, times } = floor;
  const startLevel = values[0] ?? 0;
  const level = values.at(-1) ?? 0;
  const growth = level - startLevel;
  if (growth < rule.leastGrowth || growth < LEAST_SHARE * startLevel) return null;
  const quarters = [0, 1, 2, 3].map((quarter) => {
    const at = (share: number): number => values[Math.round(share * (values.length - 1))] ?? 0;
    return at((quarter + 1) / 4) - at(quarter / 4);
  });
  const minQuarterRatio = Math.min(...quarters) / (growth / 4);
  const halfRatio = halfRatioOf(floor);
  if (halfRatio < HALF_RATIO || minQuarterRatio < (stands ? KEEP_QUARTER_RATIO : QUARTER_RATIO)) return null;
  const trend = theilSen(
    times.map((time) => time / 3_600_000),
    values,
  );
  if (trend === null || trend.low <= 0) return null;
  return {
    signal: rule.signal,
    unit: rule.unit,
    perHour: trend.bytesPerHour,
    perHourLow: trend.low,
    perHourHigh: trend.high,
    level,
    startLevel,
    startMillis,
    halfRatio,
    minQuarterRatio,
  };
}

/** The least reading of each window of equal time; null when some have none. */
function floorOf(series: Series, startMillis: number, endMillis: number): Series | null {
  for (const count of WINDOWS) {
    const width = (endMillis - startMillis) / count;
    const values = new Array<number>(count).fill(Number.POSITIVE_INFINITY);
    series.times.forEach((time, index) => {
      const window = Math.min(count - 1, Math.floor((time - startMillis) / width));
      values[window] = Math.min(values[window] ?? Number.POSITIVE_INFINITY, series.values[index] ?? 0);
    });
    if (values.includes(Number.POSITIVE_INFINITY)) continue;
    return { times: values.map((_, index) => startMillis + (index + 0.5) * width), values };
  }
  return null;
}
