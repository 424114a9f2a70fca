/**
 * Runs on the service's main thread and its worker threads. Owns the templates of paths that no framework has named:
 * which segments are parameters. Must stay bounded, and must never let a raw URL out.
 */
import type { RouteSource } from "../model/owner";
import { OTHER_ROUTE_INDEX, type RouteTable } from "./route-table";

const PARAMETER = ":id";
/** Segments kept; what follows is `*`. */
const MAX_DEPTH = 12;
const MAX_NODES = 20_000;
/** A segment this long is a token or a title. */
const LONG_SEGMENT_LENGTH = 40;
const LONG_TOKEN_LENGTH = 16;
const MIN_HEX_LENGTH = 8;

interface PathNode {
  readonly template: string;
  readonly literals: Map<string, PathNode>;
  parameter: PathNode | null;
  /** Too many literals were seen here: everything is a parameter. */
  isCollapsed: boolean;
  /** Route index by method and, for frameworks, the route's own path below this one. */
  readonly routes: Map<string, number>;
}

function newNode(template: string): PathNode {
  return { template, literals: new Map(), parameter: null, isCollapsed: false, routes: new Map() };
}

export class PathTemplates {
  readonly #root = newNode("");
  #nodeCount = 1;

  /**
   * @param maxLiterals a segment position with more distinct values than this becomes a parameter; the routes that were
   *   issued for it are folded into the parameter's.
   * @param source what is said of the names; the names of another source are never folded.
   */
  constructor(
    private readonly routes: RouteTable,
    private readonly maxLiterals: number,
    private readonly source: RouteSource,
  ) {}

  /**
   * Index of the route of one request.
   * @param path the requested path; a query is ignored.
   * @param suffix what a framework's own template adds to the path; empty for plain servers.
   * @param mayLearn false for requests that met no handler (404): they may only use what is known, so that a scan for
   *   secret files does not turn real routes into parameters.
   */
  routeOf(method: string, path: string, suffix: string, mayLearn: boolean): number {
    let node: PathNode | null = this.#root;
    const end = endOfPath(path);
    let depth = 0;
    let start = startOfPath(path);
    while (start < end) {
      if (path.charCodeAt(start) === 47) {
        start++;
        continue;
      }
      let stop = path.indexOf("/", start);
      if (stop === -1 || stop > end) stop = end;
      const isTail: boolean = ++depth > MAX_DEPTH;
      node = this.#step(node, isTail ? "*" : path.slice(start, stop), mayLearn);
      if (node === null) return OTHER_ROUTE_INDEX;
      if (isTail) break;
      start = stop + 1;
    }
    return this.#leaf(node, method, suffix, mayLearn);
  }

  #step(node: PathNode, segment: string, mayLearn: boolean): PathNode | null {
    if (node.isCollapsed || isParameter(segment)) return node.parameter ?? this.#addParameter(node, mayLearn);
    const known = node.literals.get(segment);
    if (known !== undefined) return known;
    if (!mayLearn || this.#nodeCount >= MAX_NODES) return null;
    if (node.literals.size >= this.maxLiterals) {
      this.#collapse(node);
      return node.parameter;
    }
    // A copy: a slice would keep the whole URL, query included.
    const literal = Buffer.from(segment).toString();
    const child = newNode(`${node.template}/${literal}`);
    node.literals.set(literal, child);
    this.#nodeCount++;
    return child;
  }

