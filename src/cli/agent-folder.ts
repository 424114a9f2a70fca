/**
 * Runs in the CLI process. Owns finding an agent's folder and reading the findings and the list of lives in it.
 * Must only read: the service may be writing at the same time.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { readConfiguration } from "../config";
import { AgentError } from "../errors";
import { listFolder } from "../export/folder";
import { FINDING_SCHEMA, type Finding } from "../model/finding";
import type { HistoryHeader } from "../model/observation";

/** Older findings first: the second file is where the writer goes on. */
const FINDINGS_FILES = ["findings.1.jsonl", "findings.jsonl"] as const;

/** Processes whose histories were last written within this time of each other ran at the same time. */
const MINIMUM_TOLERANCE_MILLIS = 60_000;

/** Enough for the first line of a history file. */
const HEADER_BYTES = 16_384;

/** One life of one process of the service. */
export interface Life {
  /** Its newest history file; the older segments are found through it. */
  readonly historyFile: string;
  readonly processId: number;
  readonly startMillis: number;
  /** When its history was last written. */
  readonly endMillis: number;
}

export interface RecordedFindings {
  /** The latest transition of each id, the most serious first. */
  readonly latest: readonly Finding[];
  readonly transitionCount: number;
  /** Lines that are no finding of a version we know: cut off, or from a later agent. */
  readonly unreadableLineCount: number;
}

/** The folder the agent of the service in the current directory writes to, by the same settings. */
export function defaultFolder(): string {
  return readConfiguration(undefined, null).settings.directory;
}

/** Folders of other services beside `folder` that hold something to report. */
export function neighbourFolders(folder: string): string[] {
  const parent = dirname(folder);
  try {
    return readdirSync(parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(parent, entry.name))
      .filter((candidate) => candidate !== folder && holdsRecords(candidate))
      .sort();
  } catch {
    return []; // No parent, or not ours to read: there is nothing to suggest.
  }
}

/** True when an agent has written there. */
export function holdsRecords(folder: string): boolean {
  return listFolder(folder).length > 0 || FINDINGS_FILES.some((name) => isFile(join(folder, name)));
}

/** @throws AgentError `ERR_LEAK_AGENT_FOLDER` when there is no such folder or it cannot be read. */
export function requireFolder(folder: string): void {
  try {
    readdirSync(folder);
  } catch (error) {
    throw unreadable(folder, error);
  }
}

/** @throws AgentError `ERR_LEAK_AGENT_FOLDER` when this user may not even see what it is. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** @returns what to throw: an error of the file system says what cannot be read, any other one is a bug and stays as it is. */
function unreadable(path: string, error: unknown): unknown {
  if (typeof (error as NodeJS.ErrnoException).code !== "string") return error;
  return new AgentError("ERR_LEAK_AGENT_FOLDER", `${path} cannot be read: ${folderReason(error)}`, { cause: error });
}

function folderReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return "there is no such folder";
  if (code === "ENOTDIR") return "it is no folder";
  if (code === "EACCES" || code === "EPERM") return "it belongs to the user the service runs as; become that user";
  return String(code);
}

/** The lives whose history is in the folder, oldest first. */
export function listLives(folder: string): Life[] {
  const lives = new Map<string, Life>();
  for (const file of listFolder(folder)) {
    if (file.kind !== "history") continue;
    const key = `${file.timeMillis}-${file.processId}`;
    const known = lives.get(key);
    if (known !== undefined && known.endMillis > file.modifiedMillis) continue;
    lives.set(key, {
      historyFile: join(folder, file.name),
      processId: file.processId,
      startMillis: file.timeMillis,
      endMillis: file.modifiedMillis,
    });
  }
  return [...lives.values()].sort((a, b) => a.startMillis - b.startMillis || a.processId - b.processId);
}

/** The folder that the service's own files lie in, as its newest history says; null when none can tell. */
export function applicationRoot(folder: string): string | null {
  const newest = listLives(folder).at(-1);
  if (newest === undefined) return null;
  try {
    const header = JSON.parse(firstLine(newest.historyFile)) as Partial<HistoryHeader>;
    return typeof header.applicationRoot === "string" && header.applicationRoot !== "" ? header.applicationRoot : null;
  } catch {
    return null; // Only the length of printed paths depends on it.
  }
}

