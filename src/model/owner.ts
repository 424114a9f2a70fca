/**
 * Spoken by every room. Owns who may own a heap sample: a request record, or one of the special owners.
 * Numbers below are written into ledgers and history files: never renumber them.
 */

/**
 * What the ledger stores for a range of sample ordinals: a request record id (>= 1, unique in a thread's life)
 * or one of the special owners (<= 0).
 */
export type OwnerToken = number;

/** No request context was active: timers, connections, background jobs. */
export const OWNER_BACKGROUND: OwnerToken = 0;
/** Allocated before the process became a service. */
export const OWNER_STARTUP: OwnerToken = -1;
/** Nobody knows: labels were off, a ring overflowed, or the record was dropped. */
export const OWNER_UNATTRIBUTED: OwnerToken = -2;
/** Allocated by the agent itself inside one of its subscribers. */
export const OWNER_AGENT: OwnerToken = -3;

/** How a sample relates to its route. `agent` never becomes a finding. */
export type OwnerKind = "request" | "background-of" | "startup" | "background" | "unattributed" | "agent";

/** A route as people write it: `GET /users/:id`. `method` and `template` are null for special owners. */
export interface Route {
  readonly name: string;
  readonly method: string | null;
  readonly template: string | null;
}

/** Where a route's name comes from; the higher, the more it is worth. */
export type RouteSource = 0 | 1 | 2 | 3;
/** The path of a request that was turned away: anybody may ask for anything. */
export const FROM_REFUSED_PATH: RouteSource = 0;
/** The path of a request that was answered. */
export const FROM_PATH: RouteSource = 1;
/** A declared route, and the path its router is mounted on, which may have parameters. */
export const FROM_MOUNT: RouteSource = 2;
/** The service's own words. */
export const DECLARED: RouteSource = 3;

/** As a thread tells of it. */
export interface AnnouncedRoute extends Route {
  readonly source: RouteSource;
}

/** Route index 0 is always this one: more routes than the table holds, or more values than a segment may take. */
export const OTHER_ROUTE: Route = { name: "(other)", method: null, template: null };

/** Names printed for owners that are no routes. */
export const SPECIAL_OWNER_NAMES: Readonly<Record<"startup" | "background" | "unattributed" | "agent", string>> = {
  startup: "(startup)",
  background: "(background)",
  unattributed: "(unattributed)",
  agent: "(agent)",
};

/** The words for an owner in labels and reports, such as `background of GET /users/:id`. */
export function ownerName(kind: OwnerKind, routeName: string | null): string {
  if (kind === "request") return routeName ?? SPECIAL_OWNER_NAMES.unattributed;
  if (kind === "background-of") return `background of ${routeName ?? SPECIAL_OWNER_NAMES.unattributed}`;
  return SPECIAL_OWNER_NAMES[kind];
}
