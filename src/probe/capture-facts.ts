/**
 * Runs on the service's main thread and its worker threads. Owns the three numbers the probe itself needs of a capture.
 * Must read no more than that: decoding is the worker's.
 */
import { CAPTURE_HEADER_BYTES, CAPTURE_SAMPLE_BYTES } from "../model/capture";

const SAMPLE_COUNT_WORD = 6;
const SAMPLES_OFFSET_WORD = 7;
const TREE_NODE_COUNT_WORD = 12;

export interface CaptureFacts {
  readonly treeNodeCount: number;
  readonly sampleCount: number;
  /** 0 without samples. */
  readonly greatestOrdinal: number;
}

/** @param buffer in the layout of model/capture.ts, written by an engine of this process. */
export function factsOf(buffer: ArrayBuffer): CaptureFacts {
  const header = new Uint32Array(buffer, 0, CAPTURE_HEADER_BYTES / 4);
  const sampleCount = header[SAMPLE_COUNT_WORD] ?? 0;
  const view = new DataView(buffer, header[SAMPLES_OFFSET_WORD] ?? 0, sampleCount * CAPTURE_SAMPLE_BYTES);
  let greatestOrdinal = 0;
  for (let at = 0; at < view.byteLength; at += CAPTURE_SAMPLE_BYTES) {
    greatestOrdinal = Math.max(greatestOrdinal, view.getFloat64(at, true));
  }
  return { treeNodeCount: header[TREE_NODE_COUNT_WORD] ?? 0, sampleCount, greatestOrdinal };
}
