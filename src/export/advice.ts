/**
 * Runs on the agent's worker thread and in the CLI. Owns what to do about an answer of a backend, or about none: the
 * same words in the log and in `leak-agent doctor`. Pure.
 */
import { type OtlpEndpoint, type OtlpSignal, SIGNAL_PATHS } from "../config";

const PORTS = "OTLP has port 4318 for HTTP and 4317 for gRPC";

/** By the outcome's code; the first that matches. */
const FIXES: readonly (readonly [pattern: RegExp, fix: string])[] = [
  [/^ECONNREFUSED$/, `start the backend, or correct host and port (${PORTS})`],
  [/^(ENOTFOUND|EAI_AGAIN)$/, "correct the host name in the endpoint, or make it resolvable from here"],
  [
    /^(timeout|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/,
    "open the network path to it, or raise OTEL_EXPORTER_OTLP_TIMEOUT",
  ],
  [
    /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/,
    "name the authority's PEM file in OTEL_EXPORTER_OTLP_CERTIFICATE; the endpoint's host must stand in the certificate",
  ],
  [/^TLS file$/, "correct the path, or let this user read the file"],
  [/^HTTP 401$|UNAUTHENTICATED/, "set the credentials in OTEL_EXPORTER_OTLP_HEADERS (name=value, percent-encoded)"],
  [
    /^HTTP 403$|PERMISSION_DENIED/,
    "check the credentials in OTEL_EXPORTER_OTLP_HEADERS and what they are allowed to write",
  ],
  [
    /^(HTTP 407|ERR_PROXY_TUNNEL)$/,
    "the proxy does not let it through: check its URL and credentials in HTTPS_PROXY, or name the host in NO_PROXY",
  ],
  [/^HTTP 413$/, "raise the backend's limit for a body"],
  [/^HTTP 415$/, "it takes no binary protobuf there: this is not an OTLP/HTTP endpoint"],
  [/^HTTP 3\d\d$/, "redirects are not followed: write the final address into the endpoint"],
  [/^HTTP 429$/, "it limits rate or size: raise its limit; the agent tries again by itself"],
  [
    /RESOURCE_EXHAUSTED/,
    "it limits rate or size: raise its limit; the agent tries again only where the answer has a RetryInfo",
  ],
  // What is tried again is the OTLP specification's choice (retry.ts).
  [/^HTTP 50[234]$|UNAVAILABLE|DEADLINE/, "it is overloaded or starting; the agent tries again by itself"],
  [
    /^HTTP 5\d\d$/,
    "the backend has an error of its own: look into its log; OTLP forbids to send this again, so it is dropped and counted",
  ],
];

/** The other protocol, or TLS on one side only. */
const WRONG_PROTOCOL = /^(closed|EPROTO|ECONNRESET|EPIPE|HPE_.*|ERR_SSL.*|ERR_HTTP2.*)$|SSL|HTTP2/;

const NOT_TAKEN: Readonly<Record<OtlpSignal, string>> = {
  profiles:
    "give the Collector --feature-gates=service.profilesSupport and a profiles pipeline, or set OTEL_PROFILES_EXPORTER=none",
  metrics: "give the Collector a metrics pipeline, or set OTEL_METRICS_EXPORTER=none",
  logs: "give the Collector a logs pipeline, or set OTEL_LOGS_EXPORTER=none",
};

/** @param code of an `ExportOutcome`. @returns what to do, or null when only the backend's own log may tell. */
export function adviceFor(
  signal: OtlpSignal,
  code: string,
  endpoint: Pick<OtlpEndpoint, "protocol" | "url">,
): string | null {
  if (/^HTTP 40[45]$/.test(code)) return notFound(signal, new URL(endpoint.url).pathname);
  if (/UNIMPLEMENTED|NOT_FOUND/.test(code)) return NOT_TAKEN[signal];
  if (code.startsWith("ERR_OSSL_"))
    return "give OTEL_EXPORTER_OTLP_CLIENT_KEY and its certificate files in PEM, and matching";
  if (WRONG_PROTOCOL.test(code)) {
    const [here, other] = endpoint.protocol === "grpc" ? ["4317", "http/protobuf"] : ["4318", "grpc"];
    return `check https against http in the endpoint, and that its port is ${here}; or set OTEL_EXPORTER_OTLP_PROTOCOL=${other}`;
  }
  return FIXES.find(([pattern]) => pattern.test(code))?.[1] ?? null;
}

/** A path that is not OTLP's is more likely wrong than the backend; but some, such as Prometheus, have one of their own. */
function notFound(signal: OtlpSignal, path: string): string {
  const standard = `/${SIGNAL_PATHS[signal]}`;
  if (path === standard) return NOT_TAKEN[signal];
  const check = path.endsWith(standard)
    ? `check the path ${path}: ${standard} is appended to OTEL_EXPORTER_OTLP_ENDPOINT, so it must not stand in there`
    : `check the path ${path}: OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT is used as it is, and OTLP's path is ${standard}`;
  return `${check}; if the path is right, ${NOT_TAKEN[signal]}`;
}

/** For a partial success, which has no code. */
export function adviceForPartial(signal: OtlpSignal): string {
  return NOT_TAKEN[signal];
}
