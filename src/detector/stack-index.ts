/** Pure. Owns frames and stacks, and which functions of a stack may be named as the site of a leak. */
import type { Frame } from "../model/observation";

export class StackIndex {
  readonly frames: Frame[] = [];
  private readonly stacks: (readonly number[])[] = [];
  private readonly candidates: (readonly number[] | undefined)[] = [];
  private readonly leafFirst: (readonly number[] | undefined)[] = [];
  /** Stacks by function, in the order in which they were first seen. */
  private readonly through = new Map<number, number[]>();
  /** Of each stack, where the service's own code begins; and whether a function is its own. */
  private readonly ownStarts: (number | undefined)[] = [];
  private readonly own: (boolean | undefined)[] = [];
  /** Functions that have been seen to lead to the service's own code. */
  private readonly dispatchers = new Set<number>();

  /** @param isOwnCode asked once for each function of a file of the service. */
  constructor(private readonly isOwnCode: (frame: Frame) => boolean = () => true) {}

  addFrames(frames: readonly Frame[]): void {
    for (const frame of frames) this.frames.push(frame);
  }

  addStacks(stacks: readonly (readonly number[])[]): void {
    for (const stack of stacks) {
      const index = this.stacks.push(stack) - 1;
      for (const frame of new Set(stack)) {
        const known = this.through.get(frame);
        if (known === undefined) this.through.set(frame, [index]);
        else known.push(index);
      }
    }
  }

  /** Indexes of the stacks that a function is on, ascending: the order in which they were first seen. */
  stacksThrough(frame: number): readonly number[] {
    return this.through.get(frame) ?? [];
  }

  /** The nameable functions below `frame` in a stack, towards the leaf. */
  chainBelow(index: number, frame: number): readonly number[] {
    const stack = this.stack(index);
    return stack.slice(stack.lastIndexOf(frame) + 1).filter((below) => isNamable(this.frames[below]?.file ?? ""));
  }

  /** Frame indexes, root to leaf. */
  stack(index: number): readonly number[] {
    return this.stacks[index] ?? [];
  }

  leaf(index: number): number {
    const stack = this.stack(index);
    return stack[stack.length - 1] ?? -1;
  }

  /**
   * Functions that may be named, root to leaf, each once. Never builtin code; nothing above the first frame of the
   * service's own code, since a dispatcher that calls every handler holds everything and explains nothing. node: code
   * only where nothing else is on the stack: Node itself made what is kept, such as the text of a body.
   */
  candidatesOf(index: number): readonly number[] {
    const known = this.candidates[index];
    if (known !== undefined) return known;
    const stack = this.stack(index);
    const firstApplication = stack.findIndex((frame) => isApplicationFile(this.frames[frame]?.file ?? ""));
    const below = firstApplication < 0 ? stack : stack.slice(firstApplication);
    const named = [...new Set(below.filter((frame) => isNamable(this.frames[frame]?.file ?? "")))];
    const candidates = named.length > 0 ? named : this.nodeFramesOf(stack);
    this.candidates[index] = candidates;
    return candidates;
  }

  /**
   * Whether a function only leads to the service's own code, as a bundled framework does: it holds what every handler
   * keeps and explains nothing. Unbundled, `candidatesOf` leaves it out by its path.
   */
  leadsToOwnCode(index: number, frame: number): boolean {
    const start = this.ownStart(index);
    return start >= 0 && this.depthOf(index, frame) < start;
  }

  /** Whether the service's own code called a function, on this stack, or is that function. */
  isBelowOwnCode(index: number, frame: number): boolean {
    const start = this.ownStart(index);
    return start >= 0 && this.depthOf(index, frame) >= start;
  }

  private ownStart(index: number): number {
    this.ownStarts[index] ??= this.stack(index).findIndex((one) => this.isOwn(one));
    return this.ownStarts[index] ?? -1;
  }

  /** Whether a function has led to the service's own code on any stack: a framework's dispatcher, or middleware of a package. */
  isDispatcher(frame: number): boolean {
    if (this.dispatchers.has(frame)) return true;
    const leads = this.stacksThrough(frame).some((index) => this.leadsToOwnCode(index, frame));
    if (leads) this.dispatchers.add(frame);
    return leads;
  }

  isOwn(frame: number): boolean {
    if (this.own[frame] === undefined) this.askForFileOf(frame);
    return this.own[frame] ?? false;
  }

  /** All functions of the file that are known by now: its source map is read once for them, and let go. */
  private askForFileOf(frame: number): void {
    const file = this.frames[frame]?.file ?? "";
    const isApplication = isApplicationFile(file);
    for (const [index, other] of this.frames.entries()) {
      if (other.file === file) this.own[index] ??= isApplication && this.isOwnCode(other);
    }
  }

  isNamableFrame(frame: number): boolean {
    return isNamable(this.frames[frame]?.file ?? "");
  }

  /** What Node makes for a new connection is kept as long as that is open: no request's work, and no sign of a leak. */
  private nodeFramesOf(stack: readonly number[]): readonly number[] {
    const own = stack.filter((frame) => this.frames[frame]?.file.startsWith("node:") === true);
    return own.some((frame) => this.frames[frame]?.function === "onconnection") ? [] : [...new Set(own)];
  }

  /** The same, leaf first. */
  candidatesLeafFirst(index: number): readonly number[] {
    const known = this.leafFirst[index];
    if (known !== undefined) return known;
    const reversed = this.candidatesOf(index).toReversed();
    this.leafFirst[index] = reversed;
    return reversed;
  }

  /** The frame of the service's own code nearest to `site` (itself included), seen from there to the root, or null. */
  nearestApplication(index: number, site: number): Frame | null {
    return this.applicationFrames(index, site)[0] ?? null;
  }

  /** Frames of the service's own code from `site` (itself included; the leaf when it is not there) to the root. */
  applicationFrames(index: number, site: number): Frame[] {
    const stack = this.stack(index);
    const at = stack.lastIndexOf(site);
    const upToSite = at < 0 ? stack : stack.slice(0, at + 1);
    return upToSite
      .toReversed()
      .flatMap((frame) => this.frames[frame] ?? [])
      .filter((frame) => isApplicationFile(frame.file));
  }

  /** How deep a function lies in a stack (0 = root), its last occurrence; -1 when absent. */
  depthOf(index: number, frame: number): number {
    return this.stack(index).lastIndexOf(frame);
  }
}

/** A file of the service or of a package, not Node's own and not V8's builtins. */
export function isNamable(file: string): boolean {
  return file.startsWith("/") || /^[A-Za-z]:[\\/]/.test(file);
}

export function isApplicationFile(file: string): boolean {
  return isNamable(file) && packageFolder(file) === null;
}

/** `node_modules/<name>` or `node_modules/@scope/<name>` that holds the file, as a path; null for the service's own. */
export function packageFolder(file: string): string | null {
  const match = /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/.exec(file);
  return match?.[1] ?? null;
}
