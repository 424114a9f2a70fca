/**
 * Runs in the CLI process. Owns which profile files of an agent's folder answer a question about two points in time, and
 * which of them one run of the sampler has written.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { listFolder } from "../export/folder";
import { readFields } from "../export/protobuf-reader";

export interface ProfileFile {
  readonly path: string;
  readonly timeMillis: number;
  readonly processId: number;
}

export interface ProfilePair {
  readonly processId: number;
  readonly before: ProfileFile;
  readonly after: ProfileFile;
  /** Profiles between the two times that were left out, as the sampler was restarted after them. */
  readonly leftOutCount: number;
}

/** Two profiles that differ in it are of two runs of the sampler; the second knows nothing of what was allocated before it. */
interface SamplerMark {
  /** When the process began; null where the file does not say. */
  readonly startMillis: number | null;
  readonly intervalBytes: number;
}

/** Field numbers of pprof's `Profile`. */
const PROFILE = { timeNanos: 9, durationNanos: 10, period: 12 } as const;
/** Starts that are computed from times in files of one process differ by rounding, or by a clock that was set. */
const SAME_START_MILLIS = 1_000;

/** The profile files of a folder, oldest first. */
export function listProfiles(folder: string): ProfileFile[] {
  return listFolder(folder)
    .filter((file) => file.kind === "profile")
    .map(({ name, timeMillis, processId }) => ({ path: join(folder, name), timeMillis, processId }));
}

/**
 * For each process the profile nearest to `fromMillis` and the one nearest to `toMillis`. A process whose profiles all
 * lie outside the interval takes part only when no process has any inside: then the nearest ones are better than nothing.
 * Processes with one and the same file for both times are left out: there is nothing to compare.
 */
export function pickPairs(files: readonly ProfileFile[], fromMillis: number, toMillis: number): ProfilePair[] {
  const inside = new Set(
    files.filter((file) => file.timeMillis >= fromMillis && file.timeMillis <= toMillis).map((file) => file.processId),
  );
  const pairs: ProfilePair[] = [];
  for (const [processId, own] of byProcess(files)) {
    if (inside.size > 0 && !inside.has(processId)) continue;
    const before = nearest(own, fromMillis);
    const after = nearest(own, toMillis);
    if (before.timeMillis < after.timeMillis) pairs.push({ processId, before, after, leftOutCount: 0 });
  }
  return pairs.sort((a, b) => a.before.timeMillis - b.before.timeMillis || a.processId - b.processId);
}

/**
 * The same pair, begun with the earliest profile of the sampler's last run; null where that run has only one profile.
 * @param files of any processes, oldest first.
 */
export function withinOneSampler(pair: ProfilePair, files: readonly ProfileFile[]): ProfilePair | null {
  const { processId, before, after } = pair;
  const mark = samplerMark(after.path);
  if (mark === null) return pair; // Reading the profile itself tells what is wrong with it.
  const earlier = files.filter(
    (file) =>
      file.processId === processId && file.timeMillis >= before.timeMillis && file.timeMillis < after.timeMillis,
  );
  const restart = earlier.findLastIndex((file) => !isSameSampler(samplerMark(file.path), mark));
  const first = earlier[restart + 1];
  return first === undefined ? null : { ...pair, before: first, leftOutCount: restart + 1 };
}

/** A file that cannot be read is passed over here. */
function isSameSampler(one: SamplerMark | null, other: SamplerMark): boolean {
  if (one === null) return true;
  if (one.intervalBytes !== other.intervalBytes) return false;
  if (one.startMillis === null || other.startMillis === null) return true;
  return Math.abs(one.startMillis - other.startMillis) <= SAME_START_MILLIS;
}

/** Of our own files only, so without the care that foreign ones need: a folder may hold a hundred. */
function samplerMark(path: string): SamplerMark | null {
  try {
    const fields = readFields(gunzipSync(readFileSync(path))) ?? [];
    const value = (number: number): bigint => fields.findLast((field) => field.number === number)?.varint ?? 0n;
    const durationNanos = value(PROFILE.durationNanos);
    const startMillis = durationNanos === 0n ? null : Number((value(PROFILE.timeNanos) - durationNanos) / 1_000_000n);
    return { startMillis, intervalBytes: Number(value(PROFILE.period)) };
  } catch {
    return null;
  }
}

function byProcess(files: readonly ProfileFile[]): Map<number, [ProfileFile, ...ProfileFile[]]> {
  const groups = new Map<number, [ProfileFile, ...ProfileFile[]]>();
  for (const file of files) {
    const group = groups.get(file.processId);
    if (group === undefined) groups.set(file.processId, [file]);
    else group.push(file);
  }
  return groups;
}

function nearest(files: readonly [ProfileFile, ...ProfileFile[]], timeMillis: number): ProfileFile {
  return files.reduce((best, file) =>
    Math.abs(file.timeMillis - timeMillis) < Math.abs(best.timeMillis - timeMillis) ? file : best,
  );
}
