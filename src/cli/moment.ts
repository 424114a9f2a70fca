/**
 * Runs in the CLI process. Owns the reading of points in time on the command line: `now`, `-1h`, ISO 8601.
 */
import { parseDuration } from "../config";
import { AgentError } from "../errors";

/**
 * @param text `now`, a duration before now (`-30s`, `-10m`, `-1h`, `-5d`), or an ISO 8601 time; without a zone it is UTC.
 * @param option the option it was given to, for the message.
 * @throws AgentError `ERR_LEAK_AGENT_USAGE` when it is none of these.
 */
export function parseMoment(text: string, option: string, nowMillis: number): number {
  if (text === "now") return nowMillis;
  const back = text.startsWith("-") ? parseDuration(text.slice(1)) : null;
  if (back !== null) return nowMillis - back;
  const absolute = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(withZone(text)) : Number.NaN;
  if (!Number.isNaN(absolute)) return absolute;
  throw new AgentError(
    "ERR_LEAK_AGENT_USAGE",
    `${option} ${text} is not a time: write now, -1h (s, m, h or d before now) or 2026-11-25T10:00:00Z`,
  );
}

function withZone(text: string): string {
  const iso = text.replace(" ", "T");
  return /T.*(Z|[+-]\d{2}:?\d{2})$/i.test(iso) || !iso.includes("T") ? iso : `${iso}Z`;
}
