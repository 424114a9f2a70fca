/**
 * Runs in the CLI process. Owns the check of each signal's endpoint: sends one tiny valid request through the agent's own
 * sender and says what the backend answered. Must not print a secret.
 */
import { gzipSync } from "node:zlib";
import { exportedSignals, type OtlpEndpoint, type OtlpSignal, type Settings } from "../config";
import { adviceFor, adviceForPartial } from "../export/advice";
import { describeEndpoint } from "../export/otlp-endpoint";
import { createSender } from "../export/otlp-sender";
import { testRequest } from "../export/otlp-test-requests";
import type { ExportOutcome } from "../export/retry";
import { type Check, ok, problem, warning } from "./doctor-check";

/** Any length does: a sender ends by itself, within its endpoint's timeout. */
const AWAKE_MILLIS = 60_000;

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
  // A sender keeps no process alive, and this one must hear the outcome.
  const awake = setInterval(() => {}, AWAKE_MILLIS);
  try {
    return await sender.send(gzipSync(testRequest(signal, resource, version, nowMillis)));
  } finally {
    clearInterval(awake);
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
      return problem(signal, `${where} left out what was sent: ${outcome.reason}`, adviceForPartial(signal));
    case "retryable":
      return problem(signal, `${where} does not take it now: ${outcome.reason}`, fixOf(signal, endpoint, outcome.code));
    case "rejected":
      return problem(signal, `${where} refuses it: ${outcome.reason}`, fixOf(signal, endpoint, outcome.code));
  }
}

function fixOf(signal: OtlpSignal, endpoint: OtlpEndpoint, code: string): string {
  return adviceFor(signal, code, endpoint) ?? "look into the backend's own log";
}
