/**
 * The package's public API, on the service's threads; requiring it starts the agent. Owns the two functions a service may
 * call. Must work, doing nothing, where the agent is off.
 */
import { currentProbe } from "./preload";
import type { ProbeStatus } from "./probe/probe";

export type { ProbeStatus } from "./probe/probe";

/**
 * Gives the running request a route name, for frameworks the agent does not know; outside of a request, makes `fn` and
 * what it awaits one request of that name, for queue consumers and jobs.
 * @param name a template of bounded variety, such as `POST /orders` or `queue: invoices`; never an id or a raw URL.
 * @returns what `fn` returns; what it throws goes through. Of a native promise (or a subclass) that is one more native
 * promise of the same outcome; the request ends with it. Other thenables are returned as they are, and their request ends
 * at once: make such a `fn` async.
 */
export function withRoute<R>(name: string, fn: () => R): R {
  const probe = currentProbe();
  return probe === null ? fn() : probe.withRoute(name, fn);
}

/** What works in this thread; null where the agent is off. */
export function status(): ProbeStatus | null {
  return currentProbe()?.status() ?? null;
}
