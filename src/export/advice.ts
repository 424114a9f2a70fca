/**
 * Runs on the agent's worker thread and in the CLI. Owns what to do about an answer of a backend, or about none: the
 * same words in the log and in `leak-agent doctor`. Pure.
 */
import type { OtlpEndpoint, OtlpSignal } from "../config";

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
  [/^HTTP 429$|RESOURCE_EXHAUSTED/, "it limits rate or size: raise its limit; the agent tries again by itself"],
  [/^HTTP 50\d$|UNAVAILABLE|DEADLINE/, "it is overloaded or starting; the agent tries again by itself"],
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
export function adviceFor(signal: OtlpSignal, code: string, endpoint: Pick<OtlpEndpoint, "protocol">): string | null {
  if (/^HTTP 40[45]$|UNIMPLEMENTED|NOT_FOUND/.test(code)) return NOT_TAKEN[signal];
  if (code.startsWith("ERR_OSSL_"))
    return "give OTEL_EXPORTER_OTLP_CLIENT_KEY and its certificate files in PEM, and matching";
  if (WRONG_PROTOCOL.test(code)) {
    const [here, other] = endpoint.protocol === "grpc" ? ["4317", "http/protobuf"] : ["4318", "grpc"];
    return `check https against http in the endpoint, and that its port is ${here}; or set OTEL_EXPORTER_OTLP_PROTOCOL=${other}`;
  }
  return FIXES.find(([pattern]) => pattern.test(code))?.[1] ?? null;
}

/** For a partial success, which has no code. */
export function adviceForPartial(signal: OtlpSignal): string {
  return NOT_TAKEN[signal];
}
