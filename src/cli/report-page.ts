/**
 * Runs in the CLI process. Owns the layout of the report, and its JSON shape (docs/cli.md).
 */
import { lifeEndLine } from "../detector/restart-cause";
import { type Finding, isAlarm } from "../model/finding";
import type { Life, RecordedFindings } from "./agent-folder";
import { type Column, facts, table, wrap } from "./columns";
import { describeBreaker, describeCost } from "./cost-tally";
import { describeFinding, headline } from "./finding-text";
import type { LevelRow } from "./level-tally";
import { endInShort, type RecordedLife } from "./life-ends";
import type { GrowthRow, LifeTally } from "./life-tally";
import type { ProfileFile } from "./profile-files";
import { bytes, count, duration, percent, signedBytes, utcTime } from "./quantities";
import type { Terminal } from "./terminal";

export const REPORT_SCHEMA = "leak-agent.report/1";
/** Processes of one service whose tables are printed; the JSON has all. */
const MAX_PRINTED_LIVES = 4;

export interface Report {
  readonly folder: string;
  readonly generatedMillis: number;
  readonly findings: RecordedFindings;
  readonly lives: readonly Life[];
  /** Process lives that left a record, oldest first. */
  readonly ends: readonly RecordedLife[];
  /** Of the lives that run, or ran last. */
  readonly tallies: readonly LifeTally[];
  readonly profiles: readonly ProfileFile[];
  /** Histories that could not be read, one line each. */
  readonly problems: readonly string[];
}

export interface PageOptions {
  readonly topCount: number;
  /** Also withdrawn findings, in full. */
  readonly all: boolean;
}

export function printReport(report: Report, terminal: Terminal, options: PageOptions): void {
  terminal.print(...overview(report, terminal), "");
  for (const finding of report.findings.latest) {
    const full = options.all || isAlarm(finding) || finding.verdict === "saturating";
    const lines = full ? describeFinding(finding, terminal) : brief(finding, terminal);
    terminal.print(...lines, ...(full ? pastProcess(report, finding) : []), "");
  }
  printEnds(report, terminal, options);
  const printed = report.tallies.slice(0, MAX_PRINTED_LIVES);
  for (const tally of printed) printTally(tally, terminal, options);
  const left = report.tallies.length - printed.length;
  if (left > 0) terminal.print(`${left} more processes ran at the same time; --json has them`, "");
  terminal.print(...closing(report).map((line) => terminal.style(line, "dim")));
}

/** A verdict of a process that is over: what runs now may or may not have the leak still. */
function pastProcess({ tallies, lives }: Report, finding: Finding): string[] {
  const { processId } = finding.service;
  const newest = tallies.at(-1);
  const isOver = newest !== undefined && tallies.every((tally) => tally.header.processId !== processId);
  if (!isOver || !lives.some((life) => life.startMillis > Date.parse(finding.time))) return [];
  const now = `process ${newest.header.processId}, observed for ${duration(newest.lastMillis - newest.firstMillis)}`;
  return ["", ...wrap(`note: process ${processId} is over; ${now}, has not said so again`, 2, 4)];
}

function overview(report: Report, terminal: Terminal): string[] {
  const alarms = report.findings.latest.filter(isAlarm).length;
  const verdict =
    alarms === 0
      ? terminal.style("No leak found", "bold", "green")
      : terminal.style(`${alarms} ${alarms === 1 ? "leak" : "leaks"} found`, "bold", "red");
  const newest = report.tallies.at(-1) ?? null;
  const pairs: [string, string][] = [["folder", report.folder]];
  if (newest !== null) pairs.push(["service", service(newest)], ["observed", observed(report, newest)]);
  pairs.push(...lastEnd(report.ends, newest));
  for (const [verdictName, total] of otherVerdicts(report.findings.latest)) pairs.push([verdictName, String(total)]);
  return [verdict, ...facts(pairs)];
}

/** How the newest life that is over ended: the one that is shown, or another. Process ids come again, as in containers. */
function lastEnd(ends: readonly RecordedLife[], shown: LifeTally | null): [string, string][] {
  const last = ends.findLast((life) => life.end !== null);
  if (!last?.end) return [];
  const { processId, startTimeMillis } = last.opening;
  const isShown = shown?.header.processId === processId && shown.header.startTimeMillis === startTimeMillis;
  const isLater = shown !== null && startTimeMillis > shown.header.startTimeMillis;
  return [[isShown ? "ended" : isLater ? "life after" : "life before", lifeEndLine(last, last.end)]];
}

function service(tally: LifeTally): string {
  const { header } = tally;
  return `${header.service}, process ${header.processId}, Node ${header.nodeVersion}, agent ${header.agentVersion}`;
}

