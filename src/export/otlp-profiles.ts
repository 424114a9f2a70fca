/**
 * Runs on the agent's worker thread. Owns the live heap on its way to OTLP Profiles: merges samples of equal identity and
 * decides which go into which request. Never calls the network.
 */
import type { Frame } from "../model/observation";
import type { OwnerKind, Route } from "../model/owner";
import { frameKey, type StackNode, sampleWeight, UNKNOWN_FRAME } from "./live-heap";
import { boundedText } from "./otlp-attributes";
import { encodeProfilesRequest, type OtlpProfileTimes, type OtlpResource } from "./otlp-profiles-request";
import { attributesOf, partsOfRoute, type RouteParts, type SampleAttribute } from "./otlp-sample-attributes";

export type { OtlpProfileTimes, OtlpResource } from "./otlp-profiles-request";

/** Both profiles together. Pyroscope takes no more in one profile. */
export const MAX_SAMPLES_PER_REQUEST = 16_000;
/** Decoded size that gRPC receivers accept by default (4 MiB). */
export const MAX_REQUEST_BYTES: number = 4 * 1024 * 1024;
/** 64,000 merged samples: more than the agent follows in one thread. Beyond it the smallest are dropped, counted. */
export const MAX_REQUESTS = 8;
/** V8 gives at most 255; the guard is against a cycle. The outermost frames give way to `(truncated)`. */
export const MAX_STACK_FRAMES = 1_000;
/** Longest function or file name, in UTF-16 units: Linux' PATH_MAX. */
const MAX_NAME_LENGTH = 4_096;
/** Each merged sample is one in `inuse_space` and one in `inuse_objects`. */
const PROFILES_PER_REQUEST = 2;

const TRUNCATED_FRAME: Frame = { function: "(truncated)", file: "", line: 0, column: 0 };

interface Cell {
  readonly stack: readonly number[];
  readonly attributes: readonly SampleAttribute[];
  objects: number;
  bytes: number;
}

/** Gives each key a number, in order of its first use. */
class Numbering<Value> {
  readonly values: Value[] = [];
  private readonly numbers = new Map<string, number>();

  numberOf(key: string, make: () => Value): number {
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    this.numbers.set(key, this.values.length);
    return this.values.push(make()) - 1;
  }
}

/** Collects live samples, merges those of equal identity, and encodes them. */
export class OtlpProfileBuilder {
  private readonly frames = new Numbering<Frame>();
  private readonly stacks = new Numbering<readonly number[]>();
  private readonly attributeSets = new Numbering<readonly SampleAttribute[]>();
  /** Short cuts to the numbers above, by what the caller hands in. */
  private readonly frameNumbers = new Map<Frame, number>();
  private readonly stackNumbers = new Map<StackNode, number>();
  private readonly attributeSetNumbers = new Map<string, number>();
  private readonly cells = new Map<string, Cell>();
  /** Call paths that lost their outermost frames. */
  truncatedStackCount = 0;
  /** Merged samples that the last `encode` or `encodeRequests` left out; always the smallest. */
  droppedSampleCount = 0;

  /**
   * Adds one sampled object.
   * @param stack null when the sample's place in the tree is unknown.
   * @param route a name such as `GET /users/:id` is taken apart.
   * @param threadId `worker_threads.threadId`; 0 is the main thread.
   * @param threadName left out when empty.
   */
  add(
    stack: StackNode | null,
    kind: OwnerKind,
    route: Route | string | null,
    sizeBytes: number,
    intervalBytes: number,
    threadId: number,
    threadName: string,
  ): void {
    const weight = sampleWeight(sizeBytes, intervalBytes);
    if (weight === null) return;
    const stackNumber = this.stackOf(stack);
    const setNumber = this.attributeSetOf(kind, partsOfRoute(route), threadId, threadName);
    const key = `${stackNumber}|${setNumber}`;
    let cell = this.cells.get(key);
    if (cell === undefined) {
      const frames = this.stacks.values[stackNumber] ?? [];
      cell = { stack: frames, attributes: this.attributeSets.values[setNumber] ?? [], objects: 0, bytes: 0 };
      this.cells.set(key, cell);
    }
    cell.objects += weight.objects;
    cell.bytes += weight.bytes;
  }

