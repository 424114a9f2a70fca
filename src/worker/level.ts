/**
 * Runs on the agent's worker thread. Owns the memory level of the process: heap, external, RSS, container, open files.
 * Unknown is null, never 0.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { GcReading, MemoryReading } from "../model/messages";
import type { LevelReading } from "../model/observation";
import { Cgroup } from "./cgroup";

/** Threads whose last reading is kept; a service with more is summed up over these. */
const MAX_THREADS = 256;
/** Least time between two counts of open files. */
const OPEN_FILES_MILLIS = 1_000;
/** Counting 5,000 of them took 85 ms of this thread on a slow system: it may take one part in so many of its time. */
const OPEN_FILES_SHARE = 100;

interface ThreadLevel {
  readonly postMajorHeapBytes: number;
  readonly memory: MemoryReading;
}

export class LevelReader {
  private readonly cgroup: Cgroup;
  private openFileCount: number | null = null;
  private openFilesDueMillis = Number.NEGATIVE_INFINITY;
  private readonly threads = new Map<number, ThreadLevel>();

  /** @param root replaced in tests: the folder that holds `proc` and `sys`. */
  constructor(
    private readonly root = "/",
    private readonly rssBytes: () => number = () => process.memoryUsage.rss(),
    private readonly now: () => number = Date.now,
  ) {
    this.cgroup = new Cgroup(root);
  }

  forgetThread(thread: number): void {
    this.threads.delete(thread);
  }

  read(thread: number, gc: GcReading, memory: MemoryReading): LevelReading {
    if (this.threads.size < MAX_THREADS || this.threads.has(thread)) {
      this.threads.set(thread, { postMajorHeapBytes: gc.postMajorHeapBytes, memory });
    }
    let postGcHeapBytes = 0;
    const sums = { external: 0, arrayBuffers: 0, heapTotal: 0, modules: 0 };
    for (const level of this.threads.values()) {
      postGcHeapBytes += level.postMajorHeapBytes;
      sums.external += level.memory.externalBytes;
      sums.arrayBuffers += level.memory.arrayBuffersBytes;
      sums.heapTotal += level.memory.heapTotalBytes ?? 0;
      sums.modules += level.memory.moduleCount ?? 0;
    }
    const main = this.threads.get(0) ?? { postMajorHeapBytes: gc.postMajorHeapBytes, memory };
    const container = this.cgroup.read();
    const fullest = this.fullestThread() ?? main;
    return {
      postGcHeapBytes: main.postMajorHeapBytes === 0 ? null : postGcHeapBytes,
      heapLimitBytes: main.memory.heapLimitBytes,
      externalBytes: sums.external,
      rssBytes: this.rssBytes(),
      cgroupBytes: container?.usedBytes ?? null,
      cgroupLimitBytes: container?.limitBytes ?? null,
      fullestHeapBytes: fullest.postMajorHeapBytes === 0 ? null : fullest.postMajorHeapBytes,
      fullestHeapLimitBytes: fullest.memory.heapLimitBytes,
      fullestOldGenerationLimitBytes: limitOf(fullest),
      arrayBuffersBytes: sums.arrayBuffers,
      heapTotalBytes: sums.heapTotal === 0 ? null : sums.heapTotal,
      moduleCount: sums.modules === 0 ? null : sums.modules,
      openFileCount: this.readOpenFiles(),
    };
  }

  /** Each thread has a heap and a limit of its own: the one that is nearest its limit counts. */
  private fullestThread(): ThreadLevel | null {
    let fullest: ThreadLevel | null = null;
    const share = (level: ThreadLevel): number => level.postMajorHeapBytes / Math.max(1, limitOf(level));
    for (const level of this.threads.values()) {
      if (fullest === null || share(level) > share(fullest)) fullest = level;
    }
    return fullest;
  }

  /** Files, sockets and pipes, counted from this thread: the service's own threads pay nothing for it. */
  private readOpenFiles(): number | null {
    const now = this.now();
    if (now < this.openFilesDueMillis) return this.openFileCount;
    try {
      this.openFileCount = readdirSync(join(this.root, "proc/self/fd")).length;
    } catch {
      this.openFileCount = null; // Not Linux.
    }
    const tookMillis = this.now() - now;
    this.openFilesDueMillis = now + Math.max(OPEN_FILES_MILLIS, OPEN_FILES_SHARE * tookMillis);
    return this.openFileCount;
  }
}

function limitOf({ memory }: ThreadLevel): number {
  return memory.oldGenerationLimitBytes ?? memory.heapLimitBytes;
}
