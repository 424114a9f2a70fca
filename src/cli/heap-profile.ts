/**
 * Runs in the CLI process. Owns reading live-heap pprof files, ours and those of other tools.
 * Must not trust a file: whatever is wrong with it becomes `ERR_LEAK_AGENT_PROFILE` that names it.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { type Label, Profile } from "pprof-format";
import { AgentError } from "../errors";

/** Unpacked size above which a file is refused: a heap profile of 100,000 samples takes about 20 MB. */
const MAX_UNPACKED_BYTES = 512 * 1024 * 1024;

/** Sample types that mean "live at this moment", preferred ones first; the second pair is what npm's `pprof` writes. */
const LIVE_TYPES = [
  { objects: "inuse_objects", space: "inuse_space" },
  { objects: "objects", space: "space" },
] as const;

const ROUTE_LABEL = "http.route";
const METHOD_LABEL = "http.request.method";

/** Live objects that one function allocated on behalf of one route. */
export interface HeapEntry {
  readonly function: string;
  /** As written in the profile; "" for V8's own functions. */
  readonly file: string;
  /** 1-based; 0 = unknown. */
  readonly line: number;
  /** The `http.route` label; null without one. */
  readonly route: string | null;
  readonly objects: number;
  readonly sizeBytes: number;
}

export interface HeapProfile {
  readonly path: string;
  /** When it was taken, or null where the file does not say. */
  readonly timeMillis: number | null;
  /** Mean bytes between samples, or null where the file does not say. */
  readonly intervalBytes: number | null;
  readonly entries: readonly HeapEntry[];
}

/**
 * Reads a pprof file, gzipped or not.
 * @throws AgentError `ERR_LEAK_AGENT_PROFILE` when it cannot be read or is no live-heap profile.
 */
export function readHeapProfile(path: string): HeapProfile {
  const profile = decode(path, unpack(path, readBytes(path)));
  const text = (index: number | bigint): string => profile.stringTable.strings[Number(index)] ?? "";
  const types = profile.sampleType.map((type) => text(type.type));
  const live = LIVE_TYPES.find((pair) => types.includes(pair.objects) && types.includes(pair.space));
  if (live === undefined) {
    const found = types.length === 0 ? "none" : types.join(", ");
    throw unreadable(path, `it is no live-heap profile: it needs inuse_objects and inuse_space, it has ${found}`);
  }
  return {
    path,
    timeMillis: Number(profile.timeNanos) > 0 ? Number(profile.timeNanos) / 1e6 : null,
    intervalBytes: Number(profile.period) > 0 ? Number(profile.period) : null,
    entries: readEntries(profile, types.indexOf(live.objects), types.indexOf(live.space)),
  };
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw unreadable(path, reason(error), error);
  }
}

function unpack(path: string, raw: Uint8Array): Uint8Array {
  if (raw[0] !== 0x1f || raw[1] !== 0x8b) return raw;
  try {
    return gunzipSync(raw, { maxOutputLength: MAX_UNPACKED_BYTES });
  } catch (error) {
    throw unreadable(path, `its gzip data is damaged or cut short (${reason(error)})`, error);
  }
}

function decode(path: string, unpacked: Uint8Array): Profile {
  try {
    return Profile.decode(unpacked);
  } catch (error) {
    throw unreadable(path, `it is not in pprof's format (${reason(error)})`, error);
  }
}

interface Frame {
  readonly function: string;
  readonly file: string;
  readonly line: number;
}

const UNKNOWN_FRAME: Frame = { function: "(unknown)", file: "", line: 0 };

function readEntries(profile: Profile, objectsIndex: number, spaceIndex: number): HeapEntry[] {
  const frames = leafFrames(profile);
  const entries: HeapEntry[] = [];
  for (const sample of profile.sample) {
    const frame = frames.get(Number(sample.locationId[0] ?? 0)) ?? UNKNOWN_FRAME;
    const objects = Number(sample.value[objectsIndex] ?? 0);
    const sizeBytes = Number(sample.value[spaceIndex] ?? 0);
    if (objects === 0 && sizeBytes === 0) continue;
    entries.push({ ...frame, route: routeOf(sample.label, profile.stringTable.strings), objects, sizeBytes });
  }
  return entries;
}

/** By location id. `line[0]` of a location is its innermost inlined function. Source: profile.proto, `Location.line`. */
function leafFrames(profile: Profile): Map<number, Frame> {
  const text = (index: number | bigint): string => profile.stringTable.strings[Number(index)] ?? "";
  const functions = new Map(profile.function.map((entry) => [Number(entry.id), entry]));
  const frames = new Map<number, Frame>();
  for (const location of profile.location) {
    const line = location.line[0];
    const called = line === undefined ? undefined : functions.get(Number(line.functionId));
    if (line === undefined || called === undefined) continue;
    frames.set(Number(location.id), {
      function: text(called.name) || "(anonymous)",
      file: filePath(text(called.filename)),
      line: Number(line.line) || Number(called.startLine) || 0,
    });
  }
  return frames;
}

function filePath(file: string): string {
  if (!file.startsWith("file://")) return file;
  try {
    return decodeURIComponent(new URL(file).pathname);
  } catch {
    return file; // A URL that does not parse is shown as it was written.
  }
}

function routeOf(labels: readonly Label[], strings: readonly string[]): string | null {
  let route: string | null = null;
  let method = "";
  for (const label of labels) {
    const key = strings[Number(label.key)];
    if (key === ROUTE_LABEL) route = strings[Number(label.str)] ?? null;
    if (key === METHOD_LABEL) method = strings[Number(label.str)] ?? "";
  }
  return route !== null && method !== "" && route.startsWith("/") ? `${method} ${route}` : route;
}

function unreadable(path: string, why: string, cause?: unknown): AgentError {
  return new AgentError("ERR_LEAK_AGENT_PROFILE", `${path} cannot be read: ${why}`, { cause });
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES" || code === "EPERM") return "you may not read it";
  if (code === "EISDIR") return "it is a folder";
  return error.message.split("\n", 1)[0] ?? "unknown";
}
