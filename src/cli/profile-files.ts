/**
 * Runs in the CLI process. Owns which profile files of an agent's folder answer a question about two points in time.
 */
import { join } from "node:path";
import { listFolder } from "../export/folder";

export interface ProfileFile {
  readonly path: string;
  readonly timeMillis: number;
  readonly processId: number;
}

export interface ProfilePair {
  readonly processId: number;
  readonly before: ProfileFile;
  readonly after: ProfileFile;
}

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
    if (before.timeMillis < after.timeMillis) pairs.push({ processId, before, after });
  }
  return pairs.sort((a, b) => a.before.timeMillis - b.before.timeMillis || a.processId - b.processId);
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
