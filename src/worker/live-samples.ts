/**
 * Runs on the agent's worker thread. Owns the live samples of one sampler life (thread and epoch): who allocated each,
 * when, which have matured (survived two mark-compacts after their birth window closed) and which of those were freed.
 * Keeps nothing of a dead sample; must never guess an owner: what cannot be known is `unattributed`.
 */
import { CAPTURE_FLAG_SYNTHETIC_ORDINALS, type Capture } from "../model/capture";
import type { ProbeReport } from "../model/messages";
import type { MaturedSample } from "../model/observation";
import type { OwnerKind } from "../model/owner";
import type { Dictionary } from "./dictionary";
import { NodeTable, type TreeNode } from "./node-table";
import { OwnerLedger } from "./owner-ledger";

/** Three times what a service at the default budget holds; beyond it new samples are not followed, counted. */
const MAX_LIVE_SAMPLES = 60_000;
/**
 * Call paths are told to the detector as soon as they are seen, also those of samples that will die: who calls whom is
 * seen only until V8 inlines it. Beyond this many, only paths of mature samples are.
 */
const MAX_EARLY_STACKS = 8_000;
/** A sample often dies at its second mark-compact, so one is not enough (shared/detector.md). */
const MATURITY_MAJOR_GCS = 2;
/** A request open for longer (a stream, a socket) cannot be waited for: its samples mature without a route. */
const OPEN_REQUEST_MILLIS = 60_000;

export interface LiveSample {
  readonly nodeId: number;
  readonly sizeBytes: number;
  /** Null until it can be told. */
  kind: OwnerKind | null;
  /** Process-wide route index, -1 for owners without a route. */
  route: number;
  /** End of the birth window; 0 while that window is open. */
  bornMillis: number;
  majorGcAtBirth: number;
  isMatured: boolean;
  capture: number;
}

export interface CaptureOutcome {
  readonly matured: readonly MaturedSample[];
  readonly freed: readonly string[];
  readonly liveSampleCount: number;
  readonly liveBytes: number;
  readonly labelledRatio: number | null;
  /** True when a name is missing: the probe must send all of them again. */
  readonly needsNames: boolean;
  /** Why the labels of this sampler life have just been given up, or null. */
  readonly labelProblem: string | null;
}

/** Samples that an earlier worker of this process had reported as matured and not as freed, by ordinal. */
export type ResumedSamples = ReadonlyMap<number, { readonly kind: OwnerKind; readonly route: number }>;

/** What one sampler life needs to know of the thread it runs in. */
export interface ThreadRoutes {
  /** The process-wide index of a thread's route, or null when the thread has not named it yet. */
  processIndex(threadRoute: number): number | null;
  /** Empty when it is not known. */
  readonly name: string;
}

export class LiveSamples {
  readonly nodes: NodeTable;
  private readonly samples = new Map<number, LiveSample>();
  /** Those of `samples` that have not matured: the only ones that are looked at one by one in each capture. */
  private readonly young = new Map<number, LiveSample>();
  private readonly ledger = new OwnerLedger();
  private readonly keyPrefix: string;
  private captureNumber = 0;
  private greatestOrdinal = 0;
  private previousLastOrdinal = 0;
  private labelsFailed = false;
  private routesMissing = false;
  intervalBytes = 1;
  /** Samples that found no room. */
  droppedSamples = 0;
  /** Samples whose birth an earlier worker saw and took along when it died. */
  orphanedSamples = 0;
  agentSamples = 0;
  /** Estimated bytes of what the agent itself has allocated on this thread and something keeps. */
  agentBytes = 0;
  /** Frames above a sample, over those of the last capture; null before it, or when that was empty. */
  meanStackDepth: number | null = null;

  /**
   * @param resumedThrough ordinals up to this one belong to an earlier worker's memory: only those it had reported as
   * matured (`resumedMatured`) are followed. 0 in a first worker.
   */
  constructor(
    readonly thread: number,
    epoch: number,
    private readonly dictionary: Dictionary,
    private readonly routes: ThreadRoutes,
    private readonly resumedThrough: number = 0,
    private readonly resumedMatured: ResumedSamples = new Map(),
  ) {
    this.nodes = new NodeTable(dictionary);
    this.keyPrefix = sampleKeyPrefix(thread, epoch);
  }

  get droppedRows(): number {
    return this.ledger.droppedRows;
  }

  get size(): number {
    return this.samples.size;
  }

  get threadName(): string {
    return this.routes.name;
  }

