/**
 * Runs on the agent's worker thread. Owns the pprof encoding of the live heap (profile.proto): sample types
 * `inuse_objects`/`count` and `inuse_space`/`bytes` in this order, routes and threads as string labels. Pure but for the clock.
 */
import {
  Label,
  Line,
  Location,
  Function as PprofFunction,
  Profile,
  Sample,
  StringTable,
  ValueType,
} from "pprof-format";
import type { Frame } from "../model/observation";
import type { OwnerKind } from "../model/owner";
import { gzip } from "./compress";
import { basicTime } from "./folder";
import {
  frameKey,
  LABEL_OWNER,
  LABEL_ROUTE,
  LABEL_THREAD_ID,
  LABEL_THREAD_NAME,
  nanosOfMillis,
  routeLabel,
  type StackNode,
  sampleWeight,
  UNKNOWN_FRAME,
} from "./live-heap";

export interface ProfileTimes {
  readonly timeMillis: number;
  /** How long the sampler had been running. */
  readonly durationMillis: number;
  /** V8's mean sampling interval in bytes. */
  readonly intervalBytes: number;
}

export interface ProfileThread {
  /** `worker_threads.threadId`; 0 is the main thread. */
  readonly id: number;
  /** Empty when it is not known. */
  readonly name: string;
}

interface Cell {
  readonly locationIds: number[];
  readonly kind: OwnerKind;
  readonly routeName: string | null;
  readonly thread: ProfileThread | null;
  objects: number;
  bytes: number;
}

/** Collects live samples and merges those of equal stack and labels. */
export class ProfileBuilder {
  private readonly strings = new StringTable();
  private readonly functions: PprofFunction[] = [];
  private readonly locations: Location[] = [];
  private readonly locationIds = new Map<string, number>();
  private readonly stacks = new Map<StackNode, { readonly key: string; readonly locationIds: number[] }>();
  private readonly cells = new Map<string, Cell>();

  /** Adds one sampled object. @param stack null when the sample's place in the tree is unknown. */
  add(
    stack: StackNode | null,
    kind: OwnerKind,
    routeName: string | null,
    sizeBytes: number,
    intervalBytes: number,
    thread: ProfileThread | null = null,
  ): void {
    const weight = sampleWeight(sizeBytes, intervalBytes);
    if (weight === null) return;
    const { key, locationIds } = this.stackOf(stack);
    const cellKey = `${key}|${kind}|${thread?.id ?? ""}|${routeName ?? ""}`;
    let cell = this.cells.get(cellKey);
    if (cell === undefined) {
      cell = { locationIds, kind, routeName, thread, objects: 0, bytes: 0 };
      this.cells.set(cellKey, cell);
    }
    cell.objects += weight.objects;
    cell.bytes += weight.bytes;
  }

  get sampleCount(): number {
    return this.cells.size;
  }

  /** @returns the gzipped protobuf. @param comments one line each, such as `service.name=shop`. */
  encode(times: ProfileTimes, comments: readonly string[]): Uint8Array {
    const id = (text: string): number => this.strings.dedup(text);
    const space = (): ValueType => new ValueType({ type: id("space"), unit: id("bytes") });
    const profile = new Profile({
      sampleType: [
        new ValueType({ type: id("inuse_objects"), unit: id("count") }),
        new ValueType({ type: id("inuse_space"), unit: id("bytes") }),
      ],
      sample: [...this.cells.values()].map((cell) => this.sampleOf(cell)),
      location: this.locations,
      function: this.functions,
      stringTable: this.strings,
      timeNanos: nanosOfMillis(times.timeMillis),
      durationNanos: nanosOfMillis(times.durationMillis),
      periodType: space(),
      period: Math.round(times.intervalBytes),
      comment: comments.map(id),
      defaultSampleType: id("inuse_space"),
    });
    return gzip(profile.encode());
  }

  private sampleOf(cell: Cell): Sample {
    const label = (key: string, value: string): Label =>
      new Label({ key: this.strings.dedup(key), str: this.strings.dedup(value) });
    const labels = [label(LABEL_ROUTE, routeLabel(cell.kind, cell.routeName))];
    if (cell.kind !== "request") labels.push(label(LABEL_OWNER, cell.kind));
    // As text: tools show no number label that is 0, which is the main thread.
    if (cell.thread !== null) labels.push(label(LABEL_THREAD_ID, String(cell.thread.id)));
    if (cell.thread !== null && cell.thread.name !== "") labels.push(label(LABEL_THREAD_NAME, cell.thread.name));
    return new Sample({
      locationId: cell.locationIds,
      value: [Math.round(cell.objects), Math.round(cell.bytes)],
      label: labels,
    });
  }

  private stackOf(stack: StackNode | null): { readonly key: string; readonly locationIds: number[] } {
    if (stack === null) return { key: "", locationIds: [this.locationOf(UNKNOWN_FRAME)] };
    let known = this.stacks.get(stack);
    if (known === undefined) {
      const locationIds: number[] = [];
      for (let node: StackNode | null = stack; node !== null; node = node.parent)
        locationIds.push(this.locationOf(node.frame));
      known = { key: locationIds.join(","), locationIds };
      this.stacks.set(stack, known);
    }
    return known;
  }

  private locationOf(frame: Frame): number {
    const key = frameKey(frame);
    const known = this.locationIds.get(key);
    if (known !== undefined) return known;
    const id = this.locations.length + 1; // Ids start at 1: 0 means none in profile.proto.
    const name = this.strings.dedup(frame.function);
    this.functions.push(
      new PprofFunction({
        id,
        name,
        systemName: name,
        filename: this.strings.dedup(frame.file),
        startLine: frame.line,
      }),
    );
    this.locations.push(
      new Location({ id, line: [new Line({ functionId: id, line: frame.line, column: frame.column })] }),
    );
    this.locationIds.set(key, id);
    return id;
  }
}

/** `profile-<UTC time>-<pid>.pb.gz` */
export function profileName(timeMillis: number, processId: number): string {
  return `profile-${basicTime(timeMillis)}-${processId}.pb.gz`;
}
