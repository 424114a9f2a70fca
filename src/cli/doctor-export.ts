/**
 * Runs in the CLI process. Owns the check of each signal's endpoint: sends one tiny valid request through the agent's own
 * sender and says what the backend answered. Must not print a secret.
 */
import { gzipSync } from "node:zlib";
import {
  exportedSignals,
  type OtlpEndpoint,
  type OtlpSignal,
  readConfiguration,
  type Settings,
  workerEnvironment,
} from "../config";
import { adviceFor, adviceForPartial } from "../export/advice";
import { describeEndpoint } from "../export/otlp-endpoint";
import { createSender } from "../export/otlp-sender";
import { testRequest } from "../export/otlp-test-requests";
import type { ExportOutcome } from "../export/retry";
import { type Check, ok, problem, warning } from "./doctor-check";

/** Any length does: a sender ends by itself, within its endpoint's timeout. */
const AWAKE_MILLIS = 60_000;

const SIGNALS: readonly OtlpSignal[] = ["profiles", "metrics", "logs"];
const SWITCH_OF_ALL = "OTEL_SDK_DISABLED";

/** @param env the variables that `settings` were read from: tell a signal that is switched off from one without an endpoint. */
export async function checkExport(
  settings: Settings,
  version: string,
  nowMillis: number,
  env: NodeJS.ProcessEnv = workerEnvironment(),
): Promise<Check[]> {
  const sent = new Map(exportedSignals(settings.otlp));
  const switchedOff = SIGNALS.filter((signal) => !sent.has(signal) && wouldGo(signal, env));
  if (switchedOff.length > 0 && isSet(env, SWITCH_OF_ALL)) {
    const value = env[SWITCH_OF_ALL];
    return [ok("export", `${SWITCH_OF_ALL}=${value} switches it off, endpoint or not: everything stays in the folder`)];
  }
  if (sent.size === 0 && switchedOff.length === 0) {
    return [
      ok("export", "no endpoint is set: everything goes to the folder (OTEL_EXPORTER_OTLP_ENDPOINT would send it)"),
    ];
  }
  const checks = SIGNALS.map(async (signal) => {
    const endpoint = sent.get(signal);
    if (endpoint !== undefined)
      return [exportCheck(signal, endpoint, await send(signal, endpoint, settings, version, nowMillis))];
    return switchedOff.includes(signal) ? [switchedOffCheck(signal, env)] : [];
  });
  return (await Promise.all(checks)).flat();
}

/** Whether there is an endpoint for it, were nothing switched off. */
function wouldGo(signal: OtlpSignal, env: NodeJS.ProcessEnv): boolean {
  const open = { ...env, [SWITCH_OF_ALL]: "", [exporterVariable(signal)]: "" };
  return readConfiguration(open).settings.otlp[signal] !== null;
}

function switchedOffCheck(signal: OtlpSignal, env: NodeJS.ProcessEnv): Check {
  const name = exporterVariable(signal);
  return ok(signal, `not sent: ${name}=${env[name]} leaves them out; otlp, or unset, sends them`);
}

function exporterVariable(signal: OtlpSignal): string {
  return `OTEL_${signal.toUpperCase()}_EXPORTER`;
}

/** OpenTelemetry's rule for a flag. */
function isSet(env: NodeJS.ProcessEnv, name: string): boolean {
  return env[name]?.trim().toLowerCase() === "true";
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
    const body = testRequest(signal, resource, version, nowMillis, settings.otlp.metricsTemporality);
    return await sender.send(gzipSync(body));
  } finally {
    clearInterval(awake);
    sender.close();
  }
}

type Refusal = Extract<ExportOutcome, { readonly code: string }>;

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
      return problem(signal, `${where} does not take it now: ${outcome.reason}`, fixOf(signal, endpoint, outcome));
    case "rejected":
      return problem(signal, `${where} refuses it: ${outcome.reason}`, fixOf(signal, endpoint, outcome));
  }
}

/** Prometheus says that it takes no differences with HTTP 500: only its words tell. */
function fixOf(signal: OtlpSignal, endpoint: OtlpEndpoint, { code, reason }: Refusal): string {
  if (signal === "metrics" && /temporality/i.test(reason))
    return "set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative";
  return adviceFor(signal, code, endpoint) ?? "look into the backend's own log";
}
