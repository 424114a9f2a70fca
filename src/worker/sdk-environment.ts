/**
 * Runs on the agent's worker thread. Owns what the SDK's exporters read from this thread's own copy of the environment:
 * exactly the endpoints the agent has resolved, so that every signal follows the same rules. The values are secrets.
 */
import type { OtlpEndpoint, OtlpSettings } from "../config";

/** Folded into the signals' own variables, or not wanted: the SDK would print to the service's stdout. */
const REMOVED = [
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_HEADERS",
  "OTEL_EXPORTER_OTLP_CERTIFICATE",
  "OTEL_EXPORTER_OTLP_CLIENT_KEY",
  "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
  "OTEL_LOG_LEVEL",
  "OTEL_SDK_DISABLED",
];

/** Variable -> value, or null: to be removed. */
export function sdkEnvironment(settings: OtlpSettings): Readonly<Record<string, string | null>> {
  return {
    ...Object.fromEntries(REMOVED.map((name) => [name, null])),
    ...endpointVariables("METRICS", settings.metrics),
    ...endpointVariables("LOGS", settings.logs),
  };
}

function endpointVariables(signal: string, endpoint: OtlpEndpoint | null): Record<string, string | null> {
  if (endpoint === null) return {};
  const headers = Object.entries(endpoint.headers);
  const values: Record<string, string | null> = {
    ENDPOINT: endpoint.url,
    HEADERS:
      headers.length === 0
        ? null
        : headers.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join(","),
    TIMEOUT: String(endpoint.timeoutMillis),
    COMPRESSION: endpoint.compression,
    CERTIFICATE: endpoint.certificateFile,
    CLIENT_KEY: endpoint.clientKeyFile,
    CLIENT_CERTIFICATE: endpoint.clientCertificateFile,
  };
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`OTEL_EXPORTER_OTLP_${signal}_${name}`, value]),
  );
}

/** Only on the worker's thread, whose `process.env` is a copy: the service's must not change. */
export function applyEnvironment(variables: Readonly<Record<string, string | null>>, env: NodeJS.ProcessEnv): void {
  for (const [name, value] of Object.entries(variables)) {
    if (value === null) delete env[name];
    else env[name] = value;
  }
}
