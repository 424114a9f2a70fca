/** Runs on every thread that samples. Owns what a thread knows of its own memory and of its heap's limit. */
import { isMainThread, resourceLimits } from "node:worker_threads";
import { nodeArguments } from "../config";
import { oldGenerationLimit, semiSpaceMib } from "../model/heap-limit";
import type { MemoryReading } from "../model/messages";
import { v8 } from "./late-modules";

/** Between two counts of loaded modules: less in a load test. */
const MODULE_COUNT_MILLIS = 10_000;
const MODULE_COUNTS_PER_HORIZON = 60;

const semiSpace = semiSpaceMib(nodeArguments());
/** Node tells a worker thread its limits. */
const threadLimitBytes = isMainThread ? null : (resourceLimits.maxOldGenerationSizeMb ?? 0) * 2 ** 20 || null;

/** @param horizonMillis how often modules are counted depends on it. */
export function readMemory(horizonMillis: number): MemoryReading {
  const usage = process.memoryUsage();
  const heapLimitBytes = v8().getHeapStatistics().heap_size_limit;
  return {
    heapUsedBytes: usage.heapUsed,
    heapLimitBytes,
    oldGenerationLimitBytes: threadLimitBytes ?? oldGenerationLimit(heapLimitBytes, process.versions.node, semiSpace),
    externalBytes: usage.external,
    arrayBuffersBytes: usage.arrayBuffers,
    heapTotalBytes: usage.heapTotal,
    moduleCount: countModules(Math.min(MODULE_COUNT_MILLIS, horizonMillis / MODULE_COUNTS_PER_HORIZON)),
  };
}

let moduleCount = 0;
let modulesDueMillis = 0;

/** 3,000 modules took 0.7 ms: counted now and then. */
function countModules(spacingMillis: number): number {
  const now = Date.now();
  if (now >= modulesDueMillis) {
    moduleCount = Object.keys(require.cache).length;
    modulesDueMillis = now + spacingMillis;
  }
  return moduleCount;
}
