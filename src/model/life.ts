/**
 * Spoken by the worker (writer), the main thread (the last word) and the CLI (reader). Owns what outlives a process: one
 * file a process life, `life-<start>-<pid>.log`, of framed records, and beside it the last word, `.end`.
 */
import type { Finding } from "./finding";
import type { LevelReading } from "./observation";
import type { OwnerKind } from "./owner";

export const LIFE_SCHEMA = "leak-agent.life/1";

/** First record of a life. */
export interface LifeOpening {
  readonly type: "open";
  readonly schema: typeof LIFE_SCHEMA;
  readonly startTimeMillis: number;
  readonly processId: number;
  readonly service: string;
  readonly serviceVersion: string | null;
  readonly buildId: string;
  readonly nodeVersion: string;
  readonly agentVersion: string;
  readonly horizonMillis: number;
  /** Host and process id namespace: process ids can be compared only within one. */
  readonly place: string;
  /** The kernel's id of this run of the machine; null where there is none. */
  readonly bootId: string | null;
}

/** Out-of-memory kills that the kernel has counted in this process's control group. */
export interface OomKills {
  /** Control group and the inode of its folder: a new container is a new group, whose count starts at 0. */
  readonly group: string;
  readonly count: number;
}

/** Where memory stood; the newest one says how near to a limit the process died. */
export interface LifeLevel {
  readonly type: "level";
  readonly timeMillis: number;
  readonly level: LevelReading | null;
  readonly oomKills: OomKills | null;
}

/** Where a finding's objects are allocated, as `Finding.site` has it. */
export interface LifeSite {
  readonly package: string;
  readonly file: string;
  readonly function: string;
  /** The function that holds the evidence where V8 has inlined the site into it; null: the site itself. */
  readonly holder: { readonly file: string; readonly function: string } | null;
  /** Names of up to three functions that end in the site: part of the finding's id. */
  readonly functions: readonly string[];
}

/**
 * What one life knows of one site on one route, over the births of the later half of its exposure. Totals, replaced by the
 * next record of the same route and site.
 */
export interface LifeSeries {
  readonly timeMillis: number;
  readonly kind: OwnerKind;
  /** Null for owners without a route. */
  readonly route: string | null;
  /** Set where `route` is the name of a pooled finding: the numbers are those of all routes that it stands for. */
  readonly isPooled?: true | undefined;
  /** Null: the whole route, whatever the site. */
  readonly site: LifeSite | null;
  readonly samplingIntervalBytes: number;
  /** When the births that count began, and the last birth that can be judged. */
  readonly startMillis: number;
  readonly endMillis: number;
  /** Requests in that time; hours for owners without requests. */
  readonly exposure: number;
  /** The same until `timeMillis`, births that cannot be judged yet included: as much as before the start. Left out by older agents. */
  readonly laterExposure?: number;
  /** Cohorts that matured, and mature cohorts that were freed, whenever born. */
  readonly matured: number;
  readonly freed: number;
  /** Cohorts born in that time of which more than half is alive. */
  readonly survivors: number;
  /** Surviving samples born in each quarter of the exposure. */
  readonly quarters: readonly [number, number, number, number];
  /** Estimated bytes of the survivors born in that time, and the variance of that sum (sampling, and from time to time). */
  readonly bytes: number;
  readonly varianceBytes2: number;
  /** Everything alive at the site now, whenever born. */
  readonly matureBytes: number;
  /** Median age at which mature samples were freed; null when none was. */
  readonly residenceMillis: number | null;
}

export interface LifeSeriesRecord {
  readonly type: "series";
  readonly series: readonly LifeSeries[];
}

/** The newest word on a finding. */
export interface LifeFinding {
  readonly type: "finding";
  readonly finding: Finding;
}

export type LifeRecord = LifeOpening | LifeLevel | LifeSeriesRecord | LifeFinding;

/** The last word of a process, written by its main thread, or by the addon when no JavaScript can run any more. */
export type LastWord =
  | { readonly type: "exit"; readonly code: number; readonly timeMillis: number }
  | { readonly type: "heap-limit" }
  | { readonly type: "signal"; readonly name: string };

/** Same site, same route, whatever the line numbers and the package's version. */
export function seriesKey({ kind, route, site }: Pick<LifeSeries, "kind" | "route" | "site">): string {
  return JSON.stringify([route === null ? kind : route, site === null ? null : siteKeyOf(site)]);
}

export function siteKeyOf({ package: name, file, function: named }: Omit<LifeSite, "functions" | "holder">): string {
  return JSON.stringify([name, file, named]);
}
