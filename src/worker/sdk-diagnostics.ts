/**
 * Runs on the agent's worker thread. Owns what the SDK says about itself: what is worth a line, and how many items a
 * backend left out, which the SDK's exporters tell nobody else. Must not repeat details, which may hold a request.
 */
import type { DiagLogger } from "./sdk-modules";

const PARTIAL_SUCCESS = "Received Partial Success response";
const MAX_LINE_LENGTH = 200;

export interface SdkListener {
  /** Data points or log records that were not taken; never sent again. @param reason as the backend says it. */
  rejected(kind: "data_points" | "log_records", count: number, reason: string): void;
  /** One line, each kind of it as often as it comes. */
  said(line: string): void;
}

export function diagLogger(listener: SdkListener): DiagLogger {
  const tell = (message: unknown, ...details: unknown[]): void => {
    const line = firstLine(String(message));
    if (line.startsWith(PARTIAL_SUCCESS)) tellPartialSuccess(details[0], listener);
    // Failed exports are told by the exporters' own wrapper, in fewer words.
    else if (!/export (failed|timed out)|^\{/.test(line)) listener.said(line);
  };
  const ignore = (): void => {};
  return { error: tell, warn: tell, info: ignore, debug: ignore, verbose: ignore };
}

/** An empty one is the full success of a Collector. */
function tellPartialSuccess(detail: unknown, listener: SdkListener): void {
  const answer = parse(detail);
  const reason = firstLine(String(answer["errorMessage"] ?? ""));
  const points = Number(answer["rejectedDataPoints"] ?? 0);
  const records = Number(answer["rejectedLogRecords"] ?? 0);
  if (points > 0) listener.rejected("data_points", points, reason);
  if (records > 0) listener.rejected("log_records", records, reason);
  if (points <= 0 && records <= 0 && reason !== "") listener.said(reason);
}

function parse(detail: unknown): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(String(detail));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {}; // Not of the form that 0.223 and 0.301 give it: there is nothing to count.
  }
}

function firstLine(text: string): string {
  return (text.split("\n", 1)[0] ?? "").slice(0, MAX_LINE_LENGTH);
}