function observed(report: Report, tally: LifeTally): string {
  const span = duration(tally.lastMillis - tally.firstMillis);
  const lives = report.lives.length === 1 ? "" : `; ${report.lives.length} lives on record`;
  return `${utcTime(tally.firstMillis)} to ${utcTime(tally.lastMillis)} (${span})${lives}`;
}

function otherVerdicts(findings: readonly Finding[]): [string, number][] {
  const totals = new Map<string, number>();
  for (const finding of findings) {
    if (!isAlarm(finding)) totals.set(finding.verdict, (totals.get(finding.verdict) ?? 0) + 1);
  }
  return [...totals];
}

/** A finding that is no alarm: its headline and its words. */
function brief(finding: Finding, terminal: Terminal): string[] {
  const isOver = finding.verdict === "inconclusive" || finding.verdict === "retracted";
  return [headline(finding, terminal), ...(isOver ? [] : wrap(finding.text))];
}

const ENDS_COLUMNS: readonly Column[] = [
  { title: "started", align: "left" },
  { title: "process", align: "right" },
  { title: "build", align: "left" },
  { title: "ran for", align: "right" },
  { title: "how it ended", align: "left", shrinks: true },
];

function printEnds(report: Report, terminal: Terminal, { topCount }: PageOptions): void {
  const ended = report.ends.filter((life) => life.end !== null);
  if (ended.length === 0) return;
  const rows = ended
    .slice(-topCount)
    .toReversed()
    .map(({ opening, end }) => [
      utcTime(opening.startTimeMillis),
      String(opening.processId),
      opening.buildId,
      duration(end?.aliveMillis ?? 0),
      end === null ? "" : endInShort(end),
    ]);
  terminal.print(terminal.style("Lives that ended", "bold"), ...styled(table(ENDS_COLUMNS, rows), terminal), "");
}

function printTally(tally: LifeTally, terminal: Terminal, { topCount }: PageOptions): void {
  const title = (text: string): string => terminal.style(text, "bold");
  terminal.print(title(`Process ${tally.header.processId}`), ...facts(tallyFacts(tally)), "");
  const levels = tally.levelRows();
  if (levels.length > 0)
    terminal.print(title("Memory level"), ...styled(table(LEVEL_COLUMNS, levels.map(levelCells)), terminal), "");
  const routes = tally.byRoute();
  if (routes.length > 0) {
    const rows = routes.slice(0, topCount).map(routeCells);
    terminal.print(
      title("Growth by route"),
      ...styled(table(ROUTE_COLUMNS, rows), terminal),
      ...more(routes.length, topCount),
      "",
    );
  }
  const sites = tally.bySite();
  if (sites.length > 0) {
    const rows = sites.slice(0, topCount).map(siteCells);
    terminal.print(
      title("Growth by site"),
      ...styled(table(SITE_COLUMNS, rows), terminal),
      ...more(sites.length, topCount),
      "",
    );
  }
}

function tallyFacts(tally: LifeTally): [string, string][] {
  const labelled =
    tally.labelledRatio === null ? "no route labels" : `${percent(tally.labelledRatio)} of live samples have an owner`;
  const asked =
    tally.requestedGcCount > 0 ? `, ${count(tally.requestedGcCount)} of them asked for by the agent (load test)` : "";
  return [
    ["horizon", duration(tally.header.horizonMillis)],
    ["requests", count(tally.requestCount())],
    [
      "samples",
      `${count(tally.maturedCount)} matured, ${count(tally.freedCount)} of them freed; one every ${bytes(tally.intervalBytes)}; ${labelled}`,
    ],
    ["mark-compacts", `${count(tally.majorGcCount)}${asked}`],
    ...costFacts(tally),
  ];
}

/** What the agent took from this process, and whether it had to switch itself off. */
function costFacts(tally: LifeTally): [string, string][] {
  const cost = tally.cost();
  if (cost === null) return [];
  const breaker = describeBreaker(cost);
  return [["cost", describeCost(cost)], ...(breaker === null ? [] : [["breaker", breaker] satisfies [string, string]])];
}

function styled(lines: readonly string[], terminal: Terminal): string[] {
  const [titles, ...rows] = lines;
  return titles === undefined ? [] : [terminal.style(titles, "dim"), ...rows];
}

function more(total: number, shown: number): string[] {
  return total > shown ? [`  ${total - shown} more; --top ${total} shows all`] : [];
}

const LEVEL_COLUMNS: readonly Column[] = [
  { title: "level", align: "left" },
  { title: "first", align: "right" },
  { title: "last", align: "right" },
  { title: "limit", align: "right" },
  { title: "trend", align: "right" },
  { title: "80 % range", align: "left" },
];

function levelCells(row: LevelRow): string[] {
  const trend = row.trend === null ? "too short" : `${signedBytes(row.trend.bytesPerHour)}/h`;
  const range = row.trend === null ? "" : `${signedBytes(row.trend.low)} to ${signedBytes(row.trend.high)}`;
  return [
    row.name,
    bytes(row.firstBytes),
    bytes(row.lastBytes),
    row.limitBytes === null ? "" : bytes(row.limitBytes),
    trend,
    range,
  ];
}

