/**
 * Runs on the agent's worker thread. Owns the process-wide numbers of routes, frames and stacks that observations use.
 * Bounded: beyond a cap everything new is the entry named (other), and counted.
 */
import type { Frame, Observation } from "../model/observation";
import { FROM_MOUNT, FROM_PATH, FROM_REFUSED_PATH, OTHER_ROUTE, type Route, type RouteSource } from "../model/owner";

/** Only what matured samples stand on is numbered; a service has a few thousand of these. */
const MAX_FRAMES = 30_000;
const MAX_STACKS = 20_000;
/** Twice what one thread's probe may name: aliases leave gaps. */
const MAX_ROUTES = 10_000;
const OTHER_FRAME: Frame = { function: "(other)", file: "", line: 0, column: 0 };

export class Dictionary {
  private readonly routes: Route[] = [];
  /** The newest of a name: one that a service declares after its path was folded is a route of its own. */
  private readonly routeByName = new Map<string, number>();
  /** The best that each route's name came from. */
  private readonly sources: RouteSource[] = [];
  private readonly aliases = new Map<number, number>();
  private readonly frames: Frame[] = [];
  private readonly frameByKey = new Map<string, number>();
  /** Key: frame indexes from root to leaf, joined by commas; the order of insertion is the numbering. */
  private readonly stackByKey = new Map<string, number>();
  private reportedRoutes = 0;
  private reportedFrames = 0;
  private reportedStacks: string[] = [];
  private newAliases: [number, number][] = [];
  /** Frames, stacks and routes that found no room and became (other). */
  overflowCount = 0;

  constructor() {
    this.routeIndex(OTHER_ROUTE);
  }

  routeIndex(route: Route, source: RouteSource = FROM_PATH): number {
    const known = this.routeByName.get(route.name);
    if (known !== undefined) {
      const isBetter = source > (this.sources[known] ?? source);
      if (!isBetter || !this.aliases.has(known)) {
        if (isBetter) this.sources[known] = source;
        return this.canonicalRoute(known);
      }
    }
    if (this.routes.length >= MAX_ROUTES) {
      this.overflowCount++;
      return 0;
    }
    this.routeByName.set(route.name, this.routes.length);
    this.sources[this.routes.length] = source;
    return this.routes.push({ name: route.name, method: route.method, template: route.template }) - 1;
  }

  /** The route that this one was folded into, or itself. */
  canonicalRoute(index: number): number {
    let current = index;
    for (let hops = 0; hops < 16; hops++) {
      const next = this.aliases.get(current);
      if (next === undefined) return current;
      current = next;
    }
    return current;
  }

  routeName(index: number): string | null {
    return this.routes[index]?.name ?? null;
  }

  /** From now on `from` counts for `to`, unless its name has come from a better source than the one that folds it. */
  foldRoute(from: number, to: number, source: RouteSource = FROM_PATH): void {
    const target = this.canonicalRoute(to);
    if (from === target || this.aliases.has(from) || (this.sources[from] ?? source) > source) return;
    this.aliases.set(from, target);
    this.newAliases.push([from, target]);
  }

  frameIndex(frame: Frame): number {
    const key = `${frame.function}\n${frame.file}\n${frame.line}\n${frame.column}`;
    const known = this.frameByKey.get(key);
    if (known !== undefined) return known;
    const isFull = this.frames.length >= MAX_FRAMES - 1;
    if (isFull) this.overflowCount++;
    if (isFull && frame !== OTHER_FRAME) return this.frameIndex(OTHER_FRAME);
    this.frameByKey.set(key, this.frames.length);
    return this.frames.push(frame) - 1;
  }

  get stackCount(): number {
    return this.stackByKey.size;
  }

  /** @param frames root to leaf. */
  stackIndex(frames: readonly number[]): number {
    const key = frames.join(",");
    const known = this.stackByKey.get(key);
    if (known !== undefined) return known;
    if (this.stackByKey.size >= MAX_STACKS - 1 && key !== "") {
      this.overflowCount++;
      return this.stackIndex([]);
    }
    const index = this.stackByKey.size;
    this.stackByKey.set(key, index);
    this.reportedStacks.push(key);
    return index;
  }

  /** What was numbered since the last call, for the next observation; keys without news are left out. */
  takeNews(): Pick<Observation, "newRoutes" | "newFrames" | "newStacks" | "routeAliases"> {
    const newRoutes = this.routes.slice(this.reportedRoutes);
    const newFrames = this.frames.slice(this.reportedFrames);
    const newStacks = this.reportedStacks.map(stackOfKey);
    const routeAliases = this.newAliases;
    this.reportedRoutes = this.routes.length;
    this.reportedFrames = this.frames.length;
    this.reportedStacks = [];
    this.newAliases = [];
    return {
      ...(newRoutes.length > 0 ? { newRoutes } : {}),
      ...(newFrames.length > 0 ? { newFrames } : {}),
      ...(newStacks.length > 0 ? { newStacks } : {}),
      ...(routeAliases.length > 0 ? { routeAliases } : {}),
    };
  }

  /** Everything numbered so far, as `takeNews` would have given it from the start. */
  snapshot(): Pick<Observation, "newRoutes" | "newFrames" | "newStacks" | "routeAliases"> {
    return {
      newRoutes: [...this.routes],
      newFrames: [...this.frames],
      newStacks: [...this.stackByKey.keys()].map(stackOfKey),
      ...(this.aliases.size > 0 ? { routeAliases: [...this.aliases] } : {}),
    };
  }

  /** Takes over what an earlier worker of this life numbered; nothing of it is news. */
  restore(observation: Observation): void {
    for (const route of observation.newRoutes ?? []) {
      if (this.routes.length === 1 && route.name === OTHER_ROUTE.name) continue;
      this.routeByName.set(route.name, this.routes.length);
      this.sources[this.routes.length] = FROM_REFUSED_PATH;
      this.routes.push(route);
    }
    for (const frame of observation.newFrames ?? []) this.frameIndex(frame);
    for (const stack of observation.newStacks ?? []) this.stackIndex(stack);
    for (const [from, to] of observation.routeAliases ?? []) {
      this.aliases.set(from, to);
      // Whatever had it folded says so again; only a declaration stands against that.
      this.sources[from] = FROM_MOUNT;
    }
    this.takeNews();
  }
}

function stackOfKey(key: string): number[] {
  return key === "" ? [] : key.split(",").map(Number);
}
