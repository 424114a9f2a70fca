/** Runs on the agent's worker thread. Owns how much CPU time this one thread has used. */
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";

/** Nanoseconds on a CPU are the first number; the link always names the thread that reads. */
const SCHEDULER_STATISTICS = "/proc/thread-self/schedstat";

/** CPU seconds of the calling thread since its start: exact on Linux and from Node 24 on, else time its loop was busy. */
export function threadCpuSeconds(): number {
  const { threadCpuUsage } = process as { threadCpuUsage?: () => { user: number; system: number } };
  if (threadCpuUsage !== undefined) {
    const { user, system } = threadCpuUsage.call(process);
    return (user + system) / 1e6;
  }
  return schedulerSeconds() ?? performance.eventLoopUtilization().active / 1_000;
}

function schedulerSeconds(): number | null {
  try {
    const nanos = Number(readFileSync(SCHEDULER_STATISTICS, "utf8").split(" ", 1)[0]);
    return Number.isFinite(nanos) ? nanos / 1e9 : null;
  } catch {
    return null; // Not Linux, or a kernel without scheduler statistics.
  }
}
