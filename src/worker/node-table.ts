/**
 * Runs on the agent's worker thread. Owns the names of one sampler's allocation tree: captures bring a node's names once,
 * later ones only its id. Bounded by the live tree: nodes without a live sample below them are dropped.
 */
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { StackNode } from "../export/live-heap";
import type { CaptureNode } from "../model/capture";
import type { Frame } from "../model/observation";
import type { Dictionary } from "./dictionary";

/** Pruning starts when the table is this much larger than the tree that V8 reported. */
const SLACK_NODES = 512;
/** The agent's own functions wrap the service's and stand on its stacks; as a place to look for a leak they are noise. */
const AGENT_CODE = join(__dirname, "..") + sep;
/** V8 is asked for 64 frames or fewer; the guard is against a cycle in a damaged buffer. */
const MAX_DEPTH = 256;

export class TreeNode implements StackNode {
  /** Index of this path in the dictionary, -1 until a sample on it matured. */
  stack = -1;
  mark = 0;
  /** Frames from the root to this one. */
  readonly depth: number;
  constructor(
    readonly parent: TreeNode | null,
    readonly frame: Frame,
  ) {
    this.depth = parent === null ? 1 : parent.depth + 1;
  }
}

export class NodeTable {
  /** The tree's root maps to null: it is no frame. */
  private readonly nodes = new Map<number, TreeNode | null>();
  private mark = 0;

  constructor(private readonly dictionary: Dictionary) {}

  get size(): number {
    return this.nodes.size;
  }

  /** @returns false when a node's parent was never seen: the names must be sent again. */
  absorb(newNodes: readonly CaptureNode[]): boolean {
    const files = new Map<string, string>();
    let complete = true;
    for (const node of newNodes) {
      const known = this.nodes.get(node.id);
      if (known !== undefined) continue; // A repeat after resend-names; V8 never reuses an id.
      if (node.parentId === 0) {
        this.nodes.set(node.id, null);
        continue;
      }
      const parent = this.nodes.get(node.parentId);
      if (parent === undefined) {
        complete = false;
        continue;
      }
      let file = files.get(node.scriptName);
      if (file === undefined) {
        file = filePath(node.scriptName);
        files.set(node.scriptName, file);
      }
      const name = node.functionName === "" ? "(anonymous)" : node.functionName;
      this.nodes.set(node.id, new TreeNode(parent, { function: name, file, line: node.line, column: node.column }));
    }
    return complete;
  }

  /** @returns undefined for an id that was never named, null for the root. */
  get(id: number): TreeNode | null | undefined {
    return this.nodes.get(id);
  }

  /** The dictionary's number for the path that ends in this node, without the agent's own functions. */
  stackIndex(id: number): number {
    const node = this.nodes.get(id) ?? null;
    if (node === null) return this.dictionary.stackIndex([]);
    if (node.stack < 0) {
      const frames: number[] = [];
      for (let at: TreeNode | null = node; at !== null && frames.length < MAX_DEPTH; at = at.parent) {
        if (!at.frame.file.startsWith(AGENT_CODE)) frames.push(this.dictionary.frameIndex(at.frame));
      }
      node.stack = this.dictionary.stackIndex(frames.reverse());
    }
    return node.stack;
  }

  /** Drops what no live sample needs, once there is enough of it. @param liveNodeIds nodes that hold live samples. */
  prune(liveNodeIds: Iterable<number>, treeNodeCount: number): void {
    if (this.nodes.size <= treeNodeCount + SLACK_NODES) return;
    this.mark++;
    for (const id of liveNodeIds) {
      let node = this.nodes.get(id) ?? null;
      while (node !== null && node.mark !== this.mark) {
        node.mark = this.mark;
        node = node.parent;
      }
    }
    for (const [id, node] of this.nodes) if (node !== null && node.mark !== this.mark) this.nodes.delete(id);
  }
}

/** ES modules are named by URL, CommonJS by path: both become paths. `node:` and other schemes stay as they are. */
function filePath(scriptName: string): string {
  if (!scriptName.startsWith("file:")) return scriptName;
  try {
    return fileURLToPath(scriptName);
  } catch {
    return scriptName; // A URL that is no path on this system is still a name.
  }
}
