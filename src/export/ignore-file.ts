/**
 * Runs on the agent's worker thread (reader) and in the CLI (writer). Owns the two files in which people acknowledge
 * findings, of one format: `leak-agent.ignore.json` in the repository, `acknowledged.json` in the agent's folder.
 */
import { readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

export const IGNORE_SCHEMA = "leak-agent.ignore/1";
export const IGNORE_FILE = "leak-agent.ignore.json";
export const ACKNOWLEDGED_FILE = "acknowledged.json";

const FINDING_ID = /^[0-9a-f]{12}$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const DAY_MILLIS = 86_400_000;
const MAX_ENTRIES = 1_000;
const MAX_REASON_LENGTH = 500;
const KNOWN_FIELDS = ["id", "reason", "until"];

export interface IgnoreEntry {
  readonly id: string;
  readonly reason: string;
  /** As written: a day (to its end, UTC) or an ISO 8601 time; null: for ever. */
  readonly until: string | null;
}

export interface IgnoreList {
  /** Name of the file, without its folder. */
  readonly file: string;
  readonly entries: readonly IgnoreEntry[];
  /** One line each: which entry, what is wrong with it, what to write. The other entries hold. */
  readonly problems: readonly string[];
}

/** An absent file is an empty list. */
export function readIgnoreFile(path: string): IgnoreList {
  const file = basename(path);
  try {
    return { file, ...parseIgnoreList(readFileSync(path, "utf8"), file) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const problems = code === "ENOENT" ? [] : [`${path} cannot be read (${code}): make it readable for the service`];
    return { file, entries: [], problems };
  }
}

export function parseIgnoreList(text: string, file: string): Pick<IgnoreList, "entries" | "problems"> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { entries: [], problems: [`${file} is not JSON (${(error as Error).message}): correct it`] };
  }
  const { schema, ignore } = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  if (schema !== IGNORE_SCHEMA || !Array.isArray(ignore)) {
    const shape = `{"schema": "${IGNORE_SCHEMA}", "ignore": [{"id": "...", "reason": "..."}]}`;
    return { entries: [], problems: [`${file} is no list of acknowledged findings: write ${shape}`] };
  }
  const entries: IgnoreEntry[] = [];
  const problems: string[] = [];
  for (const [index, raw] of ignore.slice(0, MAX_ENTRIES).entries()) {
    const problem = problemOf(raw);
    if (problem === null) entries.push(entryOf(raw as Record<string, string>));
    else problems.push(`${file}, entry ${index + 1}${nameOf(raw)}: ${problem}`);
  }
  if (ignore.length > MAX_ENTRIES)
    problems.push(`${file} has ${ignore.length} entries: only the first ${MAX_ENTRIES} are read; remove old ones`);
  return { entries, problems };
}

/** @returns when the entry ends, in ms since the epoch; null: never. */
export function endMillisOf({ until }: Pick<IgnoreEntry, "until">): number | null {
  if (until === null) return null;
  return DAY.test(until) ? Date.parse(until) + DAY_MILLIS : Date.parse(until);
}

export function isActive(entry: IgnoreEntry, nowMillis: number): boolean {
  const end = endMillisOf(entry);
  return end === null || nowMillis < end;
}

/**
 * Puts an entry into a file, in place of the one with the same id. Whole files only: readers never see half a list.
 * @throws the file system's error; Error when the file there is no such list, which is then left as it is.
 */
export function acknowledge(path: string, entry: IgnoreEntry): void {
  const { entries, problems } = readIgnoreFile(path);
  if (problems[0] !== undefined) throw new Error(problems[0]);
  writeList(path, [...entries.filter(({ id }) => id !== entry.id), entry]);
}

/** @returns false when no entry had this id. @throws as `acknowledge`. */
export function withdrawAcknowledgement(path: string, id: string): boolean {
  const { entries, problems } = readIgnoreFile(path);
  if (problems[0] !== undefined) throw new Error(problems[0]);
  const rest = entries.filter((entry) => entry.id !== id);
  if (rest.length === entries.length) return false;
  writeList(path, rest);
  return true;
}

function writeList(path: string, entries: readonly IgnoreEntry[]): void {
  const ignore = entries.map(({ id, reason, until }) => (until === null ? { id, reason } : { id, reason, until }));
  const temporary = join(`${path}.${process.pid}.tmp`);
  try {
    writeFileSync(temporary, `${JSON.stringify({ schema: IGNORE_SCHEMA, ignore }, null, 2)}\n`);
    renameSync(temporary, path);
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was never made.
  }
}

function problemOf(raw: unknown): string | null {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw))
    return 'it is no object: write {"id": "...", "reason": "..."}';
  const { id, reason, until } = raw as Record<string, unknown>;
  if (typeof id !== "string" || !FINDING_ID.test(id))
    return "id must be the 12 hex digits of a finding: copy it from leak-agent report";
  if (typeof reason !== "string" || reason.trim() === "" || reason.length > MAX_REASON_LENGTH)
    return `reason must say in 1 to ${MAX_REASON_LENGTH} characters why this is no leak: add it`;
  if (until !== undefined && !isTime(until))
    return 'until must be a day or an ISO 8601 time, such as "2027-01-31": correct it, or leave it out for ever';
  const unknown = Object.keys(raw).find((name) => !KNOWN_FIELDS.includes(name));
  return unknown === undefined ? null : `${unknown} is no field of an entry: remove it (${KNOWN_FIELDS.join(", ")})`;
}

function isTime(until: unknown): until is string {
  if (typeof until !== "string" || !/^\d{4}-\d{2}-\d{2}(?:T.*)?$/.test(until)) return false;
  return !Number.isNaN(Date.parse(until));
}

function entryOf({ id = "", reason = "", until }: Record<string, string>): IgnoreEntry {
  return { id, reason, until: until ?? null };
}

function nameOf(raw: unknown): string {
  const id = (raw as { id?: unknown } | null)?.id;
  return typeof id === "string" ? ` (id ${JSON.stringify(id.slice(0, 40))})` : "";
}
