/**
 * Runs on the service's main thread and its worker threads. Owns the route names, their indexes, and how many requests
 * each finished in the present window. Must stay flat: names up to a cap, counts in typed arrays.
 */
import { OTHER_ROUTE, type Route } from "../model/owner";
import type { RowQueue } from "./row-queue";

/** The index of OTHER_ROUTE, which needs no announcement. */
export const OTHER_ROUTE_INDEX = 0;
/** Folded routes keep their index, so more indexes are given out than names are kept; this many times more. */
const INDEXES_PER_NAME = 4;

export class RouteTable {
  readonly #indexes = new Map<string, number>();
  readonly #routes: Route[] = [OTHER_ROUTE];
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
  indexOf(name: string, method: string | null, template: string | null): number {
    return this.#indexes.get(name) ?? this.#add(name, method, template);
  }

  templateAt(index: number): string | null {
    return this.#routes[index]?.template ?? null;
  }

  /** `from` turned out to be an instance of the route that is named here. @returns that route's index. */
  fold(from: number, name: string, method: string | null, template: string | null): number {
    const route = this.#routes[from];
    if (from === OTHER_ROUTE_INDEX || route === undefined || route.name === name) return from;
    this.#indexes.delete(route.name);
    const to = this.indexOf(name, method, template);
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
  takeNews(): { firstRouteIndex: number; newRoutes: Route[]; routeAliases: (readonly [number, number])[] } {
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

  #add(name: string, method: string | null, template: string | null): number {
    const index = this.#routes.length;
    if (this.#indexes.size >= this.maxRoutes || index >= this.#counts.length) return OTHER_ROUTE_INDEX;
    this.#routes.push({ name, method, template });
    this.#indexes.set(name, index);
    return index;
  }
}