function firstLine(file: string): string {
  const descriptor = openSync(file, "r");
  try {
    const head = Buffer.alloc(HEADER_BYTES);
    const text = head.toString("utf8", 0, readSync(descriptor, head, 0, HEADER_BYTES, 0));
    return text.slice(0, text.indexOf("\n"));
  } finally {
    closeSync(descriptor);
  }
}

/** Lives that ran when the newest history was last written: one for a single process, all workers of a cluster. */
export function currentLives(lives: readonly Life[]): Life[] {
  const newest = lives.reduce<Life | null>(
    (best, life) => (best === null || life.endMillis > best.endMillis ? life : best),
    null,
  );
  if (newest === null) return [];
  // Workers write at their own pace: seconds apart in a load test, an hour apart in a life of days.
  const toleranceMillis = Math.max(MINIMUM_TOLERANCE_MILLIS, (newest.endMillis - newest.startMillis) / 10);
  return lives.filter(
    (life) => newest.endMillis - life.endMillis <= toleranceMillis && life.endMillis >= newest.startMillis,
  );
}

/** Reads the findings of a folder. @throws AgentError `ERR_LEAK_AGENT_FOLDER` when a file is there but unreadable. */
export function readFindings(folder: string): RecordedFindings {
  const latest = new Map<string, Finding>();
  let transitionCount = 0;
  let unreadableLineCount = 0;
  for (const line of FINDINGS_FILES.flatMap((name) => linesOf(join(folder, name)))) {
    const finding = parseFinding(line);
    if (finding === null) {
      unreadableLineCount++;
      continue;
    }
    transitionCount++;
    // One id may come from several processes of the service; each says for itself, the newest word counts.
    const known = latest.get(finding.id);
    if (known === undefined || known.time <= finding.time) latest.set(finding.id, finding);
  }
  return { latest: [...latest.values()].sort(bySeriousness), transitionCount, unreadableLineCount };
}

function linesOf(file: string): string[] {
  if (!isFile(file)) return [];
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line.trim() !== "");
  } catch (error) {
    throw new AgentError("ERR_LEAK_AGENT_FOLDER", `${file} cannot be read: ${folderReason(error)}`, { cause: error });
  }
}

function parseFinding(line: string): Finding | null {
  try {
    const value: unknown = JSON.parse(line);
    return isFinding(value) ? value : null;
  } catch {
    return null; // The last line of a process that died while writing; counted by the caller.
  }
}

/** The parts that are read without a question; a record of our schema that lacks one was not written by an agent. */
const REQUIRED_PARTS = ["service", "agent", "route", "site", "growth", "evidence", "contrast", "explained"] as const;

function isFinding(value: unknown): value is Finding {
  if (typeof value !== "object" || value === null) return false;
  const record = value as Record<string, unknown>;
  const isWhole = REQUIRED_PARTS.every((part) => typeof record[part] === "object" && record[part] !== null);
  const hasLists = ["otherRoutes", "path", "alternatives"].every((part) => Array.isArray(record[part]));
  return record["schema"] === FINDING_SCHEMA && typeof record["verdict"] === "string" && isWhole && hasLists;
}

const SERIOUSNESS = ["urgent", "leak", "saturating", "watch", "acknowledged", "inconclusive", "retracted"];
const IMPACTS = ["critical", "material", "minor"];

export function sortedBySeriousness(findings: readonly Finding[]): Finding[] {
  return [...findings].sort(bySeriousness);
}

function bySeriousness(a: Finding, b: Finding): number {
  return (
    SERIOUSNESS.indexOf(a.verdict) - SERIOUSNESS.indexOf(b.verdict) ||
    IMPACTS.indexOf(a.impact) - IMPACTS.indexOf(b.impact) ||
    b.growth.bytesPerHour - a.growth.bytesPerHour ||
    (a.id < b.id ? -1 : 1)
  );
}

function isFile(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  } catch (error) {
    throw unreadable(path, error);
  }
}
