/**
 * Runs on the service's worker threads. Owns how long the thread slept inside `Atomics.wait`, which V8's event loop counts
 * as work: a pool's thread that waits for its next task that way would look busy for ever.
 */
import { monotonicMillis } from "./late-modules";

let blockedMillis = 0;
let isFollowed = false;

/** Total since the thread began; 0 where it is not followed. */
export function atomicsWaitMillis(): number {
  return blockedMillis;
}

/**
 * Stays for good. Not for the main thread, whose waits stop everything and are work indeed.
 * @param beforeSleep called with the monotonic time before each wait.
 */
export function followAtomicsWait(beforeSleep: (nowMillis: number) => void): void {
  if (isFollowed) return;
  isFollowed = true;
  const original = Atomics.wait as (...args: unknown[]) => unknown;
  const wait = function wait(this: unknown, ...args: unknown[]): unknown {
    beforeSleep(monotonicMillis());
    const started = monotonicMillis();
    try {
      return Reflect.apply(original, this, args);
    } finally {
      blockedMillis += monotonicMillis() - started;
    }
  };
  Object.defineProperty(wait, "length", { configurable: true, value: original.length });
  Object.defineProperty(Atomics, "wait", { configurable: true, writable: true, enumerable: false, value: wait });
}
