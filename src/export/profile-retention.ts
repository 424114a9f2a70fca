/** Pure. Owns which profiles are kept as they age: all recent ones, then fewer and fewer, none beyond a month. */
import type { OwnFile } from "./folder";

const DAY_MILLIS = 86_400_000;
const MAX_AGE_MILLIS = 31 * DAY_MILLIS;
/** This many spacings back every profile is kept; each doubling of the age beyond keeps half as many per hour. */
const DENSE_COUNT = 24;

/** Time between two profiles of one process. */
export function profileSpacingMillis(horizonMillis: number): number {
  return Math.min(3_600_000, Math.max(10_000, horizonMillis / 24));
}

/**
 * @param profiles profiles of any processes; each process is thinned by itself.
 * @returns the names that may go: at most about 12 per doubling of the age stay.
 */
export function profilesToThin(profiles: readonly OwnFile[], nowMillis: number, spacingMillis: number): string[] {
  const kept = new Set<string>();
  const out: string[] = [];
  for (const file of [...profiles].sort((a, b) => a.timeMillis - b.timeMillis)) {
    const age = nowMillis - file.timeMillis;
    if (age > MAX_AGE_MILLIS) {
      out.push(file.name);
      continue;
    }
    if (age < DENSE_COUNT * spacingMillis) continue;
    const doublings = Math.floor(Math.log2(age / (DENSE_COUNT * spacingMillis))) + 1;
    // Slots are fixed on the calendar, so that a file which was kept once is not dropped for a neighbour later.
    const slot = `${file.processId}/${doublings}/${Math.floor(file.timeMillis / (spacingMillis * 2 ** doublings))}`;
    if (kept.has(slot)) out.push(file.name);
    else kept.add(slot);
  }
  return out;
}
