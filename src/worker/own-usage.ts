/**
 * Runs on the agent's worker thread. Owns what this thread itself uses: CPU time and memory. Says only what can be told
 * apart from the service: RSS cannot.
 */
import { getHeapStatistics } from "node:v8";
import type { WorkerUsage } from "../model/cost";
import { threadCpuSeconds } from "./thread-cpu";

/** Stack and event loop of a thread: what RSS shows beyond V8's figures for a worker that does nothing (Node 20-26). */
const THREAD_BYTES = 1024 * 1024;
/** Mostly the sources of Node's own modules, which every thread shares. */
const SHARED_EXTERNAL_BYTES = getHeapStatistics().external_memory;

/**
 * V8's own figures. Committed memory counts, also where it is garbage: the service cannot use it.
 * @param meanStackDepth frames above a live sample; null before the first capture.
 */
export function ownUsage(meanStackDepth: number | null): WorkerUsage {
  const heap = getHeapStatistics();
  return {
    cpuMillis: threadCpuSeconds() * 1_000,
    memoryBytes:
      THREAD_BYTES +
      heap.total_physical_size +
      heap.malloced_memory +
      Math.max(0, heap.external_memory - SHARED_EXTERNAL_BYTES),
    meanStackDepth,
  };
}
