/**
 * Runs on the agent's worker thread. Owns the way from a generated position to the original source.
 * Reads a map only when a function of that file is to be named; keeps at most two maps, and none between observations.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { GREATEST_LOWER_BOUND, LEAST_UPPER_BOUND, originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import type { SourcePosition } from "../model/finding";

/** A decoded map takes several times its text: larger ones are not worth a name (dd-trace-js#8009: 9 to 99 MB). */
const MAX_MAP_BYTES = 32 * 1024 * 1024;
/** Decoding takes 19 bytes of heap per character of mappings (measured): 76 of the worker's 256 MB, for a moment. */
const MAX_MAPPINGS_LENGTH = 4_000_000;
const MAX_CACHED_MAPS = 2;
const MAX_CACHED_FILES = 2_000;
/** The comment of an external map stands at the end of the file. */
const TAIL_BYTES = 4_096;
const COMMENT = /\/\/[#@] sourceMappingURL=([^\s'"]+)\s*(?:\*\/\s*)?$/;

export class SourceMaps {
  private readonly maps = new Map<string, TraceMap>();
  private readonly withoutMap = new Set<string>();
  /** Maps that were too large or broken. */
  skippedMaps = 0;

  /**
   * @param line 1-based, as V8 gives it: where the function starts. @param column 1-based.
   * @returns the original position (line and column 1-based, file absolute where it can be), or null.
   */
  originalPosition(file: string, line: number, column: number): SourcePosition | null {
    if (line < 1 || !isAbsolute(file)) return null;
    const map = this.mapOf(file);
    if (map === null) return null;
    const needle = { line, column: Math.max(0, column - 1) };
    let found = originalPositionFor(map, { ...needle, bias: GREATEST_LOWER_BOUND });
    if (found.source === null) found = originalPositionFor(map, { ...needle, bias: LEAST_UPPER_BOUND });
    if (found.source === null) return null;
    const source = sourcePath(found.source);
    return source === null ? null : { file: source, line: found.line, column: found.column + 1 };
  }

  /** Lets go of the decoded maps; the next question reads them again. */
  release(): void {
    this.maps.clear();
  }

  private mapOf(file: string): TraceMap | null {
    if (this.withoutMap.has(file)) return null;
    const known = this.maps.get(file);
    if (known !== undefined) return known;
    const map = this.load(file);
    if (map === null) {
      if (this.withoutMap.size < MAX_CACHED_FILES) this.withoutMap.add(file);
      return null;
    }
    for (const oldest of this.maps.keys()) {
      if (this.maps.size < MAX_CACHED_MAPS) break;
      this.maps.delete(oldest);
    }
    this.maps.set(file, map);
    return map;
  }

  private load(file: string): TraceMap | null {
    try {
      const url = mapUrl(file);
      if (url === null) return null;
      const text = mapText(url, file);
      if (text === null) {
        this.skippedMaps++;
        return null;
      }
      // Source texts are the largest part of a map and are never shown.
      const raw = JSON.parse(text.replace(/^\)\]\}'[^\n]*\n/, "")) as { sourcesContent?: unknown; mappings?: unknown };
      delete raw.sourcesContent;
      if (typeof raw.mappings !== "string" || raw.mappings.length > MAX_MAPPINGS_LENGTH) {
        this.skippedMaps++;
        return null;
      }
      const mapFile = url.startsWith("data:") ? file : resolve(dirname(file), decodeURI(url));
      return new TraceMap(raw as ConstructorParameters<typeof TraceMap>[0], mapFile);
    } catch {
      this.skippedMaps++; // The file moved, or its map is broken: the generated position is shown.
      return null;
    }
  }
}

function pathOfFileUrl(url: string): string | null {
  try {
    return fileURLToPath(url);
  } catch {
    return null;
  }
}

function mapUrl(file: string): string | null {
  const tail = readTail(file, TAIL_BYTES);
  const near = COMMENT.exec(tail)?.[1];
  if (near !== undefined) return near;
  // An inline map is longer than the tail: its end looks like base64 up to the end of the file.
  if (!/^[A-Za-z0-9+/=%\s]+$/.test(tail.slice(-512)) || statSync(file).size > MAX_MAP_BYTES) return null;
  const text = readFileSync(file, "utf8");
  const at = text.lastIndexOf("sourceMappingURL=");
  return at < 0 ? null : (COMMENT.exec(text.slice(at - 4))?.[1] ?? null);
}

function mapText(url: string, file: string): string | null {
  if (url.startsWith("data:")) {
    const comma = url.indexOf(",");
    const isBase64 = url.slice(0, comma).endsWith(";base64");
    const body = url.slice(comma + 1);
    return isBase64 ? Buffer.from(body, "base64").toString("utf8") : decodeURIComponent(body);
  }
  if (/^[a-z]+:\/\//i.test(url) && !url.startsWith("file:")) return null; // Nothing is fetched over a network.
  const path = url.startsWith("file:") ? fileURLToPath(url) : resolve(dirname(file), decodeURI(url));
  return statSync(path).size > MAX_MAP_BYTES ? null : readFileSync(path, "utf8");
}

function readTail(file: string, bytes: number): string {
  const descriptor = openSync(file, "r");
  try {
    const { size } = fstatSync(descriptor);
    const tail = Buffer.alloc(Math.min(size, bytes));
    readSync(descriptor, tail, 0, tail.length, size - tail.length);
    return tail.toString("utf8");
  } finally {
    closeSync(descriptor);
  }
}

/** `webpack://shop/./src/a.ts` -> `src/a.ts`; `file:` URLs -> paths, null for one of another host; paths as they are. */
function sourcePath(source: string): string | null {
  if (source.startsWith("file:")) return pathOfFileUrl(source);
  const scheme = /^[a-z-]+:\/\/[^/]*\/(.*)$/i.exec(source);
  return (scheme?.[1] ?? source).replace(/^(?:\.\/)+/, "").replace(/\?.*$/, "");
}
