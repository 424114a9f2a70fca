/**
 * Runs in the CLI process. Owns `leak-agent replay`: the detector run again on a recorded history.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { Detector } from "../detector/detector";
import { type FindingContext, toFinding } from "../detector/finding-record";
import { AgentError } from "../errors";
import { listFolder } from "../export/folder";
import { isHistoryHeader, lifeSegments, readHistory, readLife } from "../export/history-file";
import { type Finding, isAlarm } from "../model/finding";
import type { HistoryHeader, Observation } from "../model/observation";
import { isFolder } from "./agent-folder";
import { wrap } from "./columns";
import { type Command, type CommandInput, EXIT_LEAK, EXIT_NO_LEAK, exitCodeHelp } from "./command";
import { headline } from "./finding-text";
import { FrameNames } from "./frame-names";
import { startProgress } from "./progress";
import { count, duration, utcTime } from "./quantities";
import type { Terminal } from "./terminal";

/** Enough of a file's end to hold its last complete line. */
const TAIL_BYTES = 1 << 20;

const HELP = `Usage: leak-agent replay HISTORY|DIR... [options]

Runs the detector of this version on recorded histories (history-*.jsonl in the agent's folder;
all of them where a folder is named)
and prints each change of a verdict with the time since the process started. All segments of a
process's life are read together, whichever of them is named. A last line that was cut off when
the process died is left out.

Findings are as in docs/findings.md; what a history does not hold is null: source-mapped positions,
the service's version and build. Ids differ from the live ones where source maps were used.

Options:
  --json            one finding a line (docs/findings.md)
  --progress        a line on stderr every few seconds where it is no terminal
  -h, --help        this text

${exitCodeHelp(true)}
`;

export const replayCommand: Command = {
  name: "replay",
  summary: "run the detector again on recorded histories",
  help: HELP,
  options: { json: { type: "boolean" }, progress: { type: "boolean" } },
  run,
};

async function run(input: CommandInput): Promise<number> {
  const histories = distinctLives(input.positionals.flatMap(historiesOf));
  if (histories.length === 0) {
    throw new AgentError("ERR_LEAK_AGENT_USAGE", "replay needs a history file; see leak-agent replay --help");
  }
  let alarm = false;
  for (const history of histories) {
    const standing = await replay(history, input);
    alarm ||= [...standing.values()].some(isAlarm);
  }
  return alarm ? EXIT_LEAK : EXIT_NO_LEAK;
}

interface RecordedLife {
  readonly file: string;
  /** One file where the name is not one the agent gives: a copy. */
  readonly segments: readonly string[];
}

/** @throws AgentError `ERR_LEAK_AGENT_HISTORY` for a folder without one, and for a path where nothing is. */
function historiesOf(path: string): string[] {
  if (!isFolder(path)) {
    if (existsSync(path)) return [path];
    throw new AgentError("ERR_LEAK_AGENT_HISTORY", `${path} cannot be read: there is no such file or folder`);
  }
  const own = listFolder(path).filter(({ kind }) => kind === "history");
  if (own.length === 0) throw new AgentError("ERR_LEAK_AGENT_HISTORY", `${path} holds no history-*.jsonl`);
  return own.map(({ name }) => join(path, name));
}

function distinctLives(files: readonly string[]): RecordedLife[] {
  const lives = new Map<string, RecordedLife>();
  for (const file of files) {
    const found = lifeSegments(resolve(file));
    const segments = found.includes(resolve(file)) ? found : [file];
    lives.set(segments[0] ?? file, { file, segments });
  }
  return [...lives.values()];
}

