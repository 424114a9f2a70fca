/**
 * Runs on the agent's worker thread (writer) and in the CLI (reader). Owns the append-only history of one process life:
 * `history-<start>-<pid>.jsonl`, then `.1.jsonl`, `.2.jsonl`: a header, then observations. Must stay replayable without
 * the segments before: the first observation of each repeats the whole dictionary (routes, frames, stacks).
 */
import { closeSync, createReadStream, openSync, readSync, statSync, truncateSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { AgentError } from "../errors";
import { HISTORY_SCHEMA, type HistoryHeader, type Observation } from "../model/observation";
import { type AgentFolder, basicTime, listFolder, type WriteOutcome } from "./folder";

/** The history may take this share of the folder, in this many segments of equal size. */
const FOLDER_SHARE = 0.25;
const SEGMENTS = 4;
/** Longer than any observation: a cut line starts within this distance of the end. */
const TAIL_BYTES = 8 * 1024 * 1024;
const NEWLINE = 0x0a;

/** Everything that indexes in observations refer to, including what the newest observation added. */
export type DictionarySnapshot = () => Pick<Observation, "newRoutes" | "newFrames" | "newStacks" | "routeAliases">;

export class HistoryWriter {
  private readonly limitBytes: number;
  private readonly stem: string;
  private segment = 0;
  private sizeBytes = 0;
  /** What header and dictionary took: they may be larger than a segment, and must not make a segment of each line. */
  private openingBytes = 0;
  private started = false;
  /** Observations that could not be written; the next segment repeats the whole dictionary, so reading goes on. */
  droppedObservations = 0;

  constructor(
    private readonly folder: AgentFolder,
    private readonly header: HistoryHeader,
    private readonly dictionary: DictionarySnapshot,
  ) {
    this.limitBytes = folder.limitBytes * FOLDER_SHARE;
    this.stem = historyStem(header.startTimeMillis, header.processId);
  }

  /** Goes on after the segments that an earlier worker of this life wrote; a line cut by its death is removed. */
  resume(): void {
    const last = lifeSegments(this.firstFile()).at(-1);
    if (last === undefined) return;
    this.segment = segmentNumber(last);
    try {
      this.started = removeCutLine(last);
      this.sizeBytes = statSync(last).size;
    } catch {
      this.started = false; // Unreadable: a new segment repeats what is needed.
    }
    if (!this.started) this.nextSegment();
  }

  append(observation: Observation): void {
    if (this.started && this.sizeBytes - this.openingBytes >= this.limitBytes / SEGMENTS) this.nextSegment();
    // The second try is for a file that somebody removed: a new segment takes its place.
    for (let attempt = 0; attempt < 2; attempt++) {
      const outcome = this.write(observation);
      if (outcome === "written") return;
      if (outcome === "unavailable") break;
      this.nextSegment();
    }
    this.droppedObservations++;
    if (this.started) this.nextSegment();
  }

  private write(observation: Observation): WriteOutcome {
    const text = this.started ? `${JSON.stringify(observation)}\n` : this.opening(observation);
    const bytes = Buffer.byteLength(text);
    const outcome = this.folder.append(this.name(), text, this.sizeBytes);
    if (outcome !== "written") return outcome;
    if (!this.started) this.openingBytes = bytes;
    this.sizeBytes += bytes;
    this.started = true;
    return outcome;
  }

  private opening(observation: Observation): string {
    return `${JSON.stringify(this.header)}\n${JSON.stringify({ ...observation, ...this.dictionary() })}\n`;
  }

  /** The last complete segment always stays; older ones as long as all together keep to their share of the folder. */
  private nextSegment(): void {
    this.segment++;
    this.sizeBytes = 0;
    this.started = false;
    const expectedBytes = this.openingBytes + this.limitBytes / SEGMENTS;
    const segments = lifeSegments(this.firstFile());
    let total = expectedBytes + segments.reduce((sum, file) => sum + sizeOf(file), 0);
    for (const old of segments.slice(0, -1)) {
      if (total <= this.limitBytes) return;
      total -= sizeOf(old);
      this.folder.remove(basename(old));
    }
  }

  private name(): string {
    return this.segment === 0 ? `${this.stem}.jsonl` : `${this.stem}.${this.segment}.jsonl`;
  }

  private firstFile(): string {
    return join(this.folder.path, `${this.stem}.jsonl`);
  }
}

/** File name of a life's history without segment number and extension. */
export function historyStem(startTimeMillis: number, processId: number): string {
  return `history-${basicTime(startTimeMillis)}-${processId}`;
}

export function isHistoryHeader(entry: HistoryHeader | Observation): entry is HistoryHeader {
  return "schema" in entry;
}

/** All segments of the life that `file` belongs to, oldest first, as paths. */
export function lifeSegments(file: string): string[] {
  const stem = stemOf(file);
  return listFolder(dirname(file))
    .filter((candidate) => candidate.kind === "history" && stemOf(candidate.name) === stem)
    .map((candidate) => join(dirname(file), candidate.name))
    .sort((a, b) => segmentNumber(a) - segmentNumber(b));
}

/**
 * Reads one history file: its header first, then the observations in the order they were made.
 * A last line that was cut off (a process died while writing) is left out.
 * @throws AgentError `ERR_LEAK_AGENT_HISTORY` when the file is missing, is no history, or is broken in the middle.
 */
export async function* readHistory(file: string): AsyncGenerator<HistoryHeader | Observation, void, undefined> {
  const input = createReadStream(file, { encoding: "utf8" });
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  let number = 0;
  let damage: AgentError | null = null;
  try {
    for await (const line of lines) {
      number++;
      if (line === "") continue;
      if (damage !== null) throw damage;
      const entry = parseLine(line);
      if (entry === null) {
        // Only tolerable when nothing follows.
        damage = new AgentError("ERR_LEAK_AGENT_HISTORY", `${file}, line ${number}: not an observation`);
        continue;
      }
      if (number === 1) checkHeader(file, entry);
      else if (isHistoryHeader(entry))
        throw new AgentError("ERR_LEAK_AGENT_HISTORY", `${file}, line ${number}: a second header`);
      yield entry;
    }
  } catch (error) {
    if (error instanceof AgentError) throw error;
    throw new AgentError("ERR_LEAK_AGENT_HISTORY", `${file} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    lines.close();
    input.destroy();
  }
  if (number === 0 || (number === 1 && damage !== null)) {
    throw new AgentError("ERR_LEAK_AGENT_HISTORY", `${file} is not a history of leak-agent: it has no header`);
  }
}

/**
 * Reads a whole life: the segments that are left, as if they were one file. What a later segment repeats of the
 * dictionary is left out, so that indexes stay true.
 * @throws AgentError `ERR_LEAK_AGENT_HISTORY`
 */
export async function* readLife(file: string): AsyncGenerator<HistoryHeader | Observation, void, undefined> {
  const seen = { routes: 0, frames: 0, stacks: 0 };
  let isFirst = true;
  for (const segment of lifeSegments(file)) {
    let line = 0;
    for await (const entry of readHistory(segment)) {
      line++;
      if (isHistoryHeader(entry)) {
        if (isFirst) yield entry;
        isFirst = false;
        continue;
      }
      const observation = line === 2 ? afterSeen(entry, seen) : entry;
      seen.routes += observation.newRoutes?.length ?? 0;
      seen.frames += observation.newFrames?.length ?? 0;
      seen.stacks += observation.newStacks?.length ?? 0;
      yield observation;
    }
  }
}

function afterSeen(entry: Observation, seen: { routes: number; frames: number; stacks: number }): Observation {
  return {
    ...entry,
    newRoutes: entry.newRoutes?.slice(seen.routes) ?? [],
    newFrames: entry.newFrames?.slice(seen.frames) ?? [],
    newStacks: entry.newStacks?.slice(seen.stacks) ?? [],
  };
}

function parseLine(line: string): HistoryHeader | Observation | null {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null) return null;
    if ("schema" in value) return value as HistoryHeader;
    return "timeMillis" in value && "level" in value ? (value as Observation) : null;
  } catch {
    return null;
  }
}

function checkHeader(file: string, entry: HistoryHeader | Observation): void {
  if (!isHistoryHeader(entry)) {
    throw new AgentError("ERR_LEAK_AGENT_HISTORY", `${file} is not a history of leak-agent: it has no header`);
  }
  if (entry.schema !== HISTORY_SCHEMA) {
    throw new AgentError(
      "ERR_LEAK_AGENT_HISTORY",
      `${file} has schema ${String(entry.schema)}, this agent reads ${HISTORY_SCHEMA}`,
    );
  }
}

function stemOf(file: string): string {
  return basename(file).replace(/(?:\.\d+)?\.jsonl$/, "");
}

function segmentNumber(file: string): number {
  return Number(/\.(\d+)\.jsonl$/.exec(file)?.[1] ?? 0);
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    return 0; // Removed by hand: it takes no room.
  }
}

/** @returns whether the file still holds its header and an observation, so that it can be continued. */
function removeCutLine(file: string): boolean {
  const size = statSync(file).size;
  const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
  const descriptor = openSync(file, "r");
  try {
    readSync(descriptor, tail, 0, tail.length, size - tail.length);
  } finally {
    closeSync(descriptor);
  }
  const end = tail.lastIndexOf(NEWLINE) + 1;
  if (end < tail.length) truncateSync(file, size - tail.length + end);
  return size > tail.length || tail.indexOf(NEWLINE) + 1 < end;
}
