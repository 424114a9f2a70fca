/**
 * Runs on the service's main thread and its worker threads, once, before the real sampler starts. Owns the proof that
 * labels are right here: known allocations inside known records. Must leave no hook and no sampler behind.
 */
import { AsyncResource } from "node:async_hooks";
import { decodeCapture } from "../model/capture";
import { LEDGER_WORDS } from "../model/messages";
import type { Labels } from "./boundaries";
import type { SamplingEngine } from "./engine";
import type { OrdinalReader } from "./ordinal-reader";
import type { OwnerLedger } from "./owner-ledger";
import { RequestRecord, runInContext, storage } from "./request-context";

/** Some 180 samples in all, fewer than the interposed ring holds; a prime, so that it cannot match by accident. */
const INTERVAL_BYTES = 1_531;
const STACK_DEPTH = 16;
const OBJECT_COUNT = 100;
const OBJECT_WORDS = 64;
/** Of the samples that must be there, this many have to be seen for the test to mean something. */
const MIN_SAMPLES = 20;

/** The names by which the capture tells whose allocation a sample is. */
function allocateForFirstRecord(): unknown[] {
  const kept: unknown[] = [];
  for (let i = 0; i < OBJECT_COUNT; i++) kept.push(new Array(OBJECT_WORDS).fill(i));
  return kept;
}

function allocateForSecondRecord(): unknown[] {
  const kept: unknown[] = [];
  for (let i = 0; i < OBJECT_COUNT; i++) kept.push(new Array(OBJECT_WORDS).fill(i));
  return kept;
}

/**
 * @param makeLabels the mechanism under test, writing into the given ledger.
 * @returns why the labels cannot be trusted; empty when they can.
 */
export function testLabels(
  engine: SamplingEngine,
  ordinals: OrdinalReader,
  ledger: OwnerLedger,
  makeLabels: () => Labels,
): string {
  if (engine.start(INTERVAL_BYTES, STACK_DEPTH) !== "started") return "the sampler could not be started";
  try {
    ordinals.reopen();
    if (ordinals.read() < 0) return engine.labels?.counterProblem() || "the ordinal counter cannot be read";
    const labels = makeLabels();
    if (!labels.attach()) return "the mechanism does not work on this V8";
    try {
      return runAndCompare(engine, ordinals, ledger, labels);
    } finally {
      labels.detach();
    }
  } finally {
    engine.stop();
    // What the last drain brought: ordinals of a sampler that is gone.
    ledger.takeRanges();
    ledger.takeRecords();
    // On lines where AsyncLocalStorage runs on async_hooks, its hook stays on otherwise.
    storage.disable();
  }
}

function runAndCompare(engine: SamplingEngine, ordinals: OrdinalReader, ledger: OwnerLedger, labels: Labels): string {
  const first = new RequestRecord(0);
  const second = new RequestRecord(0);
  const before = ordinals.read();
  const kept: unknown[] = [];
  runInContext(
    first,
    () => {
      kept.push(allocateForFirstRecord());
      const resource = new AsyncResource("leak-agent self-test");
      runInContext(
        second,
        () => {
          kept.push(allocateForSecondRecord());
          // Runs in the context in which the resource was made.
          resource.runInAsyncScope(() => kept.push(allocateForFirstRecord()));
          kept.push(allocateForSecondRecord());
        },
        undefined,
      );
      kept.push(allocateForFirstRecord());
    },
    undefined,
  );
  labels.settle();
  const after = ordinals.read();
  const buffer = engine.capture();
  const ranges = ledger.takeRanges();
  if (buffer === null || kept.length === 0) return "no capture";
  const owners = new Map([
    ["allocateForFirstRecord", first.recordId],
    ["allocateForSecondRecord", second.recordId],
  ]);
  return compare(buffer, ranges, owners, before, after);
}

function compare(
  buffer: ArrayBuffer,
  ranges: Float64Array,
  owners: ReadonlyMap<string, number>,
  before: number,
  after: number,
): string {
  const capture = decodeCapture(buffer);
  const expectedByNode = new Map<number, number>();
  for (const node of capture.newNodes) {
    const owner = owners.get(node.functionName) ?? expectedByNode.get(node.parentId);
    if (owner !== undefined) expectedByNode.set(node.id, owner);
  }
  const seen = new Map<number, number>();
  const ordinalsSeen = new Set<number>();
  for (let i = 0; i < capture.sampleCount; i++) {
    const ordinal = capture.ordinals[i] ?? 0;
    if (ordinalsSeen.has(ordinal)) return "two samples have the same ordinal";
    ordinalsSeen.add(ordinal);
    const expected = expectedByNode.get(capture.nodeIds[i] ?? 0);
    if (expected === undefined) continue;
    if (ordinal <= before || ordinal > after) return "a sample's ordinal is outside what the counter says";
    if (tokenOf(ranges, ordinal) !== expected) return "a known allocation got the wrong owner";
    seen.set(expected, (seen.get(expected) ?? 0) + 1);
  }
  for (const owner of owners.values()) {
    if (owner === 0 || (seen.get(owner) ?? 0) < MIN_SAMPLES) return "too few samples of known allocations";
  }
  return "";
}

function tokenOf(ranges: Float64Array, ordinal: number): number | undefined {
  for (let at = 0; at < ranges.length; at += LEDGER_WORDS) {
    if ((ranges[at] ?? 0) <= ordinal && ordinal <= (ranges[at + 1] ?? 0)) return ranges[at + 2];
  }
  return undefined;
}
