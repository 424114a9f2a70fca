/** Pure. Owns what V8's heap limit is made of: it ends the process when the old generation is full, whatever is left of the young. */

const MIB = 1024 * 1024;
/** Young generation over semi-space: two of them, and as much again for large young objects. */
const SEMI_SPACES = 3;
/** Default semi-space by Node line, 64-bit; measured, the same with --max-old-space-size 128 and 4096. */
const SEMI_SPACE_MIB: ReadonlyMap<string, number> = new Map([
  ["20", 16],
  ["22", 16],
  ["24", 64],
]);
/** Node 26, and lines that came later. */
const NEWEST_SEMI_SPACE_MIB = 32;

/**
 * @param heapLimitBytes V8's `heap_size_limit`: both generations.
 * @param nodeVersion such as `24.21.0`.
 * @param semiSpaceMib of `--max-semi-space-size`; null: the default.
 */
export function oldGenerationLimit(
  heapLimitBytes: number,
  nodeVersion: string,
  semiSpaceMib: number | null = null,
): number {
  const line = nodeVersion.split(".")[0] ?? "";
  const semiMib = semiSpaceMib ?? SEMI_SPACE_MIB.get(line) ?? NEWEST_SEMI_SPACE_MIB;
  const youngBytes = SEMI_SPACES * semiMib * MIB;
  return heapLimitBytes > youngBytes ? heapLimitBytes - youngBytes : heapLimitBytes / 2;
}

/** @param args what Node was started with. @returns MiB, or null: not given, or not known. */
export function semiSpaceMib(args: readonly string[] | null): number | null {
  const given = (args ?? []).map((arg) => /^--max[-_]semi[-_]space[-_]size=(\d+)$/.exec(arg)?.[1]);
  const last = given.findLast((value) => value !== undefined);
  return last === undefined || last === "0" ? null : Number(last);
}
