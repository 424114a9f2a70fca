/**
 * Runs on the service's main thread and its worker threads. Owns which paths the service's declared routes answer, for
 * requests that were answered before they reached one. Must stay bounded.
 */

const MAX_NODES = 20_000;
/** Segments; longer templates are left out. */
const MAX_DEPTH = 12;

/** What a route declares below the path that its router is mounted on, which has `baseDepth` segments. */
export interface DeclaredPath {
  readonly baseDepth: number;
  readonly suffix: string;
}

interface DeclaredNode {
  /** Null where no word follows: most nodes are the end of a path, and a service may have thousands. */
  literals: Map<string, DeclaredNode> | null;
  parameter: DeclaredNode | null;
  path: DeclaredPath | null;
}

function newNode(): DeclaredNode {
  return { literals: null, parameter: null, path: null };
}

export class DeclaredPaths {
  readonly #root = newNode();
  #nodeCount = 1;
  /** A plain server declares nothing, and pays for nothing. */
  #isEmpty = true;

  /**
   * Templates with wildcards, optional parts or expressions are left out.
   * @param base the requested path that a router is mounted on, or the empty string.
   * @param suffix the template of the route itself.
   */
  add(base: string, suffix: string): void {
    const baseSegments = segmentsOf(base);
    const segments = [...baseSegments, ...segmentsOf(suffix)];
    if (!isPlainTemplate(suffix) || segments.length > MAX_DEPTH) return;
    let node = this.#root;
    for (const [depth, segment] of segments.entries()) {
      const isParameter = depth >= baseSegments.length && isNamed(segment);
      const next = isParameter ? node.parameter : node.literals?.get(segment);
      if (next === undefined || next === null) {
        if (this.#nodeCount >= MAX_NODES) return;
        node = this.#grow(node, isParameter ? null : segment);
      } else node = next;
    }
    this.#isEmpty = false;
    node.path ??= { baseDepth: baseSegments.length, suffix };
  }

  /** @returns the declared path that answers `path`, words before parameters; null when none is known. */
  match(path: string): DeclaredPath | null {
    if (this.#isEmpty) return null;
    const segments = segmentsOf(path);
    return segments.length > MAX_DEPTH ? null : matchFrom(this.#root, segments, 0);
  }

  #grow(node: DeclaredNode, literal: string | null): DeclaredNode {
    const child = newNode();
    this.#nodeCount++;
    if (literal === null) node.parameter = child;
    // A copy: a slice would keep the whole URL.
    else {
      node.literals ??= new Map();
      node.literals.set(Buffer.from(literal).toString(), child);
    }
    return child;
  }
}

function matchFrom(node: DeclaredNode, segments: readonly string[], depth: number): DeclaredPath | null {
  if (depth === segments.length) return node.path;
  const literal = node.literals?.get(segments[depth] as string);
  const byWord = literal === undefined ? null : matchFrom(literal, segments, depth + 1);
  if (byWord !== null || node.parameter === null) return byWord;
  return matchFrom(node.parameter, segments, depth + 1);
}

/** The segments of a path without its query; empty ones are left out. */
export function segmentsOf(path: string): string[] {
  const end = path.search(/[?#]/);
  return (end === -1 ? path : path.slice(0, end)).split("/").filter((segment) => segment !== "");
}

/** Only words and whole-segment parameters, `:id` or `{id}`: each segment of it answers exactly one of a path. */
export function isPlainTemplate(template: string): boolean {
  return /^(\/(:\w+|\{\w+\}|[\w.~-]+))*\/?$/.test(template);
}

function isNamed(segment: string): boolean {
  return segment.startsWith(":") || segment.startsWith("{");
}
