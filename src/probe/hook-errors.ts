/**
 * Runs on the service's main thread and its worker threads. Owns what happens when our own code throws inside a hook:
 * count it, go on, and switch the feature off when it repeats. Must never rethrow.
 */
import type { ErrorCode } from "../errors";

/** A feature is switched off after this many exceptions of its own. */
const MAX_ERRORS = 3;

export type Notify = (level: "info" | "warn", code: ErrorCode, message: string) => void;

export class HookErrors {
  count = 0;
  constructor(private readonly notify: Notify) {}

  /**
   * @param feature words for the notice, such as "request labels".
   * @param switchOff undoes the feature; called once, after the third exception.
   */
  guard(feature: string, switchOff: () => void): (error: unknown) => void {
    let errors = 0;
    return (error) => {
      this.count++;
      errors++;
      if (errors !== MAX_ERRORS) return;
      try {
        switchOff();
      } catch {
        this.count++;
      }
      const reason = error instanceof Error ? error.message : String(error);
      this.notify(
        "warn",
        "ERR_LEAK_AGENT_INTERNAL",
        `${feature} failed ${MAX_ERRORS} times and was switched off: ${reason}`,
      );
    };
  }
}
