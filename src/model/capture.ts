/**
 * Spoken by the engines (writers) and the worker (reader). Owns the layout of one capture: the nodes that are new since
 * the previous capture of this sampler life, their strings, and every live sample. The C++ writer is
 * native/capture_format.h; a test holds both against each other.
 *
 * Layout, little endian, all offsets in bytes from the start of the buffer:
 *   header   16 x u32: magic "LKC1", version, flags, headerBytes, nodeCount, nodesOffset, sampleCount, samplesOffset,
 *            stringCount, stringIndexOffset, stringBytesOffset, totalBytes, treeNodeCount, reserved x 3
 *   nodes    nodeCount x 8 u32: id, parentId (0 for the root), nameString, scriptString, scriptId, line, column, reserved
 *            line and column are 1-based, 0 = unknown; a parent always precedes its children
 *   samples  sampleCount x 16 bytes: ordinal f64, sizeBytes u32, nodeId u32
 *   strings  stringCount x 2 u32 (offset from stringBytesOffset, byte length), then UTF-8 bytes
 */
import { AgentError } from "../errors";

export const CAPTURE_MAGIC = 0x31434b4c; // "LKC1"
export const CAPTURE_VERSION = 1;
export const CAPTURE_HEADER_BYTES = 64;
export const CAPTURE_NODE_BYTES = 32;
export const CAPTURE_SAMPLE_BYTES = 16;

/** Set when the capture repeats every node of the tree (first capture, or after `resendNames`). */
export const CAPTURE_FLAG_COMPLETE = 1;
/** Set when the engine has no sample ordinals of its own and made them up from counts per node. */
export const CAPTURE_FLAG_SYNTHETIC_ORDINALS = 2;

/** A node of V8's allocation tree: one function at one call path. */
export interface CaptureNode {
  readonly id: number;
  readonly parentId: number;
  readonly functionName: string;
  readonly scriptName: string;
  readonly scriptId: number;
  readonly line: number;
  readonly column: number;
}

/** A decoded capture; samples stay in typed arrays because there may be tens of thousands. */
export interface Capture {
  readonly flags: number;
  /** Nodes in the engine's tree at capture time, including those not repeated here. */
  readonly treeNodeCount: number;
  readonly newNodes: readonly CaptureNode[];
  readonly sampleCount: number;
  /** V8's `sample_id`, 1-based, in allocation order. */
  readonly ordinals: Float64Array;
  readonly sizesBytes: Uint32Array;
  readonly nodeIds: Uint32Array;
}

/**
 * Reads a capture buffer.
 * @throws AgentError `ERR_LEAK_AGENT_CAPTURE` when the buffer is truncated, foreign or of another version.
 */
export function decodeCapture(buffer: ArrayBuffer): Capture {
  if (buffer.byteLength < CAPTURE_HEADER_BYTES) throw malformed("shorter than its header");
  const header = new Uint32Array(buffer, 0, CAPTURE_HEADER_BYTES / 4);
  const at = (index: number): number => header[index] ?? 0;
  if (at(0) !== CAPTURE_MAGIC) throw malformed("wrong magic number");
  if (at(1) !== CAPTURE_VERSION) throw malformed(`version ${at(1)}, this agent reads ${CAPTURE_VERSION}`);
  const nodeCount = at(4);
  const nodesOffset = at(5);
  const sampleCount = at(6);
  const samplesOffset = at(7);
  const stringCount = at(8);
  const stringIndexOffset = at(9);
  const stringBytesOffset = at(10);
  const totalBytes = at(11);
  if (
    totalBytes > buffer.byteLength ||
    nodesOffset + nodeCount * CAPTURE_NODE_BYTES > totalBytes ||
    samplesOffset + sampleCount * CAPTURE_SAMPLE_BYTES > totalBytes ||
    stringIndexOffset + stringCount * 8 > stringBytesOffset ||
    stringBytesOffset > totalBytes
  ) {
    throw malformed("truncated");
  }
  const strings = readStrings(buffer, stringCount, stringIndexOffset, stringBytesOffset, totalBytes);
  return {
    flags: at(2),
    treeNodeCount: at(12),
    newNodes: readNodes(buffer, nodeCount, nodesOffset, strings),
    ...readSamples(buffer, sampleCount, samplesOffset),
  };
}

function readStrings(
  buffer: ArrayBuffer,
  count: number,
  indexOffset: number,
  bytesOffset: number,
  totalBytes: number,
): string[] {
  const index = new Uint32Array(buffer, indexOffset, count * 2);
  const bytes = Buffer.from(buffer);
  const strings: string[] = [];
  for (let i = 0; i < count; i++) {
    const start = bytesOffset + (index[2 * i] ?? 0);
    const end = start + (index[2 * i + 1] ?? 0);
    if (end > totalBytes) throw malformed("string outside the buffer");
    strings.push(bytes.toString("utf8", start, end));
  }
  return strings;
}

function readNodes(buffer: ArrayBuffer, count: number, offset: number, strings: readonly string[]): CaptureNode[] {
  const words = new Uint32Array(buffer, offset, (count * CAPTURE_NODE_BYTES) / 4);
  const nodes: CaptureNode[] = [];
  for (let i = 0; i < count; i++) {
    const at = (field: number): number => words[i * 8 + field] ?? 0;
    nodes.push({
      id: at(0),
      parentId: at(1),
      functionName: strings[at(2)] ?? "",
      scriptName: strings[at(3)] ?? "",
      scriptId: at(4),
      line: at(5),
      column: at(6),
    });
  }
  return nodes;
}

function readSamples(
  buffer: ArrayBuffer,
  count: number,
  offset: number,
): Pick<Capture, "sampleCount" | "ordinals" | "sizesBytes" | "nodeIds"> {
  const view = new DataView(buffer, offset, count * CAPTURE_SAMPLE_BYTES);
  const ordinals = new Float64Array(count);
  const sizesBytes = new Uint32Array(count);
  const nodeIds = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const at = i * CAPTURE_SAMPLE_BYTES;
    ordinals[i] = view.getFloat64(at, true);
    sizesBytes[i] = view.getUint32(at + 8, true);
    nodeIds[i] = view.getUint32(at + 12, true);
  }
  return { sampleCount: count, ordinals, sizesBytes, nodeIds };
}

function malformed(why: string): AgentError {
  return new AgentError("ERR_LEAK_AGENT_CAPTURE", `a capture buffer is unreadable: ${why}`);
}