/** @returns the latest finding of each id when the history ends. */
async function replay(life: RecordedLife, input: CommandInput): Promise<Map<string, Finding>> {
  const { terminal } = input;
  const json = input.options["json"] === true;
  const progress = startProgress(
    `Replaying ${basename(life.file)}`,
    terminal.stderr,
    input.options["progress"] === true,
  );
  const endMillis = lastTimeMillis(life.segments.at(-1) ?? life.file);
  const standing = new Map<string, Finding>();
  let run: Replayer | null = null;
  for await (const entry of life.segments.length === 1 ? readHistory(life.file) : readLife(life.file)) {
    if (isHistoryHeader(entry)) {
      run = new Replayer(entry);
      if (!json) terminal.print(...titleOf(life, entry));
      continue;
    }
    if (run === null) continue;
    progress.update(
      (entry.timeMillis - run.header.startTimeMillis) / Math.max(1, endMillis - run.header.startTimeMillis),
    );
    for (const finding of run.observe(entry)) {
      progress.clear();
      standing.set(finding.id, finding);
      if (json) terminal.print(JSON.stringify(finding));
      else terminal.print(...transitionLines(finding, run.header, terminal));
    }
  }
  progress.clear();
  if (run !== null && !json) terminal.print(...summary(run, standing), "");
  return standing;
}

/** One detector on one life. */
class Replayer {
  observationCount = 0;
  lastMillis = 0;
  private readonly detector: Detector;
  private readonly names: FrameNames;

  constructor(readonly header: HistoryHeader) {
    const { horizonMillis, windowMillis, applicationRoot } = header;
    this.detector = new Detector({ horizonMillis, windowMillis, applicationRoot });
    this.names = new FrameNames(applicationRoot);
  }

  observe(observation: Observation): Finding[] {
    this.observationCount++;
    this.lastMillis = observation.timeMillis;
    const labelled = observation.labelledRatio !== null;
    return this.detector.observe(observation).map((transition) => toFinding(transition, this.context(labelled)));
  }

  private context(labelled: boolean): FindingContext {
    const { header } = this;
    return {
      service: {
        name: header.service,
        version: header.serviceVersion ?? null,
        buildId: header.buildId ?? null,
        firstBuildId: header.buildId ?? null,
        instanceId: `${header.service}-${header.processId}-${header.startTimeMillis}`,
        processId: header.processId,
        nodeVersion: header.nodeVersion,
        v8Version: "",
      },
      agent: { version: header.agentVersion, engine: "native", attribution: labelled ? "exact" : "none" },
      describe: this.names.describe,
    };
  }
}

function titleOf(life: RecordedLife, header: HistoryHeader): string[] {
  const segments = life.segments.length === 1 ? "" : ` (${life.segments.length} segments)`;
  const who = `${header.service}, process ${header.processId}, Node ${header.nodeVersion}`;
  const when = `started ${utcTime(header.startTimeMillis)}, horizon ${duration(header.horizonMillis)}`;
  return wrap(`${basename(life.file)}${segments}: ${who}, ${when}`, 0, 2);
}

function transitionLines(finding: Finding, header: HistoryHeader, terminal: Terminal): string[] {
  const since = duration(Date.parse(finding.time) - header.startTimeMillis);
  const before = finding.previousVerdict === null ? "" : ` (was ${finding.previousVerdict})`;
  return [`+${since}  ${headline(finding, terminal)}${before}`, ...wrap(finding.text, 4)];
}

function summary(run: Replayer, standing: ReadonlyMap<string, Finding>): string[] {
  const span = duration(run.lastMillis - run.header.startTimeMillis);
  const alarms = [...standing.values()].filter(isAlarm);
  const verdict =
    alarms.length === 0
      ? "no leak stands at its end"
      : `${alarms.length} ${alarms.length === 1 ? "leak stands" : "leaks stand"} at its end: ${alarms.map((finding) => finding.id).join(", ")}`;
  return wrap(`${count(run.observationCount)} observations in ${span}: ${verdict}`, 0, 2);
}

/** Time of the last complete observation, for the progress bar only; 0 when it cannot be told. */
function lastTimeMillis(file: string): number {
  try {
    const descriptor = openSync(file, "r");
    try {
      const { size } = fstatSync(descriptor);
      const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
      readSync(descriptor, tail, 0, tail.length, size - tail.length);
      const times = [...tail.toString("latin1").matchAll(/"timeMillis":(\d+)/g)];
      return Number(times.at(-1)?.[1] ?? 0);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return 0; // Reading the history itself tells what is wrong with the file.
  }
}
