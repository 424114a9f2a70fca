/**
 * Runs on the agent's worker thread. Owns the pprof encoding of the live heap (profile.proto): sample types
 * `inuse_objects`/`count` and `inuse_space`/`bytes` in this order, routes as string labels. Pure but for the clock.
 */
import { gzipSync } from "node:zlib";
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
import { type OwnerKind, SPECIAL_OWNER_NAMES } from "../model/owner";
import { basicTime } from "./folder";

/** A call path: the allocating function and the path of its callers. The tree's root is no frame, so it is null here. */
export interface StackNode {
  readonly parent: StackNode | null;
  readonly frame: Frame;
}

export const LABEL_ROUTE = "http.route";
/** Only on samples that are not plainly the route's: `background-of`, `background`, `startup`, `unattributed`, `agent`. */
export const LABEL_OWNER = "leak_agent.owner";

export interface ProfileTimes {
  readonly timeMillis: number;
  /** How long the sampler had been running. */
  readonly durationMillis: number;
  /** V8's mean sampling interval in bytes. */
  readonly intervalBytes: number;
}

interface Cell {
  readonly locationIds: number[];
  readonly kind: OwnerKind;
  readonly routeName: string | null;
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

  /**
   * Adds one sampled object. V8 samples by bytes (Poisson, mean distance R), so an object of z bytes is seen with
   * probability p = 1 - exp(-z/R) and stands for 1/p objects and z/p bytes (Horvitz-Thompson: unbiased).
   * @param stack null when the sample's place in the tree is unknown.
   */
  add(
    stack: StackNode | null,
    kind: OwnerKind,
    routeName: string | null,
    sizeBytes: number,
    intervalBytes: number,
  ): void {
    const probability = -Math.expm1(-sizeBytes / intervalBytes);
    if (!(probability > 0)) return;
    const { key, locationIds } = this.stackOf(stack);
    const cellKey = `${key}|${kind}|${routeName ?? ""}`;
    let cell = this.cells.get(cellKey);
    if (cell === undefined) {
      cell = { locationIds, kind, routeName, objects: 0, bytes: 0 };
      this.cells.set(cellKey, cell);
    }
    cell.objects += 1 / probability;
    cell.bytes += sizeBytes / probability;
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
      timeNanos: nanos(times.timeMillis),
      durationNanos: nanos(times.durationMillis),
      periodType: space(),
      period: Math.round(times.intervalBytes),
      comment: comments.map(id),
      defaultSampleType: id("inuse_space"),
    });
    return gzipSync(profile.encode(), { level: 6 });
  }

  private sampleOf(cell: Cell): Sample {
    const label = (key: string, value: string): Label =>
      new Label({ key: this.strings.dedup(key), str: this.strings.dedup(value) });
    const labels = [label(LABEL_ROUTE, routeLabel(cell.kind, cell.routeName))];
    if (cell.kind !== "request") labels.push(label(LABEL_OWNER, cell.kind));
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
    const key = `${frame.function}\n${frame.file}\n${frame.line}\n${frame.column}`;
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

const UNKNOWN_FRAME: Frame = { function: "(unknown)", file: "", line: 0, column: 0 };

/** `profile-<UTC time>-<pid>.pb.gz` */
export function profileName(timeMillis: number, processId: number): string {
  return `profile-${basicTime(timeMillis)}-${processId}.pb.gz`;
}

function routeLabel(kind: OwnerKind, routeName: string | null): string {
  if (kind === "request" || kind === "background-of") return routeName ?? SPECIAL_OWNER_NAMES.unattributed;
  return SPECIAL_OWNER_NAMES[kind];
}

function nanos(millis: number): bigint {
  return BigInt(Math.round(millis * 1_000)) * 1_000n;
}
