/**
 * Runs on the service's main thread and its worker threads. Owns the route names, their indexes, and how many requests
 * each finished in the present window. Must stay flat: names up to a cap, counts in typed arrays. One name has an index for
 * each source: a path that turns out to be an instance of `/:id` must not take a declared route of the same name with it.
 */
import { type AnnouncedRoute, DECLARED, OTHER_ROUTE, type RouteSource } from "../model/owner";
import type { RowQueue } from "./row-queue";

/** The index of OTHER_ROUTE, which needs no announcement. */
export const OTHER_ROUTE_INDEX = 0;
/** Folded routes keep their index, so more indexes are given out than names are kept; this many times more. */
const INDEXES_PER_NAME = 4;
const SOURCES = DECLARED + 1;

export class RouteTable {
  /** By source, then name. */
  readonly #indexes = Array.from({ length: SOURCES }, () => new Map<string, number>());
  #nameCount = 0;
  readonly #routes: AnnouncedRoute[] = [{ ...OTHER_ROUTE, source: DECLARED }];
  readonly #aliases: (readonly [number, number])[] = [];
  readonly #counts: Uint32Array;
  /** Indexes with a count in this window. */
  readonly #touched: Uint16Array;
  #touchedCount = 0;
  #sentRoutes = 1;
  #sentAliases = 0;

  constructor(private readonly maxRoutes: number) {
    this.#counts = new Uint32Array(maxRoutes * INDEXES_PER_NAME);
    this.#touched = new Uint16Array(maxRoutes * INDEXES_PER_NAME);
  }

  /** @returns the index of a route, OTHER_ROUTE_INDEX when the table is full. */
  indexOf(name: string, method: string | null, template: string | null, source: RouteSource): number {
    return this.#indexes[source]?.get(name) ?? this.#add({ name, method, template, source });
  }

  templateAt(index: number): string | null {
    return this.#routes[index]?.template ?? null;
  }

  /** `from` turned out to be an instance of the route that is named here. @returns that route's index. */
  fold(from: number, name: string, method: string | null, template: string | null): number {
    const route = this.#routes[from];
    if (from === OTHER_ROUTE_INDEX || route === undefined || route.name === name) return from;
    if (this.#indexes[route.source]?.delete(route.name) === true) this.#nameCount--;
    const to = this.indexOf(name, method, template, route.source);
    this.#aliases.push([from, to]);
    return to;
  }

  countRequest(index: number): void {
    const count = this.#counts[index] ?? 0;
    if (count === 0) this.#touched[this.#touchedCount++] = index;
    this.#counts[index] = count + 1;
  }

  /** Writes [endMillis, route index, requests] for each route that had any, and starts the next window. */
  closeWindow(endMillis: number, requests: RowQueue): number {
    let total = 0;
    for (let i = 0; i < this.#touchedCount; i++) {
      const index = this.#touched[i] ?? 0;
      const count = this.#counts[index] ?? 0;
      requests.push(endMillis, index, count);
      total += count;
      this.#counts[index] = 0;
    }
    this.#touchedCount = 0;
    return total;
  }

  /** What the worker has not been told. */
  takeNews(): { firstRouteIndex: number; newRoutes: AnnouncedRoute[]; routeAliases: (readonly [number, number])[] } {
    const news = {
      firstRouteIndex: this.#sentRoutes,
      newRoutes: this.#routes.slice(this.#sentRoutes),
      routeAliases: this.#aliases.slice(this.#sentAliases),
    };
    this.#sentRoutes = this.#routes.length;
    this.#sentAliases = this.#aliases.length;
    return news;
  }

  /** A worker that has just been restarted knows nothing. */
  tellAgain(): void {
    this.#sentRoutes = 1;
    this.#sentAliases = 0;
  }

  #add(route: AnnouncedRoute): number {
    const index = this.#routes.length;
    if (this.#nameCount >= this.maxRoutes || index >= this.#counts.length) return OTHER_ROUTE_INDEX;
    this.#routes.push(route);
    this.#indexes[route.source]?.set(route.name, index);
    this.#nameCount++;
    return index;
  }
}
