/**
 * Runs on every thread that samples with `pprof`. Owns node ids and made-up sample ordinals for a tree that has neither.
 * Must not be used where V8's own ordinals can be had (src/probe/native-engine.ts).
 */
import {
  CAPTURE_FLAG_COMPLETE,
  CAPTURE_FLAG_SYNTHETIC_ORDINALS,
  CAPTURE_HEADER_BYTES,
  CAPTURE_MAGIC,
  CAPTURE_NODE_BYTES,
  CAPTURE_SAMPLE_BYTES,
  CAPTURE_VERSION,
} from "../model/capture";

/** V8's `AllocationProfile::Node` as `pprof` hands it out; `count` is already scaled up to all objects of that size. */
export interface AllocationTreeNode {
  readonly name?: string;
  readonly scriptName?: string;
  readonly scriptId?: number;
  readonly lineNumber?: number;
  readonly columnNumber?: number;
  readonly children: readonly AllocationTreeNode[];
  readonly allocations: readonly { readonly sizeBytes: number; readonly count: number }[];
}

interface KnownNode {
  readonly id: number;
  readonly children: Map<string, KnownNode>;
  /** Ordinals of live samples per object size, ascending. */
  readonly ordinalsBySize: Map<number, number[]>;
}

/**
 * How many samples stand behind V8's scaled count.
 * Source: V8 `SamplingHeapProfiler::ScaleSample`, count = round(samples / (1 - exp(-size / interval))).
 */
export function sampledCount(scaledCount: number, sizeBytes: number, intervalBytes: number): number {
  return Math.round(scaledCount * -Math.expm1(-sizeBytes / intervalBytes));
}

/**
 * Makes captures from trees. V8 gives `pprof` only counts per node and size, so samples are told apart like this: a count
 * that rose is births (new ordinals), a count that fell is deaths of the youngest samples there, since most objects that
 * die, die young. Net growth is exact. Its weakness: births and deaths between two captures cancel, so a cache that
 * replaces its entries at constant size looks as if nothing in it ever died or was born.
 */
export class SyntheticCaptures {
  readonly #root: KnownNode = newKnownNode(1);
  #lastNodeId = 1;
  #lastOrdinal = 0;
  #ordinalAtPreviousCapture = 0;
  #greatestSentNodeId = 0;

  /** The greatest ordinal handed out. */
  get lastOrdinal(): number {
    return this.#lastOrdinal;
  }

  resendNames(): void {
    this.#greatestSentNodeId = 0;
  }