  /** @param labelled whether this thread's probe has labels at all. */
  absorb(report: ProbeReport, capture: Capture | null, labelled: boolean): CaptureOutcome | null {
    this.intervalBytes = report.intervalBytes;
    this.ledger.absorb(report);
    if (capture === null) return null;
    const labelProblem = labelled ? this.crossCheck(report, capture) : null;
    const namesComplete = this.nodes.absorb(capture.newNodes);
    const allNamed = this.takeIn(capture);
    const freed = this.removeDead();
    const matured = this.mature(report, labelled && !this.labelsFailed);
    this.ledger.forgetThrough(this.oldestUndecided() - 1);
    this.nodes.prune(this.liveNodeIds(), capture.treeNodeCount);
    return {
      matured,
      freed,
      ...this.totals(labelled && !this.labelsFailed),
      needsNames: !namesComplete || !allNamed || this.routesMissing,
      labelProblem,
    };
  }

  /** Visits every live sample; `kind` is `unattributed` where it is not known yet. */
  forEach(visit: (node: TreeNode | null, kind: OwnerKind, routeName: string | null, sizeBytes: number) => void): void {
    for (const sample of this.samples.values()) {
      const route = sample.route < 0 ? null : this.dictionary.routeName(this.dictionary.canonicalRoute(sample.route));
      visit(this.nodes.get(sample.nodeId) ?? null, sample.kind ?? "unattributed", route, sample.sizeBytes);
    }
  }

  /** An ordinal above the counter, or one that came twice, means that the counter is not what we take it for. */
  private crossCheck(report: ProbeReport, capture: Capture): string | null {
    if (this.labelsFailed || (capture.flags & CAPTURE_FLAG_SYNTHETIC_ORDINALS) !== 0) return null;
    const problem = ordinalProblem(capture.ordinals, report.lastOrdinal, this.previousLastOrdinal);
    this.previousLastOrdinal = report.lastOrdinal;
    if (problem === null) return null;
    this.labelsFailed = true;
    for (const sample of this.young.values()) sample.kind = "unattributed";
    return problem;
  }

  private takeIn(capture: Capture): boolean {
    this.captureNumber++;
    let allNamed = true;
    let depthSum = 0;
    let greatest = this.greatestOrdinal;
    for (let index = 0; index < capture.sampleCount; index++) {
      const ordinal = capture.ordinals[index] ?? 0;
      const nodeId = capture.nodeIds[index] ?? 0;
      const node = this.nodes.get(nodeId);
      if (node === undefined) allNamed = false;
      else if (node !== null) depthSum += node.depth;
      const known = this.samples.get(ordinal);
      if (known !== undefined) known.capture = this.captureNumber;
      else if (this.isNew(ordinal)) this.add(ordinal, nodeId, capture.sizesBytes[index] ?? 0);
      if (ordinal > greatest) greatest = ordinal;
    }
    this.greatestOrdinal = greatest;
    this.meanStackDepth = capture.sampleCount === 0 ? null : depthSum / capture.sampleCount;
    return allNamed;
  }

  /** A sample that was not in the previous capture although it could have been had found no room: it stays out. */
  private isNew(ordinal: number): boolean {
    if (this.captureNumber > 1) return ordinal > this.greatestOrdinal;
    if (ordinal > this.resumedThrough || this.resumedMatured.has(ordinal)) return true;
    this.orphanedSamples++;
    return false;
  }

  private add(ordinal: number, nodeId: number, sizeBytes: number): void {
    if (this.samples.size >= MAX_LIVE_SAMPLES) {
      this.droppedSamples++;
      return;
    }
    if (this.dictionary.stackCount < MAX_EARLY_STACKS) this.nodes.stackIndex(nodeId);
    const resumed = this.captureNumber === 1 ? this.resumedMatured.get(ordinal) : undefined;
    const kind = resumed?.kind ?? (this.labelsFailed ? "unattributed" : null);
    const sample: LiveSample = {
      nodeId,
      sizeBytes,
      kind,
      route: resumed?.route ?? -1,
      bornMillis: 0,
      majorGcAtBirth: 0,
      isMatured: resumed !== undefined,
      capture: this.captureNumber,
    };
    this.samples.set(ordinal, sample);
    if (!sample.isMatured) this.young.set(ordinal, sample);
  }

  private removeDead(): string[] {
    const freed: string[] = [];
    for (const [ordinal, sample] of this.samples) {
      if (sample.capture === this.captureNumber) continue;
      this.samples.delete(ordinal);
      this.young.delete(ordinal);
      if (sample.isMatured && sample.kind !== "agent") freed.push(this.keyPrefix + ordinal.toString(36));
    }
    // Matured before an earlier worker died, and gone since: seen once, at this worker's first capture.
    if (this.captureNumber === 1) {
      for (const ordinal of this.resumedMatured.keys()) {
        if (!this.samples.has(ordinal)) freed.push(this.keyPrefix + ordinal.toString(36));
      }
    }
    return freed;
  }