  /** Merged samples: each is one in both profiles. */
  get sampleCount(): number {
    return this.cells.size;
  }

  /**
   * One request of the samples with the most bytes, as many as it may hold; `encodeRequests` for all of them.
   * @returns an uncompressed `ExportProfilesServiceRequest`, valid also without samples.
   */
  encode(resource: OtlpResource, scopeVersion: string, times: OtlpProfileTimes): Uint8Array {
    const empty = (): Uint8Array => encodeProfilesRequest([], [], resource, scopeVersion, times);
    return this.encodeAtMost(1, resource, scopeVersion, times)[0] ?? empty();
  }

  /**
   * All samples, those with the most bytes first, in as many requests as they need.
   * @returns 0 to `MAX_REQUESTS` uncompressed requests, each complete in itself; none without samples.
   */
  encodeRequests(resource: OtlpResource, scopeVersion: string, times: OtlpProfileTimes): readonly Uint8Array[] {
    return this.encodeAtMost(MAX_REQUESTS, resource, scopeVersion, times);
  }

  private encodeAtMost(
    requestCount: number,
    resource: OtlpResource,
    scopeVersion: string,
    times: OtlpProfileTimes,
  ): Uint8Array[] {
    const cells = [...this.cells.values()].sort((a, b) => b.bytes - a.bytes);
    const requests: Uint8Array[] = [];
    this.droppedSampleCount = 0;
    let cellsPerRequest = MAX_SAMPLES_PER_REQUEST / PROFILES_PER_REQUEST;
    let next = 0;
    while (next < cells.length && requests.length < requestCount) {
      const part = cells.slice(next, next + cellsPerRequest);
      const request = encodeProfilesRequest(part, this.frames.values, resource, scopeVersion, times);
      if (request.byteLength <= MAX_REQUEST_BYTES) {
        requests.push(request);
        next += part.length;
      } else if (part.length > 1) {
        cellsPerRequest = Math.ceil(part.length / 2);
      } else {
        this.droppedSampleCount++; // Larger than a request on its own.
        next++;
      }
    }
    this.droppedSampleCount += cells.length - next;
    return requests;
  }

  private stackOf(stack: StackNode | null): number {
    if (stack === null) return this.numberOfStack([this.frameOf(UNKNOWN_FRAME)]);
    let number = this.stackNumbers.get(stack);
    if (number === undefined) {
      number = this.numberOfStack(this.framesOf(stack));
      this.stackNumbers.set(stack, number);
    }
    return number;
  }

  private framesOf(stack: StackNode): number[] {
    const frames: number[] = [];
    let node: StackNode | null = stack;
    while (node !== null && frames.length < MAX_STACK_FRAMES) {
      frames.push(this.frameOf(node.frame));
      node = node.parent;
    }
    if (node !== null) {
      frames[MAX_STACK_FRAMES - 1] = this.frameOf(TRUNCATED_FRAME);
      this.truncatedStackCount++;
    }
    return frames;
  }

  private numberOfStack(frames: readonly number[]): number {
    return this.stacks.numberOf(frames.join(","), () => frames);
  }

  private frameOf(given: Frame): number {
    let number = this.frameNumbers.get(given);
    if (number === undefined) {
      const frame: Frame = {
        function: boundedText(given.function, MAX_NAME_LENGTH),
        file: boundedText(given.file, MAX_NAME_LENGTH),
        line: position(given.line),
        column: position(given.column),
      };
      number = this.frames.numberOf(frameKey(frame), () => frame);
      this.frameNumbers.set(given, number);
    }
    return number;
  }

  private attributeSetOf(kind: OwnerKind, route: RouteParts, threadId: number, threadName: string): number {
    const key = `${kind}|${threadId}|${threadName.length}|${threadName}|${route.method ?? ""}|${route.template ?? ""}`;
    let number = this.attributeSetNumbers.get(key);
    if (number === undefined) {
      const attributes = attributesOf(kind, route, threadId, threadName);
      number = this.attributeSets.numberOf(JSON.stringify(attributes), () => attributes);
      this.attributeSetNumbers.set(key, number);
    }
    return number;
  }
}

/** A line or column: 0 stands for unknown. */
function position(value: number): number {
  return value > 0 && Number.isSafeInteger(value) ? value : 0;
}
