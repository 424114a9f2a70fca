/**
 * Runs in the CLI process. Owns the check of each signal's endpoint: sends one tiny valid request through the agent's own
 * sender and says what the backend answered. Must not print a secret.
 */
import { gzipSync } from "node:zlib";
import { exportedSignals, type OtlpEndpoint, type OtlpSignal, type Settings } from "../config";
import { describeEndpoint } from "../export/otlp-endpoint";
import { createSender } from "../export/otlp-sender";
import { testRequest } from "../export/otlp-test-requests";
import type { ExportOutcome } from "../export/retry";
import { type Check, ok, problem, warning } from "./doctor-check";

/** What to do, by the outcome's code; the first that matches. */
const FIXES: readonly (readonly [pattern: RegExp, fix: string])[] = [
  [/^ECONNREFUSED$/, "start the backend, or correct host and port (OTLP: 4318 for HTTP, 4317 for gRPC)"],
  [/^(ENOTFOUND|EAI_AGAIN)$/, "correct the host name, or make it resolvable from here"],
  [
    /^(timeout|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/,
    "open the network path to it, or raise OTEL_EXPORTER_OTLP_TIMEOUT",
  ],
  [
    /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/,
    "name the authority's PEM file in OTEL_EXPORTER_OTLP_CERTIFICATE; the name must match",
  ],
  [
    /^(EPROTO|ERR_SSL|ECONNRESET)|SSL|HTTP2/,
    "check https against http, and the protocol against the port (4317 gRPC, 4318 HTTP)",
  ],
  [/^TLS file$/, "correct the path, or let this user read the file"],
  [/^HTTP 40[13]$|UNAUTHENTICATED|PERMISSION_DENIED/, "set the credentials in OTEL_EXPORTER_OTLP_HEADERS (name=value)"],
  [/^HTTP 415$/, "it takes no binary protobuf there: this is not an OTLP/HTTP endpoint"],
  [/^HTTP 429$|RESOURCE_EXHAUSTED/, "it limits the rate; the agent will retry, or raise its limit"],
  [/^HTTP 50\d$|UNAVAILABLE|DEADLINE/, "it is overloaded or starting; the agent will retry"],
];

const NOT_TAKEN: Readonly<Record<OtlpSignal, string>> = {
  profiles:
    "give the Collector --feature-gates=service.profilesSupport and a profiles pipeline, or set OTEL_PROFILES_EXPORTER=none",
  metrics: "give the Collector a metrics pipeline, or set OTEL_METRICS_EXPORTER=none",
  logs: "give the Collector a logs pipeline, or set OTEL_LOGS_EXPORTER=none",
};

export async function checkExport(settings: Settings, version: string, nowMillis: number): Promise<Check[]> {
  const signals = exportedSignals(settings.otlp);
  if (signals.length === 0) {
    return [
      ok("export", "no endpoint is set: everything goes to the folder (OTEL_EXPORTER_OTLP_ENDPOINT would send it)"),
    ];
  }
  return Promise.all(
    signals.map(async ([signal, endpoint]) =>
      exportCheck(signal, endpoint, await send(signal, endpoint, settings, version, nowMillis)),
    ),
  );
}

async function send(
  signal: OtlpSignal,
  endpoint: OtlpEndpoint,
  settings: Settings,
  version: string,
  nowMillis: number,
): Promise<ExportOutcome> {
  const resource = { ...settings.resourceAttributes, "service.name": settings.serviceName };
  const sender = await createSender(endpoint, signal, version);
  try {
    return await sender.send(gzipSync(testRequest(signal, resource, version, nowMillis)));
  } finally {
    sender.close();
  }
}

/** Pure, for tests. */
export function exportCheck(signal: OtlpSignal, endpoint: OtlpEndpoint, outcome: ExportOutcome): Check {
  const where = describeEndpoint(endpoint);
  switch (outcome.kind) {
    case "exported":
      return outcome.warning === ""
        ? ok(signal, `${where} took a test request`)
        : warning(signal, `${where} took a test request and said: ${outcome.warning}`, "look at what it says");
    case "partial":
      return problem(signal, `${where} left out what was sent: ${outcome.reason}`, NOT_TAKEN[signal]);
    case "retryable":
      return problem(signal, `${where} does not take it now: ${outcome.reason}`, fixOf(signal, outcome.code));
    case "rejected":
      return problem(signal, `${where} refuses it: ${outcome.reason}`, fixOf(signal, outcome.code));
  }
}

function fixOf(signal: OtlpSignal, code: string): string {
  if (/^HTTP 40[45]$|UNIMPLEMENTED|NOT_FOUND/.test(code)) return NOT_TAKEN[signal];
  return FIXES.find(([pattern]) => pattern.test(code))?.[1] ?? "look into the backend's own log";
}
