/** Pure. Owns why a process life ended, from what it left on disk, and the words for it. What is not known is not said. */
import { oldGenerationLimit } from "../model/heap-limit";
import type { LastWord, LifeLevel, LifeOpening, OomKills } from "../model/life";
import type { LevelReading } from "../model/observation";
import { bytes, duration } from "./words";

/** `killed`: nothing was said at the end, and nothing tells why. */
export type EndCause = "exit" | "heap-limit" | "container-oom" | "signal" | "machine" | "killed";

export interface LifeEnd {
  readonly cause: EndCause;
  /** Of `exit`. */
  readonly exitCode: number | null;
  /** Of `signal`. */
  readonly signal: string | null;
  /** Of `killed`: what the last reading of the memory speaks for. */
  readonly likely: "heap-limit" | "container-oom" | null;
  readonly aliveMillis: number;
  /** Without the name of the process: `ended with exit code 1`. */
  readonly text: string;
}

export interface EndedLife {
  readonly opening: LifeOpening;
  readonly level: LifeLevel | null;
  readonly lastWord: LastWord | null;
  readonly renewedMillis: number;
}

/** What can be read now, in the next life; null where it is not known (the CLI may run on another machine). */
export interface NowFacts {
  readonly bootId: string | null;
  readonly oomKills: OomKills | null;
}

/** A level this near to its limit speaks for a death by that limit. */
const NEAR_LIMIT_RATIO = 0.9;
export function lifeEndOf(life: EndedLife, now: NowFacts): LifeEnd {
  const { opening, lastWord, renewedMillis } = life;
  const aliveMillis = Math.max(
    0,
    (lastWord?.type === "exit" ? lastWord.timeMillis : renewedMillis) - opening.startTimeMillis,
  );
  const end = { exitCode: null, signal: null, likely: null, aliveMillis };
  if (lastWord?.type === "exit")
    return { ...end, cause: "exit", exitCode: lastWord.code, text: `ended with exit code ${lastWord.code}` };
  if (lastWord?.type === "heap-limit")
    return {
      ...end,
      cause: "heap-limit",
      text: `died at V8's heap limit${heapLimit(life)}: JavaScript heap out of memory`,
    };
  if (lastWord?.type === "signal")
    return { ...end, cause: "signal", signal: lastWord.name, text: `was ended by ${lastWord.name}` };
  const kills = newKills(life, now);
  if (kills !== null) return { ...end, cause: "container-oom", text: `was killed by the kernel: ${kills}` };
  if (opening.bootId !== null && now.bootId !== null && opening.bootId !== now.bootId)
    return {
      ...end,
      cause: "machine",
      text: "ended with its machine: it was restarted, or the service moved to another",
    };
  return { ...end, cause: "killed", ...unsaid(life) };
}

/** One line, with the process that it speaks of. */
export function lifeEndLine({ opening }: Pick<EndedLife, "opening">, end: LifeEnd): string {
  const build = `build ${opening.buildId}`;
  return `process ${opening.processId} (${build}, ran for ${duration(end.aliveMillis / 1_000)}) ${end.text}`;
}

function heapLimit({ level, opening }: EndedLife): string {
  const reading = level?.level ?? null;
  return reading === null ? "" : ` (${bytes(limitOf(reading, opening))})`;
}

/** Other processes of the container may have been the victim: the words say what was counted, not who. */
function newKills({ level }: EndedLife, { oomKills }: NowFacts): string | null {
  const before = level?.oomKills ?? null;
  if (before === null || oomKills === null || before.group !== oomKills.group) return null;
  if (oomKills.count <= before.count) return null;
  const limit = level?.level?.cgroupLimitBytes ?? null;
  const size = limit === null ? "" : ` of ${bytes(limit)}`;
  return `its control group ran out of memory${size} (oom_kill rose from ${before.count} to ${oomKills.count})`;
}

/** V8 dies when the old generation is full; what it calls its limit includes the young one. */
function limitOf(level: LevelReading, { nodeVersion }: LifeOpening): number {
  return level.fullestOldGenerationLimitBytes ?? oldGenerationLimit(level.heapLimitBytes, nodeVersion);
}

function unsaid(life: EndedLife): Pick<LifeEnd, "likely" | "text"> {
  const level = life.level?.level ?? null;
  const killed = "ended without a word, as by SIGKILL";
  if (level === null) return { likely: null, text: killed };
  const { cgroupBytes, cgroupLimitBytes, postGcHeapBytes } = level;
  const heapLimitBytes = limitOf(level, life.opening);
  if (cgroupBytes !== null && cgroupLimitBytes !== null && cgroupBytes >= NEAR_LIMIT_RATIO * cgroupLimitBytes) {
    const used = `${bytes(cgroupBytes)} of ${bytes(cgroupLimitBytes)}`;
    return {
      likely: "container-oom",
      text: `${killed}; its container used ${used}: likely the kernel's out-of-memory kill`,
    };
  }
  if (postGcHeapBytes !== null && postGcHeapBytes >= NEAR_LIMIT_RATIO * heapLimitBytes) {
    const used = `${bytes(postGcHeapBytes)} of ${bytes(heapLimitBytes)}`;
    return { likely: "heap-limit", text: `${killed}; its heap held ${used}: likely V8's heap limit` };
  }
  const held = postGcHeapBytes === null ? "" : `; its heap held ${bytes(postGcHeapBytes)} of ${bytes(heapLimitBytes)}`;
  return { likely: null, text: `${killed}, a native crash or a power cut${held}` };
}
