/**
 * Runs on the agent's worker thread. Owns the memory level of the process and its container (cgroup v2 and v1).
 * Unknown is null, never 0.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { GcReading, MemoryReading } from "../model/messages";
import type { LevelReading } from "../model/observation";

/** cgroup v1 writes "no limit" as the greatest multiple of a page below 2^63. */
const NO_LIMIT_BYTES = 2 ** 60;
/** Threads whose last reading is kept; a service with more is summed up over these. */
const MAX_THREADS = 256;

interface CgroupFiles {
  readonly current: string;
  readonly stat: string;
  readonly inactiveKey: string;
  readonly limitBytes: number | null;
}

interface ThreadLevel {
  readonly postMajorHeapBytes: number;
  readonly memory: MemoryReading;
}

export class LevelReader {
  private readonly cgroup: CgroupFiles | null;
  private readonly threads = new Map<number, ThreadLevel>();

  /** @param root replaced in tests: the folder that holds `proc` and `sys`. */
  constructor(
    root = "/",
    private readonly rssBytes: () => number = () => process.memoryUsage.rss(),
  ) {
    this.cgroup = findCgroup(root);
  }

  forgetThread(thread: number): void {
    this.threads.delete(thread);
  }

  read(thread: number, gc: GcReading, memory: MemoryReading): LevelReading {
    if (this.threads.size < MAX_THREADS || this.threads.has(thread)) {
      this.threads.set(thread, { postMajorHeapBytes: gc.postMajorHeapBytes, memory });
    }
    let postGcHeapBytes = 0;
    let externalBytes = 0;
    for (const level of this.threads.values()) {
      postGcHeapBytes += level.postMajorHeapBytes;
      externalBytes += level.memory.externalBytes;
    }
    const main = this.threads.get(0) ?? { postMajorHeapBytes: gc.postMajorHeapBytes, memory };
    return {
      postGcHeapBytes: main.postMajorHeapBytes === 0 ? null : postGcHeapBytes,
      heapLimitBytes: main.memory.heapLimitBytes,
      externalBytes,
      rssBytes: this.rssBytes(),
      cgroupBytes: this.cgroup === null ? null : usedBytes(this.cgroup),
      cgroupLimitBytes: this.cgroup?.limitBytes ?? null,
    };
  }
}

/** `memory.current - inactive_file`: what cannot be given back by dropping file cache. */
function usedBytes(files: CgroupFiles): number | null {
  const current = readNumber(files.current);
  if (current === null) return null;
  const stat = readText(files.stat);
  const inactive = stat === null ? undefined : new RegExp(`^${files.inactiveKey} (\\d+)$`, "m").exec(stat)?.[1];
  return Math.max(0, current - Number(inactive ?? 0));
}

function findCgroup(root: string): CgroupFiles | null {
  const membership = readText(join(root, "proc/self/cgroup"));
  if (membership === null) return null;
  const unified = /^0::(.*)$/m.exec(membership)?.[1];
  const memory = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(membership)?.[1];
  return (
    (memory === undefined ? null : tightest(join(root, "sys/fs/cgroup/memory"), memory, V1)) ??
    (unified === undefined ? null : tightest(join(root, "sys/fs/cgroup"), unified, V2))
  );
}

interface CgroupNames {
  readonly current: string;
  readonly limit: string;
  readonly inactiveKey: string;
}

const V1: CgroupNames = {
  current: "memory.usage_in_bytes",
  limit: "memory.limit_in_bytes",
  inactiveKey: "total_inactive_file",
};
const V2: CgroupNames = { current: "memory.current", limit: "memory.max", inactiveKey: "inactive_file" };

/**
 * The level, from the process's own group up, with the smallest limit; without any limit, its own group. Inside a
 * container the path may be the host's, which does not exist there: then the walk ends at the container's root.
 */
function tightest(mount: string, path: string, names: CgroupNames): CgroupFiles | null {
  let best: CgroupFiles | null = null;
  for (let group = join("/", path); ; group = dirname(group)) {
    const folder = join(mount, group);
    const isHere = readNumber(join(folder, names.current)) !== null;
    const limit = readNumber(join(folder, names.limit));
    const limitBytes = limit !== null && limit < NO_LIMIT_BYTES ? limit : null;
    const isTighter = limitBytes !== null && (best?.limitBytes ?? Number.POSITIVE_INFINITY) > limitBytes;
    if (isHere && (best === null || isTighter)) {
      best = {
        current: join(folder, names.current),
        stat: join(folder, "memory.stat"),
        inactiveKey: names.inactiveKey,
        limitBytes,
      };
    }
    if (group === "/" || group === ".") return best;
  }
}

function readNumber(file: string): number | null {
  const text = readText(file)?.trim();
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null; // `max` is no number: no limit.
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null; // Not Linux, no such controller, or not allowed: the level is unknown.
  }
}
