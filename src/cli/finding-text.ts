/**
 * Runs in the CLI process. Owns a finding as people read it: the verdict in words, its evidence, what it rejected.
 * Must print every number from the record as it stands there; it judges nothing.
 */
import { sitePosition } from "../detector/words";
import type { Finding, FindingAlternative, FindingOutside, VerdictName } from "../model/finding";
import { type Column, facts, table, wrap } from "./columns";
import { bytes, count, duration, percent, signedBytes, significant } from "./quantities";
import type { Style, Terminal } from "./terminal";

const HOUR_MILLIS = 3_600_000;
const SECOND_MILLIS = 1_000;

/** A verdict that a later agent has added is printed plainly. */
const VERDICT_STYLES: Readonly<Partial<Record<VerdictName, readonly Style[]>>> = {
  urgent: ["bold", "red"],
  leak: ["bold", "red"],
  saturating: ["bold", "yellow"],
  watch: ["bold", "yellow"],
  inconclusive: ["dim"],
  retracted: ["dim"],
  acknowledged: ["dim"],
};

/** `POST /report at src/metrics.ts:18 recordTimer [app]`. */
export function subject(finding: Finding): string {
  const owner = finding.route.kind === "background-of" ? `background of ${finding.route.name}` : finding.route.name;
  const from = finding.site.package === "app" ? "" : ` [${finding.site.package}]`;
  return `${owner} at ${sitePosition(finding)} ${finding.site.function}${from}`;
}

/** One line that says what stands. */
export function headline(finding: Finding, terminal: Terminal): string {
  const verdict = terminal.style(finding.verdict.toUpperCase(), ...(VERDICT_STYLES[finding.verdict] ?? []));
  return `${verdict} (${finding.impact})  ${terminal.style(subject(finding), "bold")}`;
}

/** The whole finding. */
export function describeFinding(finding: Finding, terminal: Terminal): string[] {
  return [
    headline(finding, terminal),
    ...wrap(finding.text),
    "",
    ...facts(detailsOf(finding)),
    ...alternatives(finding.alternatives, terminal),
    ...callPath(finding, terminal),
  ];
}

function detailsOf(finding: Finding): [string, string][] {
  const pairs: [string, string | null][] = [
    ["growth", growth(finding)],
    ["evidence", evidence(finding)],
    ["busy, idle", busyAndIdle(finding)],
    ["routes", routes(finding)],
    ["explains", explained(finding)],
    ["forecast", forecast(finding)],
    ["refuted by", finding.refutedBy],
    ["next step", finding.nextStep],
    [
      "id",
      `${finding.id}, change ${finding.sequence}, first seen ${minute(finding.firstSeenTime)}, last change ${minute(finding.time)}`,
    ],
    ["from", origin(finding)],
  ];
  return pairs.filter((pair): pair is [string, string] => pair[1] !== null && pair[1] !== "");
}

/** Growth of a level of the process: no site, no samples. */
function outsideGrowth({ signal, unit, perHour, perHourLow, perHourHigh, level, startLevel }: FindingOutside): string {
  const amount = unit === "By" ? bytes : count;
  const sign = perHour < 0 ? "-" : "+";
  return `${signal}: ${sign}${amount(Math.abs(perHour))}/hour (${amount(perHourLow)} to ${amount(perHourHigh)}); ${amount(startLevel)} at first, ${amount(level)} now`;
}

function growth({ growth, evidence, outside }: Finding): string {
  if (outside !== undefined) return outsideGrowth(outside);
  const parts: string[] = [];
  const confidence = `${significant(growth.confidence * 100)} %`;
  if (growth.bytesPerRequest !== null) {
    const range = `${bytes(growth.bytesPerRequestLow ?? 0)} to ${bytes(growth.bytesPerRequestHigh ?? 0)}`;
    parts.push(`${bytes(growth.bytesPerRequest)}/request (${confidence}: ${range})`);
  }
  const hourly = `${bytes(growth.bytesPerHourLow)} to ${bytes(growth.bytesPerHourHigh)}`;
  parts.push(`${signedBytes(growth.bytesPerHour)}/hour (${hourly})`);
  const requests = growth.requests === null ? "" : ` over ${count(growth.requests)} requests`;
  parts.push(`holds ${bytes(growth.retainedBytes)} in ${count(growth.retainedObjects)} objects${requests}`);
  return `${parts.join("; ")}; estimated from ${count(evidence.samples)} samples`;
}

function evidence({ evidence, outside }: Finding): string {
  if (outside !== undefined) return `level; held for ${duration(evidence.unrefutedSeconds * SECOND_MILLIS)}`;
  const matured = `${count(evidence.cohortsMatured)} cohorts matured, ${count(evidence.cohortsFreed)} freed`;
  const test = `ln E ${significant(evidence.lnE)} against a threshold of ${significant(evidence.lnThreshold)}`;
  const hypotheses = `${count(evidence.hypotheses)} ${evidence.hypotheses === 1 ? "hypothesis" : "hypotheses"}`;
  const age = `oldest alive for ${duration(evidence.oldestAgeSeconds * SECOND_MILLIS)} and ${count(evidence.majorGcs)} mark-compacts`;
  const held = `unrefuted for ${duration(evidence.unrefutedSeconds * SECOND_MILLIS)}`;
  return `${matured} (${evidence.method}); ${test}, ${hypotheses}; ${age}; ${held}`;
}

