/**
 * Runs in the CLI process. Owns which profile files of an agent's folder answer a question about two points in time.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { AgentError } from "../errors";

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

/** `profile-2026-11-25T10-00-00.000Z-1234.pb.gz`; the separators inside the time may be missing. */
const PROFILE_NAME = /^profile-(\d{4})-?(\d\d)-?(\d\d)T(\d\d)[-:]?(\d\d)[-:]?(\d\d)(?:[.-]?(\d{3}))?Z-(\d+)\.pb\.gz$/;

/** The profile files of a folder, oldest first; files with other names are left out. */
export function listProfiles(folder: string): ProfileFile[] {
  return namesIn(folder)
    .map((name) => profileFile(folder, name))
    .filter((file) => file !== null)
    .sort((a, b) => a.timeMillis - b.timeMillis || (a.path < b.path ? -1 : 1));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such folder" : code === "ENOTDIR" ? "it is no folder" : String(code);
    throw new AgentError("ERR_LEAK_AGENT_FOLDER", `${folder} cannot be read: ${why}`, { cause: error });
  }
}

function profileFile(folder: string, name: string): ProfileFile | null {
  const match = PROFILE_NAME.exec(name);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second, millis = "0", processId] = match.map((part) => part as string | undefined);
  const timeMillis = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  return { path: join(folder, name), timeMillis: timeMillis + Number(millis), processId: Number(processId) };
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
