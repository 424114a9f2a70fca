/**
 * Runs on the agent's worker thread and in the CLI. Owns the worker's every call of zlib. Must not be inside one when the
 * process ends: Node makes a zlib stream in two steps, and aborts ("close before init") where its thread ends between
 * them. The main thread's half is in `agent-worker.ts`, the reasons in docs/decisions/0020.
 */
import { gunzipSync, gzipSync } from "node:zlib";
import { EXIT_COMPRESSING, EXIT_LEAVING } from "../model/messages";

/** How long a thread that is to be ended stays here. Longer than any process takes to end; no thread hangs for good. */
const MAX_STAY_MILLIS = 5_000;

let exitWords: Int32Array | null = null;

/** From here on nothing is compressed once the main thread is about to end this one. @param words at the indexes EXIT_*. */
export function guardCompression(words: SharedArrayBuffer | undefined): void {
  exitWords = words === undefined ? null : new Int32Array(words);
}

/** RFC 1952, at zlib's default level. */
export function gzip(content: Uint8Array): Buffer {
  return guarded(() => gzipSync(content));
}

/** @throws RangeError ERR_BUFFER_TOO_LARGE above `limitBytes`, Error with zlib's code where the content is damaged. */
export function gunzip(content: Uint8Array, limitBytes: number): Buffer {
  return guarded(() => gunzipSync(content, { maxOutputLength: limitBytes }));
}

/**
 * Each side first says what it is about to do, then looks at what the other has said; with sequentially consistent
 * stores (all of `Atomics`) at least one of them sees the other.
 */
function guarded<Result>(work: () => Result): Result {
  const words = exitWords;
  if (words === null) return work();
  Atomics.store(words, EXIT_COMPRESSING, 1);
  try {
    if (Atomics.load(words, EXIT_LEAVING) === 1) {
      done(words);
      Atomics.wait(words, EXIT_LEAVING, 1, MAX_STAY_MILLIS);
    }
    return work();
  } finally {
    done(words);
  }
}

function done(words: Int32Array): void {
  Atomics.store(words, EXIT_COMPRESSING, 0);
  Atomics.notify(words, EXIT_COMPRESSING);
}