  /**
   * @param tree the root of V8's tree; must come from the sampler that earlier trees came from.
   * @param intervalBytes the sampler's mean interval, to undo V8's scaling.
   */
  capture(tree: AllocationTreeNode, intervalBytes: number): SyntheticCapture {
    const writer = new CaptureWriter(this.#greatestSentNodeId);
    const survivors = { before: 0, after: 0 };
    this.#visit(tree, this.#root, 0, intervalBytes, writer, survivors);
    this.#greatestSentNodeId = this.#lastNodeId;
    this.#ordinalAtPreviousCapture = this.#lastOrdinal;
    return { buffer: writer.toBuffer(), livedBefore: survivors.before, stillLive: survivors.after };
  }

  #visit(
    node: AllocationTreeNode,
    known: KnownNode,
    parentId: number,
    intervalBytes: number,
    writer: CaptureWriter,
    survivors: { before: number; after: number },
  ): void {
    writer.addNode(known.id, parentId, node);
    for (const ordinals of known.ordinalsBySize.values()) survivors.before += ordinals.length;
    this.#updateSamples(node, known, intervalBytes);
    for (const [sizeBytes, ordinals] of known.ordinalsBySize) {
      for (const ordinal of ordinals) {
        writer.addSample(ordinal, sizeBytes, known.id);
        if (ordinal <= this.#ordinalAtPreviousCapture) survivors.after++;
      }
    }
    const gone = new Set(known.children.keys());
    for (const child of node.children) {
      const key = identityOf(child);
      gone.delete(key);
      let knownChild = known.children.get(key);
      if (knownChild === undefined) {
        knownChild = newKnownNode(++this.#lastNodeId);
        known.children.set(key, knownChild);
      }
      this.#visit(child, knownChild, known.id, intervalBytes, writer, survivors);
    }
    for (const key of gone) {
      survivors.before += sampleCountBelow(known.children.get(key));
      known.children.delete(key);
    }
  }

  #updateSamples(node: AllocationTreeNode, known: KnownNode, intervalBytes: number): void {
    const gone = new Set(known.ordinalsBySize.keys());
    for (const { sizeBytes, count } of node.allocations) {
      const live = sampledCount(count, sizeBytes, intervalBytes);
      if (live === 0) continue;
      gone.delete(sizeBytes);
      const ordinals = known.ordinalsBySize.get(sizeBytes) ?? [];
      if (ordinals.length > live) ordinals.length = live;
      while (ordinals.length < live) ordinals.push(++this.#lastOrdinal);
      known.ordinalsBySize.set(sizeBytes, ordinals);
    }
    for (const sizeBytes of gone) known.ordinalsBySize.delete(sizeBytes);
  }
}

export interface SyntheticCapture {
  readonly buffer: ArrayBuffer;
  /** Samples that were live at the previous capture, and how many of those still are. */
  readonly livedBefore: number;
  readonly stillLive: number;
}

function newKnownNode(id: number): KnownNode {
  return { id, children: new Map(), ordinalsBySize: new Map() };
}

function sampleCountBelow(node: KnownNode | undefined): number {
  if (node === undefined) return 0;
  let count = 0;
  for (const ordinals of node.ordinalsBySize.values()) count += ordinals.length;
  for (const child of node.children.values()) count += sampleCountBelow(child);
  return count;
}

function identityOf(node: AllocationTreeNode): string {
  return `${node.scriptId ?? 0}:${node.lineNumber ?? 0}:${node.columnNumber ?? 0}:${node.name ?? ""}`;
}

/** The layout of src/model/capture.ts. */
class CaptureWriter {
  readonly #greatestSentNodeId: number;
  readonly #nodeWords: number[] = [];
  readonly #samples: number[] = [];
  readonly #stringIndexes = new Map<string, number>([["", 0]]);
  #treeNodeCount = 0;

  constructor(greatestSentNodeId: number) {
    this.#greatestSentNodeId = greatestSentNodeId;
  }

  addNode(id: number, parentId: number, node: AllocationTreeNode): void {
    this.#treeNodeCount++;
    if (id <= this.#greatestSentNodeId) return;
    const name = this.#stringIndex(node.name ?? "");
    const script = this.#stringIndex(node.scriptName ?? "");
    this.#nodeWords.push(
      id,
      parentId,
      name,
      script,
      node.scriptId ?? 0,
      node.lineNumber ?? 0,
      node.columnNumber ?? 0,
      0,
    );
  }

  addSample(ordinal: number, sizeBytes: number, nodeId: number): void {
    this.#samples.push(ordinal, sizeBytes, nodeId);
  }

  toBuffer(): ArrayBuffer {
    const strings = [...this.#stringIndexes.keys()].map((text) => Buffer.from(text, "utf8"));
    const nodeCount = this.#nodeWords.length / (CAPTURE_NODE_BYTES / 4);
    const sampleCount = this.#samples.length / 3;
    const samplesOffset = CAPTURE_HEADER_BYTES + nodeCount * CAPTURE_NODE_BYTES;
    const stringIndexOffset = samplesOffset + sampleCount * CAPTURE_SAMPLE_BYTES;
    const stringBytesOffset = stringIndexOffset + strings.length * 8;
    const totalBytes = stringBytesOffset + strings.reduce((sum, string) => sum + string.length, 0);
    const complete = nodeCount === this.#treeNodeCount ? CAPTURE_FLAG_COMPLETE : 0;
    const buffer = new ArrayBuffer(totalBytes);
    new Uint32Array(buffer, 0, CAPTURE_HEADER_BYTES / 4).set([
      CAPTURE_MAGIC,
      CAPTURE_VERSION,
      complete | CAPTURE_FLAG_SYNTHETIC_ORDINALS,
      CAPTURE_HEADER_BYTES,
      nodeCount,
      CAPTURE_HEADER_BYTES,
      sampleCount,
      samplesOffset,
      strings.length,
      stringIndexOffset,
      stringBytesOffset,
      totalBytes,
      this.#treeNodeCount,
    ]);
    new Uint32Array(buffer, CAPTURE_HEADER_BYTES, this.#nodeWords.length).set(this.#nodeWords);
    this.#writeSamples(new DataView(buffer, samplesOffset));
    writeStrings(buffer, strings, stringIndexOffset, stringBytesOffset);
    return buffer;
  }

  #writeSamples(view: DataView): void {
    for (let from = 0, to = 0; from < this.#samples.length; from += 3, to += CAPTURE_SAMPLE_BYTES) {
      view.setFloat64(to, this.#samples[from] ?? 0, true);
      view.setUint32(to + 8, this.#samples[from + 1] ?? 0, true);
      view.setUint32(to + 12, this.#samples[from + 2] ?? 0, true);
    }
  }

  #stringIndex(text: string): number {
    let index = this.#stringIndexes.get(text);
    if (index === undefined) {
      index = this.#stringIndexes.size;
      this.#stringIndexes.set(text, index);
    }
    return index;
  }
}

function writeStrings(buffer: ArrayBuffer, strings: readonly Buffer[], indexOffset: number, bytesOffset: number): void {
  const index = new Uint32Array(buffer, indexOffset, strings.length * 2);
  const bytes = new Uint8Array(buffer, bytesOffset);
  let at = 0;
  for (const [i, string] of strings.entries()) {
    index[2 * i] = at;
    index[2 * i + 1] = string.length;
    bytes.set(string, at);
    at += string.length;
  }
}