  private mature(report: ProbeReport, labelled: boolean): MaturedSample[] {
    const matured: MaturedSample[] = [];
    this.routesMissing = false;
    for (const [ordinal, sample] of this.young) {
      if (sample.bornMillis === 0) this.findBirth(ordinal, sample);
      if (sample.kind === null) this.findOwner(ordinal, sample, report, labelled);
      if (sample.bornMillis === 0 || sample.kind === null) continue;
      if (report.gc.majorCount < sample.majorGcAtBirth + MATURITY_MAJOR_GCS) continue;
      sample.isMatured = true;
      this.young.delete(ordinal);
      if (sample.kind === "agent") continue;
      matured.push({
        key: this.keyPrefix + ordinal.toString(36),
        bornMillis: sample.bornMillis,
        kind: sample.kind,
        route: sample.route < 0 ? -1 : this.dictionary.canonicalRoute(sample.route),
        stack: this.nodes.stackIndex(sample.nodeId),
        sizeBytes: sample.sizeBytes,
      });
    }
    return matured;
  }

  private findBirth(ordinal: number, sample: LiveSample): void {
    const window = this.ledger.windowOf(ordinal);
    if (window === null) return;
    sample.bornMillis = window.endMillis;
    sample.majorGcAtBirth = window.majorGcCount;
  }

  private findOwner(ordinal: number, sample: LiveSample, report: ProbeReport, labelled: boolean): void {
    const token = labelled ? this.ledger.tokenOf(ordinal) : null;
    if (token === null) {
      // The probe drains its ranges before it captures: what is uncovered when the window has closed stays so.
      if (!labelled || sample.bornMillis !== 0) sample.kind = "unattributed";
      return;
    }
    const ownership = this.ledger.ownershipOf(ordinal, token);
    if (ownership.state === "pending") {
      const isLong = sample.bornMillis !== 0 && report.timeMillis - sample.bornMillis > OPEN_REQUEST_MILLIS;
      if (isLong) sample.kind = "unattributed";
      return;
    }
    if (ownership.threadRoute < 0) {
      sample.kind =
        ownership.kind === "request" || ownership.kind === "background-of" ? "unattributed" : ownership.kind;
      return;
    }
    const route = this.routes.processIndex(ownership.threadRoute);
    if (route === null) {
      this.routesMissing = true;
      return;
    }
    sample.kind = ownership.kind;
    sample.route = route;
  }

  /** Ranges and windows are kept from the oldest sample on that still needs one of them. */
  private oldestUndecided(): number {
    let oldest = this.greatestOrdinal + 1;
    for (const [ordinal, sample] of this.young) {
      if (ordinal < oldest && (sample.bornMillis === 0 || sample.kind === null)) oldest = ordinal;
    }
    return oldest;
  }

  private totals(labelled: boolean): Pick<CaptureOutcome, "liveSampleCount" | "liveBytes" | "labelledRatio"> {
    let bytes = 0;
    let unattributed = 0;
    let agent = 0;
    let agentBytes = 0;
    for (const sample of this.samples.values()) {
      const size = sample.sizeBytes > 0 ? sample.sizeBytes / -Math.expm1(-sample.sizeBytes / this.intervalBytes) : 0;
      bytes += size;
      if (sample.kind === "unattributed") unattributed++;
      else if (sample.kind === "agent") {
        agent++;
        agentBytes += size;
      }
    }
    this.agentBytes = agentBytes;
    this.agentSamples = agent;
    const count = this.samples.size;
    const labelledRatio = !labelled ? null : count === 0 ? 1 : (count - unattributed) / count;
    return { liveSampleCount: count, liveBytes: Math.round(bytes), labelledRatio };
  }

  private *liveNodeIds(): Generator<number> {
    for (const sample of this.samples.values()) yield sample.nodeId;
  }
}

/** Keys of one sampler life start with this; the ordinal follows in base 36. */
export function sampleKeyPrefix(thread: number, epoch: number): string {
  return `${thread}.${epoch}.`;
}

function ordinalProblem(ordinals: Float64Array, lastOrdinal: number, previousLastOrdinal: number): string | null {
  if (lastOrdinal < previousLastOrdinal)
    return `the sample counter went back from ${previousLastOrdinal} to ${lastOrdinal}`;
  const sorted = ordinals.slice().sort();
  for (let index = 1; index < sorted.length; index++) {
    if (sorted[index] === sorted[index - 1]) return `sample ordinal ${sorted[index]} came twice in one capture`;
  }
  const greatest = sorted.at(-1) ?? 0;
  return greatest > lastOrdinal ? `sample ordinal ${greatest} is above the counter (${lastOrdinal})` : null;
}
