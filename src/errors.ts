/** Spoken by every room. Owns the codes that users match on; a code is never renamed. */

export const ERROR_CODES = {
  ERR_LEAK_AGENT_CONFIG: "a setting is unknown or out of range",
  ERR_LEAK_AGENT_ENGINE: "no sampling engine works on this platform",
  ERR_LEAK_AGENT_FOREIGN_SAMPLER: "another tool owns V8's one sampling heap profiler",
  ERR_LEAK_AGENT_LABELS: "the label self-test or a cross-check failed",
  ERR_LEAK_AGENT_CAPTURE: "a capture buffer could not be read",
  ERR_LEAK_AGENT_WORKER: "the agent's worker thread died",
  ERR_LEAK_AGENT_FOLDER: "the agent's folder cannot be written",
  ERR_LEAK_AGENT_HISTORY: "a history file could not be read",
  ERR_LEAK_AGENT_EXPORT: "the backend does not take what the agent sends",
  ERR_LEAK_AGENT_PROFILE: "a profile file could not be read",
  ERR_LEAK_AGENT_BUDGET: "a budget was exceeded again and again, and captures are off for a while",
  ERR_LEAK_AGENT_USAGE: "the command line is wrong",
  ERR_LEAK_AGENT_OUTPUT: "the output of the command line cannot be written",
  ERR_LEAK_AGENT_INTERNAL: "a feature of the agent failed and was switched off",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An error with a stable `code`. It never reaches the host program: the boundary that catches it counts and reports it. */
export class AgentError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AgentError";
    this.code = code;
  }
}
