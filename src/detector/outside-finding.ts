/** Pure. Owns how growth that no site explains is told: its record, and its words. Blames no line. */
import type { Finding, FindingAlternative, FindingOutside, OutsideSignal } from "../model/finding";
import type { Frame } from "../model/observation";
import type { DetectorMemory } from "./detector-memory";
import { forecastLevel } from "./forecast";
import { headroomOf, impactOf } from "./level-trend";
import type { OutsideChange, OutsideReading } from "./outside-growth";
import type { Transition } from "./transition";
import { bytes, duration } from "./words";

const OUTSIDE_THE_HEAP = "(outside the heap)";
const NO_SITE = "(no site)";

const WORDS: Readonly<Record<OutsideSignal, { readonly what: string; readonly next: string }>> = {
  "array-buffers": {
    what: "Memory in Buffers and ArrayBuffers",
    next: "look for what keeps Buffers: the sites with small objects of `node:buffer`, caches of bodies, streams that are not read",
  },
  external: {
    what: "Memory that JS objects hold outside the heap",
    next: "look for what keeps native objects: zlib streams, crypto contexts, WebAssembly memories, external strings",
  },
  native: {
    what: "Memory outside of V8",
    next: "look at native addons and at allocators (MALLOC_ARENA_MAX, jemalloc): V8 knows nothing of it",
  },
  "open-files": {
    what: "The number of open files and sockets",
    next: "look for sockets, files or pipes that are not closed (ls -l /proc/<pid>/fd shows which)",
  },
  modules: {
    what: "The number of loaded modules",
    next: "look for modules that are loaded again and again: a changing path in require, deleted entries of require.cache",
  },
  heap: {
    what: "The JS heap after mark-compacts",
    next: "write a heap snapshot or lower LEAK_AGENT_SAMPLING_INTERVAL: no site is known that explains it",
  },
};

export function outsideTransition(memory: DetectorMemory, change: OutsideChange, nowMillis: number): Transition {
  const { reading, heldMillis } = change;
  const isBytes = reading.unit === "By";
  const { levels } = memory;
  const rss = levels.trend(({ rssBytes }) => rssBytes, reading.startMillis);
  const rssGrowthRatio = isBytes && rss !== null && rss.bytesPerHour > 0 ? reading.perHour / rss.bytesPerHour : null;
  const site: Frame = {
    function: reading.signal === "heap" ? NO_SITE : OUTSIDE_THE_HEAP,
    file: "",
    line: 0,
    column: 0,
  };
  return {
    key: `outside|${reading.signal}`,
    sequence: change.sequence,
    timeMillis: nowMillis,
    firstSeenMillis: change.firstSeenMillis,
    verdict: change.verdict,
    previousVerdict: change.previousVerdict,
    impact: isBytes ? impactOf(reading.perHour, headroomOf(levels.latest())) : "material",
    route: null,
    routeKind: "unattributed",
    routeShareRatio: 0,
    otherRoutes: [],
    site,
    siteFunctions: [reading.signal],
    siteShareRatio: 0,
    siteInlined: false,
    path: [],
    applicationFrames: [],
    growth: {
      bytesPerRequest: null,
      bytesPerRequestLow: null,
      bytesPerRequestHigh: null,
      confidence: 0.8,
      bytesPerHour: isBytes ? reading.perHour : 0,
      bytesPerHourLow: isBytes ? reading.perHourLow : 0,
      bytesPerHourHigh: isBytes ? reading.perHourHigh : 0,
      retainedBytes: isBytes ? Math.round(reading.level - reading.startLevel) : 0,
      retainedObjects: 0,
      requests: null,
    },
    evidence: {
      method: "level",
      samples: 0,
      cohortsMatured: 0,
      cohortsFreed: 0,
      lnE: 0,
      lnThreshold: 0,
      hypotheses: 0,
      ageSeconds: 0,
      oldestAgeSeconds: 0,
      majorGcs: memory.majorGcCount(0),
      halfRatio: Number.isFinite(reading.halfRatio) ? reading.halfRatio : Number.MAX_SAFE_INTEGER,
      minQuarterRatio: reading.minQuarterRatio,
      unrefutedSeconds: heldMillis / 1_000,
      lives: 1,
    },
    contrast: {
      busyBytesPerHour: null,
      idleBytesPerHour: null,
      idleHours: null,
      otherRoutesBytesPerRequest: null,
      routeCorrelation: null,
      windowSeconds: (nowMillis - reading.startMillis) / 16_000,
    },
    explained: { heapGrowthRatio: null, rssGrowthRatio, unexplainedBytesPerHour: null },
    forecast: forecastLevel(levels, reading.startMillis),
    outside: outsideOf(reading),
    alternatives: alternativesOf(reading),
    samplingIntervalBytes: memory.intervalBytes,
    labelledRatio: null,
    threadId: 0,
    requestedGcCount: memory.requestedGcCount,
  };
}

function outsideOf(reading: OutsideReading): FindingOutside {
  const { signal, unit, perHour, perHourLow, perHourHigh, level, startLevel, startMillis } = reading;
  const startTime = new Date(startMillis).toISOString();
  return { signal, unit, perHour, perHourLow, perHourHigh, level, startLevel, startTime };
}

function alternativesOf({ halfRatio, minQuarterRatio }: OutsideReading): FindingAlternative[] {
  const value = Math.min(Number.MAX_SAFE_INTEGER, halfRatio);
  return [
    {
      name: "a pool that fills, a start-up plateau",
      statistic: "halfRatio",
      value,
      bound: 0.7,
      rejected: value >= 0.7,
    },
    {
      name: "a burst, fragments of an allocator",
      statistic: "minQuarterRatio",
      value: minQuarterRatio,
      bound: 0.5,
      rejected: minQuarterRatio >= 0.5,
    },
  ];
}

/** The record's words; every number in them is one of its fields. */
export function outsideText(finding: Finding, outside: FindingOutside): string {
  const amount = (value: number): string => (outside.unit === "By" ? bytes(value) : String(Math.round(value)));
  const { what } = WORDS[outside.signal];
  if (finding.verdict === "retracted") return `${what}: withdrawn, it has stopped growing.`;
  const sentences = [
    `${what} grows by about ${amount(outside.perHour)}/hour (${amount(outside.perHourLow)}-${amount(outside.perHourHigh)}), from ${amount(outside.startLevel)} to ${amount(outside.level)}.`,
    "This is seen in the level of the process, and no line of code is blamed for it.",
  ];
  const { rssGrowthRatio } = finding.explained;
  if (rssGrowthRatio !== null)
    sentences.push(`It explains about ${Math.round(100 * Math.min(1, rssGrowthRatio))} % of the growth of RSS.`);
  const { forecast } = finding;
  if (forecast !== null && forecast.hoursP50 !== null) {
    const limit = forecast.limit === "heap" ? "heap limit" : "container's limit";
    sentences.push(`At this trend the ${limit} is reached in about ${duration(forecast.hoursP50 * 3_600)}.`);
  }
  if (finding.verdict === "watch") sentences.push("Being watched, not an alarm.");
  return sentences.join(" ");
}

export function outsideNextStep(finding: Finding, outside: FindingOutside): string {
  return finding.verdict === "leak" || finding.verdict === "urgent" ? WORDS[outside.signal].next : "nothing to do yet";
}