const ROUTE_COLUMNS: readonly Column[] = [
  { title: "route", align: "left", shrinks: true },
  { title: "requests", align: "right" },
  { title: "holds", align: "right" },
  { title: "objects", align: "right" },
  { title: "samples", align: "right" },
  { title: "growth*", align: "right" },
  { title: "per request*", align: "right" },
];

function routeCells(row: GrowthRow): string[] {
  return [
    row.name,
    row.requests === null ? "" : count(row.requests),
    bytes(row.retainedBytes),
    count(row.retainedObjects),
    count(row.sampleCount),
    `${signedBytes(row.lateBytesPerHour)}/h`,
    row.lateBytesPerRequest === null ? "" : bytes(row.lateBytesPerRequest),
  ];
}

const SITE_COLUMNS: readonly Column[] = [
  { title: "site (called by)", align: "left", shrinks: true },
  { title: "holds", align: "right" },
  { title: "objects", align: "right" },
  { title: "samples", align: "right" },
  { title: "growth*", align: "right" },
];

function siteCells(row: GrowthRow): string[] {
  const name = row.via === null ? row.name : `${row.name} (${row.via})`;
  return [
    name,
    bytes(row.retainedBytes),
    count(row.retainedObjects),
    count(row.sampleCount),
    `${signedBytes(row.lateBytesPerHour)}/h`,
  ];
}

function closing(report: Report): string[] {
  const lines: string[] = [];
  const { findings, profiles, problems } = report;
  if (report.tallies.length > 0) {
    lines.push(
      ...wrap(
        "* what matured minus what was freed in the second half of the life; about 0 for a cache that is full",
        0,
        2,
      ),
    );
  }
  for (const problem of problems) lines.push(...wrap(`note: ${problem}`, 0, 2));
  if (findings.unreadableLineCount > 0) {
    const unreadable = findings.unreadableLineCount === 1 ? "1 line" : `${findings.unreadableLineCount} lines`;
    lines.push(`note: ${unreadable} of the findings could not be read; left out`);
  }
  if (profiles.length > 1) {
    lines.push(
      ...wrap(
        `What grew between two of the ${profiles.length} profiles: leak-agent diff ${report.folder} --from -1h`,
        0,
        2,
      ),
    );
  }
  return lines;
}

/** The shape that docs/cli.md documents. Findings are exactly the records of findings.jsonl. */
export function reportJson(report: Report, topCount: number): unknown {
  return {
    schema: REPORT_SCHEMA,
    time: new Date(report.generatedMillis).toISOString(),
    folder: report.folder,
    leaks: report.findings.latest.filter(isAlarm).length,
    findings: report.findings.latest,
    transitions: report.findings.transitionCount,
    unreadableLines: report.findings.unreadableLineCount,
    lives: report.lives.map((life) => ({
      processId: life.processId,
      startTime: new Date(life.startMillis).toISOString(),
      lastWriteTime: new Date(life.endMillis).toISOString(),
      history: life.historyFile,
    })),
    ends: report.ends.map(lifeJson),
    processes: report.tallies.map((tally) => processJson(tally, topCount)),
    profiles: report.profiles.map((file) => file.path),
    problems: report.problems,
  };
}

function lifeJson({ opening, end }: RecordedLife): unknown {
  return {
    processId: opening.processId,
    startTime: new Date(opening.startTimeMillis).toISOString(),
    serviceVersion: opening.serviceVersion,
    buildId: opening.buildId,
    cause: end?.cause ?? null,
    likely: end?.likely ?? null,
    exitCode: end?.exitCode ?? null,
    signal: end?.signal ?? null,
    aliveSeconds: end === null ? null : end.aliveMillis / 1_000,
    text: end?.text ?? null,
  };
}

function processJson(tally: LifeTally, topCount: number): unknown {
  const { header } = tally;
  return {
    processId: header.processId,
    service: header.service,
    nodeVersion: header.nodeVersion,
    agentVersion: header.agentVersion,
    horizonMillis: header.horizonMillis,
    firstTime: new Date(tally.firstMillis).toISOString(),
    lastTime: new Date(tally.lastMillis).toISOString(),
    requests: tally.requestCount(),
    samplingIntervalBytes: tally.intervalBytes,
    labelledRatio: tally.labelledRatio,
    majorGcs: tally.majorGcCount,
    requestedMajorGcs: tally.requestedGcCount,
    maturedSamples: tally.maturedCount,
    freedSamples: tally.freedCount,
    cost: tally.cost(),
    levels: tally.levelRows(),
    routes: tally.byRoute().slice(0, topCount),
    sites: tally.bySite().slice(0, topCount),
  };
}
