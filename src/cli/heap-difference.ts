/**
 * Runs in the CLI process. Owns the comparison of two live-heap profiles: what grew, by line, site or route.
 */
import { isAbsolute, relative } from "node:path";
import type { HeapEntry, HeapProfile } from "./heap-profile";
import { tracemallocSize } from "./quantities";

export const GROUPINGS = ["line", "site", "route"] as const;
/** `line` = file and line of the allocating function, `site` = function and file, `route` = the `http.route` label. */
export type Grouping = (typeof GROUPINGS)[number];

export interface HeapDifference {
  /** What the row speaks of, as printed. */
  readonly key: string;
  readonly function: string | null;
  readonly file: string | null;
  readonly line: number | null;
  readonly route: string | null;
  /** In the later profile. */
  readonly sizeBytes: number;
  readonly sizeDifferenceBytes: number;
  readonly count: number;
  readonly countDifference: number;
}

export interface ComparisonOptions {
  readonly by: Grouping;
  /** Keeps only the samples of this route; null = all. */
  readonly route: string | null;
  /** Files below this folder are named relative to it; null = as written in the profile. */
  readonly root: string | null;
}

/** Differences between two profiles, the greatest growth first and the greatest shrinkage last. */
export function compareProfiles(before: HeapProfile, after: HeapProfile, options: ComparisonOptions): HeapDifference[] {
  const groups = new Map<string, Group>();
  addAll(groups, before, options, -1);
  addAll(groups, after, options, 1);
  return [...groups.values()].map(toDifference).sort(byGrowth);
}

interface Group {
  readonly names: Pick<HeapDifference, "key" | "function" | "file" | "line" | "route">;
  size: number;
  sizeBefore: number;
  objects: number;
  objectsBefore: number;
}

function addAll(groups: Map<string, Group>, profile: HeapProfile, options: ComparisonOptions, sign: 1 | -1): void {
  for (const entry of profile.entries) {
    if (options.route !== null && entry.route !== options.route) continue;
    const names = namesOf(entry, options);
    let group = groups.get(names.key);
    if (group === undefined) {
      group = { names, size: 0, sizeBefore: 0, objects: 0, objectsBefore: 0 };
      groups.set(names.key, group);
    }
    if (sign === 1) {
      group.size += entry.sizeBytes;
      group.objects += entry.objects;
    } else {
      group.sizeBefore += entry.sizeBytes;
      group.objectsBefore += entry.objects;
    }
  }
}

function toDifference(group: Group): HeapDifference {
  return {
    ...group.names,
    sizeBytes: group.size,
    sizeDifferenceBytes: group.size - group.sizeBefore,
    count: group.objects,
    countDifference: group.objects - group.objectsBefore,
  };
}

function byGrowth(a: HeapDifference, b: HeapDifference): number {
  return (
    b.sizeDifferenceBytes - a.sizeDifferenceBytes ||
    b.sizeBytes - a.sizeBytes ||
    b.countDifference - a.countDifference ||
    (a.key < b.key ? -1 : 1)
  );
}

function namesOf(entry: HeapEntry, options: ComparisonOptions): Group["names"] {
  if (options.by === "route") {
    const route = entry.route ?? "(unlabelled)";
    return { key: route, function: null, file: null, line: null, route: entry.route };
  }
  const file = shownFile(entry.file, options.root);
  const route = options.route;
  if (options.by === "site") {
    const key = file === "" ? entry.function : `${entry.function} (${file})`;
    return { key, function: entry.function, file, line: null, route };
  }
  // V8's own functions have no file; their name stands in for it, as pprof's own tool prints it.
  const key = file === "" ? `${entry.function}:${entry.line}` : `${file}:${entry.line}`;
  return { key, function: entry.function, file, line: entry.line, route };
}

function shownFile(file: string, root: string | null): string {
  if (root === null || !isAbsolute(file)) return file;
  const below = relative(root, file);
  return below === "" || below.startsWith("..") || isAbsolute(below) ? file : below;
}

/** One row as tracemalloc's `StatisticDiff` prints it: `file:line: size=7252 KiB (+3947 KiB), count=309391 (+168388), average=24 B`. */
export function tracemallocRow(difference: HeapDifference): string {
  const { key, sizeBytes, sizeDifferenceBytes } = difference;
  const count = Math.round(difference.count);
  const countDifference = Math.round(difference.countDifference);
  const size = `size=${tracemallocSize(sizeBytes)} (${tracemallocSize(sizeDifferenceBytes, true)})`;
  const counts = `count=${count} (${countDifference < 0 ? "" : "+"}${countDifference})`;
  const average = count > 0 ? `, average=${tracemallocSize(sizeBytes / count)}` : "";
  return `${key}: ${size}, ${counts}${average}`;
}
