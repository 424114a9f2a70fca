/** Runs in the CLI process. Owns what every check of `leak-agent doctor` answers: a state, a sentence, and the way out. */

export type CheckState =
  /** Works. */
  | "ok"
  /** Works, but not as one may think. */
  | "warning"
  /** Does not work. */
  | "problem";

export interface Check {
  /** What was looked at, such as `engine` or `metrics`. */
  readonly check: string;
  readonly state: CheckState;
  readonly message: string;
  /** What to do about it; null when nothing is to be done. */
  readonly fix: string | null;
}

export function ok(check: string, message: string): Check {
  return { check, state: "ok", message, fix: null };
}

export function warning(check: string, message: string, fix: string): Check {
  return { check, state: "warning", message, fix };
}

export function problem(check: string, message: string, fix: string): Check {
  return { check, state: "problem", message, fix };
}
