/** Pure. Owns the words of the one start-up line: what works and what does not. */
import { describeEndpoint, exportedSignals, type Settings } from "../config";
import type { ProbeHello } from "../model/messages";
import { AGENT_VERSION } from "./version";

export interface StartLine {
  readonly message: string;
  readonly fields: object;
}

/** @param intervalBytes the sampler's mean interval, null while it is not known. @param hasFolder whether files are written. */
export function startLine(
  settings: Settings,
  hello: ProbeHello,
  intervalBytes: number | null,
  hasFolder: boolean,
): StartLine {
  const labels = hello.labels === "none" ? "off" : `exact (${hello.labels})`;
  const reason = hello.labelsReason === "" ? "" : `: ${hello.labelsReason}`;
  const interval =
    hello.engine === "none"
      ? "none (nothing is sampled)"
      : intervalBytes === null
        ? "being measured"
        : `${Math.round(intervalBytes / 1024)} KiB`;
  const folder = hasFolder ? settings.directory : "none (nothing is written)";
  const exported = exportedSignals(settings.otlp).map(
    ([signal, endpoint]) => `${signal} to ${describeEndpoint(endpoint)}`,
  );
  const exports = exported.length === 0 ? "" : `, exports ${exported.join(", ")}`;
  return {
    message:
      `leak-agent ${AGENT_VERSION} watches ${settings.serviceName}: engine ${hello.engine}, ` +
      `route labels ${labels}${reason}, horizon ${duration(settings.horizonMillis)}, sampling interval ${interval}, folder ${folder}${exports}`,
    fields: {
      version: AGENT_VERSION,
      service: settings.serviceName,
      engine: hello.engine,
      labels: hello.labels,
      labelsReason: hello.labelsReason === "" ? null : hello.labelsReason,
      horizonMillis: settings.horizonMillis,
      samplingIntervalBytes: intervalBytes,
      exports: exported,
      directory: hasFolder ? settings.directory : null,
      node: process.versions.node,
    },
  };
}

function duration(millis: number): string {
  if (millis >= 7_200_000) return `${+(millis / 3_600_000).toFixed(1)} h`;
  if (millis >= 120_000) return `${+(millis / 60_000).toFixed(1)} min`;
  return `${+(millis / 1_000).toFixed(1)} s`;
}
