/**
 * Runs on the agent's worker thread and in the CLI. Owns what the two transports share: one body out, one outcome back.
 */
import type { OtlpEndpoint } from "../config";
import { gunzip } from "./compress";
import { withoutSecrets } from "./otlp-endpoint";
import { type ExportOutcome, unreachable } from "./retry";

/** Longest part of an answer that is read; a success says at most a few lines. */
export const MAX_ANSWER_BYTES: number = 64 * 1024;
/** Far above what any backend takes. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;

export interface OtlpSender {
  /**
   * One attempt. Never rejects; ends within the endpoint's timeout.
   * @param gzippedBody an `Export<Signal>ServiceRequest`, gzipped.
   */
  send(gzippedBody: Uint8Array): Promise<ExportOutcome>;
  close(): void;
}

/** What goes over the wire, by the endpoint's compression. */
export function wireBody(gzippedBody: Uint8Array, endpoint: OtlpEndpoint): Uint8Array {
  return endpoint.compression === "gzip" ? gzippedBody : gunzip(gzippedBody, MAX_BODY_BYTES);
}

/** OTLP Exporter specification, User Agent: name and version of the exporter. */
export function userAgent(version: string): string {
  return `leak-agent-OTLP-Exporter-JavaScript/${version}`;
}

/** For an error of the network or of TLS: these are tried again. */
export function failure(error: unknown, endpoint: OtlpEndpoint): ExportOutcome {
  const { code, message } = error as NodeJS.ErrnoException;
  const text = withoutSecrets(message === undefined || message === "" ? String(code ?? error) : message, endpoint);
  return unreachable(code ?? "connection", text);
}

/** The backend's words come from outside: nothing secret may be in them when they are told. */
export function cleaned(outcome: ExportOutcome, endpoint: OtlpEndpoint): ExportOutcome {
  if (outcome.kind === "exported") return { ...outcome, warning: withoutSecrets(outcome.warning, endpoint) };
  return { ...outcome, reason: withoutSecrets(outcome.reason, endpoint) };
}

export function timedOut(endpoint: OtlpEndpoint): ExportOutcome {
  return unreachable("timeout", `no answer within ${endpoint.timeoutMillis} ms`);
}
