/**
 * Runs on any thread, before anything else of the agent is loaded. Owns how LEAK_AGENT_ENABLED is read; beside config.ts
 * the only reader of process.env. Must import nothing: a process that has the agent switched off pays for this file only.
 */

/** True for `0` and `false`, in any case; anything else leaves the agent on. */
export function isSwitchedOff(env: NodeJS.ProcessEnv = process.env): boolean {
  const value = env["LEAK_AGENT_ENABLED"]?.trim().toLowerCase();
  return value === "0" || value === "false";
}