function busyAndIdle({ contrast }: Finding): string | null {
  if (contrast.busyBytesPerHour === null && contrast.idleBytesPerHour === null) return null;
  const busy = contrast.busyBytesPerHour === null ? "unknown" : `${signedBytes(contrast.busyBytesPerHour)}/hour`;
  const idle =
    contrast.idleBytesPerHour === null
      ? "no idle time seen yet"
      : `${signedBytes(contrast.idleBytesPerHour)}/hour in ${duration((contrast.idleHours ?? 0) * HOUR_MILLIS)} idle`;
  return `${busy} while busy, ${idle}`;
}

function routes({ contrast, otherRoutes, route }: Finding): string | null {
  const parts: string[] = [];
  if (route.kind === "request" || route.kind === "background-of") {
    parts.push(`${percent(route.shareRatio)} of what the site holds is this route's`);
  }
  if (contrast.otherRoutesBytesPerRequest !== null) {
    parts.push(`${bytes(contrast.otherRoutesBytesPerRequest)}/request there on other routes`);
  }
  if (contrast.routeCorrelation !== null) {
    const window = duration(contrast.windowSeconds * SECOND_MILLIS);
    parts.push(
      `growth follows the route's requests with r = ${significant(contrast.routeCorrelation)} (windows of ${window})`,
    );
  }
  const names = otherRoutes.join(", ");
  if (route.pooledRoutes !== undefined) parts.push(`${route.pooledRoutes} routes together, the largest ${names}`);
  else if (otherRoutes.length > 0) parts.push(`also leaks on ${names}`);
  return parts.length === 0 ? null : parts.join("; ");
}

function explained({ explained }: Finding): string | null {
  const parts: string[] = [];
  // Both are estimates, and their quotient may exceed 1; the finding's text clamps it too.
  const share = (ratio: number): string => percent(Math.min(1, ratio));
  if (explained.heapGrowthRatio !== null) parts.push(`${share(explained.heapGrowthRatio)} of the heap's growth`);
  if (explained.rssGrowthRatio !== null) parts.push(`${share(explained.rssGrowthRatio)} of the growth of RSS`);
  if (explained.unexplainedBytesPerHour !== null)
    parts.push(`${bytes(explained.unexplainedBytesPerHour)}/hour stay unexplained`);
  const own = explained.agentBytesPerHour ?? 0;
  if (own > 0) parts.push(`the agent's own records in what is kept: ${bytes(own)}/hour, not counted`);
  return parts.length === 0 ? null : parts.join("; ");
}

function forecast({ forecast }: Finding): string | null {
  if (forecast === null) return null;
  const limit = forecast.limit === "heap" ? "V8's heap limit" : "the container's limit";
  const left = `${bytes(forecast.headroomBytes)} left below ${limit}`;
  if (forecast.hoursP50 === null) return `${left}; not reached within 30 days at this trend`;
  const early = forecast.hoursP10 === null ? "beyond 30 d" : duration(forecast.hoursP10 * HOUR_MILLIS);
  const late = forecast.hoursP90 === null ? "beyond 30 d" : duration(forecast.hoursP90 * HOUR_MILLIS);
  return `${left}; reached in about ${duration(forecast.hoursP50 * HOUR_MILLIS)} (10 %: ${early}, 90 %: ${late})`;
}

function origin({ service, agent }: Finding): string {
  const version = service.version === null ? "" : ` ${service.version}`;
  const labels =
    agent.attribution === "exact"
      ? `routes exact for ${agent.labelledRatio === null ? "an unknown share" : percent(agent.labelledRatio)} of the samples`
      : agent.attribution === "inferred"
        ? "route inferred from request counts"
        : "no route labels";
  const interval = `one sample every ${bytes(agent.samplingIntervalBytes)}`;
  const thread = service.threadId === 0 ? "" : ` thread ${service.threadId}`;
  return `${service.name}${version}, process ${service.processId}${thread}, Node ${service.nodeVersion}; ${agent.engine} engine, ${interval}, ${labels}`;
}

const ALTERNATIVE_COLUMNS: readonly Column[] = [
  { title: "instead it could be", align: "left", shrinks: true },
  { title: "number", align: "left" },
  { title: "value", align: "right" },
  { title: "bound", align: "right" },
  { title: "", align: "left" },
];

function alternatives(list: readonly FindingAlternative[], terminal: Terminal): string[] {
  if (list.length === 0) return [];
  const rows = list.map((entry) => [
    entry.name,
    entry.statistic,
    significant(entry.value),
    significant(entry.bound),
    entry.rejected ? "rejected" : "NOT rejected",
  ]);
  const [titles = "", ...body] = table(ALTERNATIVE_COLUMNS, rows);
  return ["", terminal.style(titles, "dim"), ...body];
}

const PATH_COLUMNS: readonly Column[] = [
  { title: "call path", align: "left" },
  { title: "", align: "left", shrinks: true },
  { title: "package", align: "left" },
];

function callPath(finding: Finding, terminal: Terminal): string[] {
  const rows = finding.path.map((frame) => {
    const isSite = frame.function === finding.site.function && frame.package === finding.site.package;
    const position = frame.file === "" ? "" : `${frame.file}:${frame.line}`;
    return [`${isSite ? "> " : "  "}${frame.function}`, position, frame.package];
  });
  const [titles, ...body] = table(PATH_COLUMNS, rows);
  return titles === undefined ? [] : ["", terminal.style(titles, "dim"), ...body];
}

/** `2026-11-25 10:00:00 UTC` from ISO 8601. */
function minute(time: string): string {
  return `${time.slice(0, 19).replace("T", " ")} UTC`;
}