  #leaf(node: PathNode, method: string, suffix: string, mayLearn: boolean): number {
    const key = suffix === "" ? method : `${method} ${suffix}`;
    const known = node.routes.get(key);
    if (known !== undefined) return known;
    if (!mayLearn) return OTHER_ROUTE_INDEX;
    const template = `${node.template}${suffix}` || "/";
    const index = this.routes.indexOf(`${method} ${template}`, method, template, this.source);
    if (index !== OTHER_ROUTE_INDEX) node.routes.set(key, index);
    return index;
  }

  #addParameter(node: PathNode, mayLearn: boolean): PathNode | null {
    if (!mayLearn || this.#nodeCount >= MAX_NODES) return null;
    node.parameter = newNode(`${node.template}/${PARAMETER}`);
    this.#nodeCount++;
    return node.parameter;
  }

  #collapse(node: PathNode): void {
    node.isCollapsed = true;
    node.parameter ??= newNode(`${node.template}/${PARAMETER}`);
    for (const child of node.literals.values()) this.#merge(child, node.parameter);
    this.#nodeCount += 1 - node.literals.size;
    node.literals.clear();
  }

  /** Moves everything below `from` under `to`, whose template takes the place of the old ones. */
  #merge(from: PathNode, to: PathNode): void {
    for (const [key, index] of from.routes) {
      const at = key.indexOf(" ");
      const method = at === -1 ? key : key.slice(0, at);
      const template = `${to.template}${at === -1 ? "" : key.slice(at + 1)}`;
      to.routes.set(key, this.routes.fold(index, `${method} ${template}`, method, template));
    }
    for (const [literal, child] of from.literals) this.#mergeChild(child, to, literal);
    if (from.parameter !== null) this.#mergeChild(from.parameter, to, null);
    if (from.isCollapsed && !to.isCollapsed) this.#collapse(to);
  }

  #mergeChild(child: PathNode, to: PathNode, literal: string | null): void {
    if (literal === null || to.isCollapsed) {
      to.parameter ??= newNode(`${to.template}/${PARAMETER}`);
      this.#merge(child, to.parameter);
      return;
    }
    let target = to.literals.get(literal);
    if (target === undefined) {
      target = newNode(`${to.template}/${literal}`);
      to.literals.set(literal, target);
    }
    this.#merge(child, target);
    if (to.literals.size > this.maxLiterals) this.#collapse(to);
  }
}

/** A client may send the whole URL in the request line, as it does to a proxy. */
function startOfPath(path: string): number {
  if (path.charCodeAt(0) === 47) return 0;
  const scheme = path.indexOf("://");
  if (scheme <= 0 || scheme > path.indexOf("/")) return 0;
  const slash = path.indexOf("/", scheme + 3);
  return slash === -1 ? path.length : slash;
}

function endOfPath(path: string): number {
  const query = path.indexOf("?");
  const fragment = path.indexOf("#");
  const end = query === -1 ? path.length : query;
  return fragment === -1 ? end : Math.min(end, fragment);
}

/** True for numbers, dates, UUIDs, hashes, encoded or long values, and names that end in a number after a separator. */
export function isParameter(segment: string): boolean {
  const length = segment.length;
  if (length > LONG_SEGMENT_LENGTH) return true;
  let digits = 0;
  let hexLetters = 0;
  let separators = 0;
  let trailingDigits = 0;
  let digitsFollowSeparator = false;
  for (let i = 0; i < length; i++) {
    const code = segment.charCodeAt(i);
    if (code >= 48 && code <= 57) {
      digits++;
      trailingDigits++;
      continue;
    }
    if (trailingDigits > 0) digitsFollowSeparator = false;
    trailingDigits = 0;
    if ((code >= 97 && code <= 102) || (code >= 65 && code <= 70)) hexLetters++;
    else if (code === 45 || code === 95 || code === 46) {
      separators++;
      digitsFollowSeparator = true;
    } else if (code === 37 || code === 64 || code === 61 || code === 44 || code > 126) return true; // % @ = ,
    if (code !== 45 && code !== 95 && code !== 46) digitsFollowSeparator = false;
  }
  if (digits === 0) return false;
  if (digits + separators === length) return true;
  if (digits + hexLetters + separators === length && digits + hexLetters >= MIN_HEX_LENGTH) return true;
  if (length >= LONG_TOKEN_LENGTH && separators === 0) return true;
  return digitsFollowSeparator && trailingDigits >= 2;
}
