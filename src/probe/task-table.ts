/**
 * Runs on the service's main thread and its worker threads. Owns the shared memory in which threads tell each other which
 * request a message belongs to. Numbers only, of fixed size; must never see the message itself.
 */

/** Messages on their way; when a queue holds more, the owner of the oldest is lost (its work is `(background)`). */
const MESSAGE_SLOTS = 4_096;
const MESSAGE_WORDS = 8;
/** Tasks whose route may still be asked for: 8 s at 1,000 queued tasks a second, which take two each. */
const TASK_SLOTS = 16_384;
const TASK_WORDS = 2;
const HEADER_WORDS = 4;
const END_COUNTER = 0;
const TASK_COUNTER = 1;
const TASKS_OFFSET = HEADER_WORDS;
const MESSAGES_OFFSET = TASKS_OFFSET + TASK_SLOTS * TASK_WORDS;
/** Ports that one message may carry and still have them followed. */
export const MAX_PORTS = 3;

/** States of a task that are no route. */
export const TASK_RUNNING = 0;
/** Sent outside of any request: whoever takes the answer may turn out to be its owner. */
export const TASK_ANONYMOUS = -1;
export const TASK_BACKGROUND = -2;
export const TASK_FORGOTTEN = -3;
/** Below this a task belongs to the request behind another task, whose number is the difference. */
const FIRST_GIVEN = -4;

/** What is known of one message, in the order it was sent. `ports` are the ends of channels that it carries. */
export interface MessageNote {
  readonly task: number;
  /** The thread whose request it is. */
  readonly originThread: number;
  readonly ports: readonly number[];
}

/** One end of a channel is even, the other odd. */
export function otherEnd(end: number): number {
  return end ^ 1;
}

export class TaskTable {
  readonly #words: Int32Array;
  readonly #copy = new Int32Array(MESSAGE_WORDS);

  /** @param memory from `allocate`, in another thread or this one. */
  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
  }

  /** 256 KiB of zeros, which the system does not back with memory before they are used. */
  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * (MESSAGES_OFFSET + MESSAGE_SLOTS * MESSAGE_WORDS));
  }

  /** The even one of two new ends of a channel; both are positive and unique in the process (it wraps after 2^28). */
  newChannel(): number {
    return 2 + ((Atomics.add(this.#words, END_COUNTER, 2) & 0x1fff_ffff) >>> 0);
  }

  /** The parent's end of what a `Worker` and its `parentPort` share; the thread's own end is odd. */
  static parentEnd(thread: number): number {
    return 0x4000_0000 | ((thread & 0x0fff_ffff) << 1);
  }

  /** @param isAnonymous no request is known to own it (yet). */
  newTask(isAnonymous: boolean): number {
    const task = (Atomics.add(this.#words, TASK_COUNTER, 1) & 0x3fff_ffff) + 1;
    this.#setTask(task, isAnonymous ? TASK_ANONYMOUS : TASK_RUNNING);
    return task;
  }

  /** @param state a positive route (src/model/messages.ts `foreignRoute`) or TASK_BACKGROUND. */
  finish(task: number, state: number): void {
    if (Atomics.load(this.#words, this.#taskAt(task)) === task) this.#setTask(task, state);
  }

  /** An anonymous task turns out to be part of what a request, known by the task `owner`, has had done. */
  give(task: number, owner: number): void {
    this.finish(task, FIRST_GIVEN - owner);
  }

  /** The route that owns a task, or one of the states above. */
  stateOf(task: number): number {
    const state = this.#ownStateOf(task);
    return state > FIRST_GIVEN ? state : this.#ownStateOf(FIRST_GIVEN - state);
  }

  #ownStateOf(task: number): number {
    const at = this.#taskAt(task);
    if (Atomics.load(this.#words, at) !== task) return TASK_FORGOTTEN;
    const state = Atomics.load(this.#words, at + 1);
    return Atomics.load(this.#words, at) === task ? state : TASK_FORGOTTEN;
  }

  /** To be called before the message is sent: the other thread may have it before the call returns. */
  note(end: number, sequence: number, note: MessageNote): void {
    const at = messageAt(end, sequence);
    const words = this.#words;
    // Plain stores, of which readers may see any part: whatever they see, the last word must fit to all others.
    words[at] = end;
    words[at + 1] = sequence;
    words[at + 2] = note.task;
    words[at + 3] = note.originThread;
    for (let i = 0; i < MAX_PORTS; i++) words[at + 4 + i] = note.ports[i] ?? 0;
    Atomics.store(words, at + 7, checkOf(words, at));
  }

  /** @returns null when nobody owns the message, or its note was overwritten. */
  read(end: number, sequence: number): MessageNote | null {
    const at = messageAt(end, sequence);
    const words = this.#words;
    const check = Atomics.load(words, at + 7);
    // A copy first: the slot may be given away while it is read.
    for (let i = 0; i < MESSAGE_WORDS; i++) this.#copy[i] = words[at + i] ?? 0;
    const copy = this.#copy;
    if (copy[0] !== end || copy[1] !== sequence || check !== checkOf(copy, 0)) return null;
    return { task: copy[2] ?? 0, originThread: copy[3] ?? 0, ports: portsOf(copy) };
  }

  #taskAt(task: number): number {
    return TASKS_OFFSET + (task % TASK_SLOTS) * TASK_WORDS;
  }

  #setTask(task: number, state: number): void {
    const at = this.#taskAt(task);
    Atomics.store(this.#words, at, 0);
    Atomics.store(this.#words, at + 1, state);
    Atomics.store(this.#words, at, task);
  }
}

function messageAt(end: number, sequence: number): number {
  // The product's high bits depend on all bits of the end; messages of one end lie side by side.
  const slot = (Math.imul(end, 0x9e37_79b1) >>> 20) + sequence;
  return MESSAGES_OFFSET + (slot % MESSAGE_SLOTS) * MESSAGE_WORDS;
}

/** Never 0: two threads that write one slot at the same time leave words that do not fit together. */
function checkOf(words: Int32Array, at: number): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < 7; i++) hash = Math.imul(hash ^ (words[at + i] ?? 0), 0x0100_0193);
  return hash | 1;
}

const NO_PORTS: readonly number[] = [];

function portsOf(words: Int32Array): readonly number[] {
  const ports: number[] = [];
  for (let i = 4; i < 4 + MAX_PORTS; i++) if (words[i] !== 0) ports.push(words[i] ?? 0);
  return ports.length === 0 ? NO_PORTS : ports;
}
