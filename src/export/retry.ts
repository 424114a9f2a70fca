/**
 * Runs on the agent's worker thread and in the CLI. Owns the OTLP specification's rules: which answers are success, which
 * are tried again and when (opentelemetry.io/docs/specs/otlp). Pure: clock and chance come in.
 */
import { bytesField, readFields } from "./protobuf-reader";

export type ExportOutcome =
  /** Taken. `warning` is what the backend said beside, or empty. */
  | { readonly kind: "exported"; readonly warning: string }
  /** Taken but for `rejectedCount` profiles, data points or log records. Never sent again. */
  | { readonly kind: "partial"; readonly rejectedCount: number; readonly reason: string }
  | RetryableOutcome
  /** Not taken, never will be. */
  | { readonly kind: "rejected"; readonly code: string; readonly reason: string };

/** Not taken, may be later. `retryAfterMillis` is what the backend asked for, or null. */
export interface RetryableOutcome {
  readonly kind: "retryable";
  readonly code: string;
  readonly reason: string;
  readonly retryAfterMillis: number | null;
}

const RETRYABLE_HTTP_STATUSES = new Set([429, 502, 503, 504]);

/** Names by number (grpc.github.io/grpc/core/md_doc_statuscodes.html). */
const GRPC_STATUSES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];
const RETRYABLE_GRPC_STATUSES = new Set([
  "CANCELLED",
  "DEADLINE_EXCEEDED",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

/** What an HTTP status means where a gRPC status is missing (grpc/doc/http-grpc-status-mapping.md). */
const GRPC_STATUS_OF_HTTP: Readonly<Record<number, string>> = {
  400: "INTERNAL",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "UNIMPLEMENTED",
  429: "UNAVAILABLE",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "UNAVAILABLE",
};

/** Field numbers of `Export<Signal>ServiceResponse` and `Export<Signal>PartialSuccess`, the same for every signal. */
const RESPONSE_PARTIAL_SUCCESS = 1;
const PARTIAL_REJECTED = 1;
const PARTIAL_ERROR_MESSAGE = 2;
/** Field numbers of google.rpc.Status, google.protobuf.Any, google.rpc.RetryInfo and google.protobuf.Duration. */
const STATUS_MESSAGE = 2;
const STATUS_DETAILS = 3;
const ANY_TYPE_URL = 1;
const ANY_VALUE = 2;
const RETRY_INFO_DELAY = 1;
const DURATION_SECONDS = 1;
const DURATION_NANOS = 2;
const RETRY_INFO_TYPE = "type.googleapis.com/google.rpc.RetryInfo";

/** A backend that names a later time is asked after this one all the same. */
const LONGEST_RETRY_AFTER_MILLIS = 3_600_000;
const FIRST_BACKOFF_MILLIS = 1_000;
const LONGEST_BACKOFF_MILLIS = 60_000;

/**
 * @param retryAfter the header's text.
 * @param body of the answer; may be cut or anything else.
 */
export function httpOutcome(
  status: number,
  retryAfter: string | undefined,
  body: Uint8Array,
  nowMillis: number,
): ExportOutcome {
  if (status >= 200 && status < 300) return successOutcome(body);
  const code = `HTTP ${status}`;
  const reason = describe(code, statusMessage(body));
  if (!RETRYABLE_HTTP_STATUSES.has(status)) return { kind: "rejected", code, reason };
  return { kind: "retryable", code, reason, retryAfterMillis: parseRetryAfter(retryAfter, nowMillis) };
}

/**
 * @param status the number in `grpc-status`, or null when there is none.
 * @param details `grpc-status-details-bin` decoded: a google.rpc.Status.
 */
export function grpcOutcome(
  httpStatus: number,
  status: number | null,
  message: string,
  details: Uint8Array,
  body: Uint8Array,
): ExportOutcome {
  if (status === 0) return successOutcome(body);
  const code = status === null ? grpcStatusOfHttp(httpStatus) : (GRPC_STATUSES[status] ?? "UNKNOWN");
  const said = status === null && httpStatus !== 200 ? `HTTP ${httpStatus}` : message;
  const reason = describe(`gRPC ${code}`, status === null && said === "" ? "the answer has no grpc-status" : said);
  const retryAfterMillis = retryDelayMillis(details);
  const isRetryable = code === "RESOURCE_EXHAUSTED" ? retryAfterMillis !== null : RETRYABLE_GRPC_STATUSES.has(code);
  if (!isRetryable) return { kind: "rejected", code: `gRPC ${code}`, reason };
  return { kind: "retryable", code: `gRPC ${code}`, reason, retryAfterMillis };
}

/** The backend could not be reached, or the connection broke before it had answered. */
export function unreachable(code: string, reason: string): RetryableOutcome {
  return { kind: "retryable", code, reason, retryAfterMillis: null };
}

/** @returns how long to wait, from seconds or an HTTP date (RFC 9110, 10.2.3); null when it is neither. */
export function parseRetryAfter(text: string | undefined, nowMillis: number): number | null {
  if (text === undefined) return null;
  const trimmed = text.trim();
  if (/^\d+$/.test(trimmed)) return bounded(Number(trimmed) * 1_000);
  // Date.parse takes almost anything; a date of HTTP begins with its day.
  const date = /^[A-Z][a-z]{2,8},? /.test(trimmed) ? Date.parse(trimmed) : Number.NaN;
  return Number.isNaN(date) ? null : bounded(date - nowMillis);
}

/**
 * Exponential backoff with jitter: 1, 2, 4, ... up to 60 s, each between half of it and all of it, so that the processes
 * of a service do not come back together.
 */
export class Backoff {
  private failureCount = 0;

  /** @param random uniform in [0, 1). */
  constructor(private readonly random: () => number = Math.random) {}

  /** @returns how long to wait after one more failure; never less than what the backend asked for. */
  next(retryAfterMillis: number | null): number {
    const full = Math.min(LONGEST_BACKOFF_MILLIS, FIRST_BACKOFF_MILLIS * 2 ** Math.min(this.failureCount, 30));
    this.failureCount++;
    return Math.max(retryAfterMillis ?? 0, full * (0.5 + this.random() / 2));
  }

  reset(): void {
    this.failureCount = 0;
  }
}

/** The status says that it was taken, so whatever else is in the body does not matter. */
function successOutcome(body: Uint8Array): ExportOutcome {
  const fields = readFields(body);
  if (fields === null) return { kind: "exported", warning: "the answer was no protobuf message" };
  const partial = bytesField(body, RESPONSE_PARTIAL_SUCCESS);
  const inside = partial === null ? [] : (readFields(partial) ?? []);
  const rejected = BigInt.asIntN(64, inside.findLast((field) => field.number === PARTIAL_REJECTED)?.varint ?? 0n);
  const message = textOf(inside.findLast((field) => field.number === PARTIAL_ERROR_MESSAGE)?.bytes);
  // An empty partial_success, and one of 0, is a full success; a message beside it is a warning.
  if (rejected <= 0n) return { kind: "exported", warning: message };
  return { kind: "partial", rejectedCount: Number(rejected), reason: message };
}

/** An error's body should be a google.rpc.Status; proxies answer in HTML or plain text. */
function statusMessage(body: Uint8Array): string {
  const message = bytesField(body, STATUS_MESSAGE);
  return textOf(message ?? body);
}

function textOf(bytes: Uint8Array | undefined): string {
  const text = Buffer.from(bytes ?? []).toString("utf8");
  return text.includes("\ufffd") || text.includes("\0") ? "" : text;
}

function describe(code: string, said: string): string {
  return said.trim() === "" ? code : `${code}: ${said.trim()}`;
}

function grpcStatusOfHttp(httpStatus: number): string {
  return GRPC_STATUS_OF_HTTP[httpStatus] ?? "UNKNOWN";
}

function retryDelayMillis(status: Uint8Array): number | null {
  for (const detail of readFields(status) ?? []) {
    if (
      detail.number !== STATUS_DETAILS ||
      textOf(bytesField(detail.bytes, ANY_TYPE_URL) ?? undefined) !== RETRY_INFO_TYPE
    )
      continue;
    const delay = bytesField(bytesField(detail.bytes, ANY_VALUE) ?? new Uint8Array(0), RETRY_INFO_DELAY);
    const parts = readFields(delay ?? new Uint8Array(0)) ?? [];
    const part = (number: number): number =>
      Number(BigInt.asIntN(64, parts.findLast((field) => field.number === number)?.varint ?? 0n));
    return bounded(part(DURATION_SECONDS) * 1_000 + part(DURATION_NANOS) / 1e6);
  }
  return null;
}

function bounded(millis: number): number {
  return Math.min(LONGEST_RETRY_AFTER_MILLIS, Math.max(0, millis));
}
