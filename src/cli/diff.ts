/**
 * Runs in the CLI process. Owns `leak-agent diff`: the lines that grew most between two profiles or two points in time.
 */
import { basename, dirname } from "node:path";
import { AgentError } from "../errors";
import { applicationRoot, isFolder, requireFolder } from "./agent-folder";
import { PAGE_COLUMNS, wrap } from "./columns";
import {
  type Command,
  type CommandInput,
  choiceOption,
  EXIT_NO_LEAK,
  exitCodeHelp,
  integerOption,
  textOption,
} from "./command";
import {
  type ComparisonOptions,
  compareProfiles,
  GROUPINGS,
  type HeapDifference,
  tracemallocRow,
} from "./heap-difference";
import { type HeapProfile, readHeapProfile } from "./heap-profile";
import { parseMoment } from "./moment";
import { listProfiles, type ProfilePair, pickPairs, withinOneSampler } from "./profile-files";
import { startProgress } from "./progress";
import { duration, tracemallocSize, utcTime } from "./quantities";

export const DIFF_SCHEMA = "leak-agent.diff/1";
const DEFAULT_ROWS = 10;

const HELP = `Usage: leak-agent diff A.pb.gz B.pb.gz [options]
       leak-agent diff DIR --from TIME [--to TIME] [options]

Prints what grew most between two live-heap profiles, as Python's tracemalloc does: size in the
later profile (difference), live objects (difference), average size. Greatest growth first.

A and B are pprof files with the sample types inuse_objects and inuse_space (also objects and
space), ours or another tool's. With DIR, the agent's folder, the profiles nearest to the two
times are taken for each process of the service, and the output says which. A restart of the sampler
forgets what was allocated before: profiles from before the last one are left out.

Options:
  --from TIME       with DIR: the earlier time: -30m, -1h, -5d, or 2026-11-25T10:00:00Z
  --to TIME         with DIR: the later time (default: now)
  --process PID     with DIR: this process only
  --by WHAT         line (file:line of the allocating function, the default), site (function
                    and file) or route (the http.route label)
  --route NAME      only what this route allocated, such as "POST /report"
  --top N           rows to print, 1-1000 (default: ${DEFAULT_ROWS})
  --json            one JSON object (docs/cli.md)
  --progress        on long work, a line on stderr every few seconds where it is no terminal
  -h, --help        this text

Examples:
  leak-agent diff monday.pb.gz friday.pb.gz
  leak-agent diff /tmp/leak-agent-1000/shop --from -5d --to now --by route

${exitCodeHelp(false)}
`;

export const diffCommand: Command = {
  name: "diff",
  summary: "what grew most between two profiles or two points in time",
  help: HELP,
  options: {
    from: { type: "string" },
    to: { type: "string" },
    process: { type: "string" },
    by: { type: "string" },
    route: { type: "string" },
    top: { type: "string" },
    json: { type: "boolean" },
    progress: { type: "boolean" },
  },
  run,
};

interface Comparison {
  readonly before: HeapProfile;
  readonly after: HeapProfile;
  /** Null where the two files are not from an agent's folder. */
  readonly processId: number | null;
  readonly leftOutCount: number;
  readonly rows: readonly HeapDifference[];
  readonly totals: HeapDifference;
}

async function run(input: CommandInput): Promise<number> {
  const by = choiceOption(input, "by", GROUPINGS, "line");
  const topCount = integerOption(input, "top", 1, 1_000, DEFAULT_ROWS);
  const pairs = choosePairs(input);
  const options: ComparisonOptions = { by, route: textOption(input, "route"), root: rootOf(pairs) };
  const progress = startProgress("Reading profiles", input.terminal.stderr, input.options["progress"] === true);
  const comparisons = pairs.map((pair, index) => {
    progress.update(index / pairs.length);
    return compare(pair, options);
  });
  progress.clear();
  checkRoute(comparisons, options.route);
  if (input.options["json"] === true) input.terminal.printJson(toJson(comparisons, options, topCount));
  else for (const comparison of comparisons) printComparison(input, comparison, topCount);
  return EXIT_NO_LEAK;
}

/** Files are named relative to the service where its history tells where it lies, else to the current directory. */
function rootOf([first]: readonly ChosenPair[]): string {
  const recorded = first === undefined || first.processId === null ? null : applicationRoot(dirname(first.after));
  return recorded ?? process.cwd();
}

interface ChosenPair {
  readonly before: string;
  readonly after: string;
  readonly processId: number | null;
  /** Earlier profiles of the folder that cannot be compared with `after`. */
  readonly leftOutCount: number;
}

function choosePairs(input: CommandInput): ChosenPair[] {
  const [first, second, ...extra] = input.positionals;
  if (first === undefined) throw usage("diff needs two profiles, or a folder and --from");
  if (extra.length > 0) throw usage(`diff takes two profiles, not ${input.positionals.length}`);
  if (second !== undefined) return [twoFiles(input, first, second)];
  if (!isFolder(first)) throw usage(`diff needs a second profile to compare ${first} with`);
  return inFolder(input, first);
}

function twoFiles(input: CommandInput, before: string, after: string): ChosenPair {
  for (const option of ["from", "to", "process"]) {
    if (input.options[option] !== undefined) throw usage(`--${option} goes with a folder, not with two profiles`);
  }
  for (const path of [before, after]) {
    if (isFolder(path)) throw usage(`${path} is a folder: give the folder alone with --from, or two profiles`);
  }
  return { before, after, processId: null, leftOutCount: 0 };
}

function inFolder(input: CommandInput, folder: string): ChosenPair[] {
  const from = textOption(input, "from");
  if (from === null) throw usage(`diff ${folder} needs --from, such as --from -1h`);
  const fromMillis = parseMoment(from, "--from", input.nowMillis);
  const toMillis = parseMoment(textOption(input, "to") ?? "now", "--to", input.nowMillis);
  if (fromMillis >= toMillis) throw usage("--from is not before --to");
  const processId = integerOption(input, "process", 1, 2 ** 31, null);
  requireFolder(folder);
  const all = listProfiles(folder);
  const files = processId === null ? all : all.filter((file) => file.processId === processId);
  const pairs = pickPairs(files, fromMillis, toMillis);
  if (pairs.length === 0) throw nothingToCompare(folder, files, processId);
  const comparable = pairs.map((pair) => withinOneSampler(pair, files)).filter((pair) => pair !== null);
  if (comparable.length === 0) throw onlyOneSinceRestart(folder, pairs);
  return comparable.map(asChosen);
}

function asChosen({ before, after, processId, leftOutCount }: ProfilePair): ChosenPair {
  return { before: before.path, after: after.path, processId, leftOutCount };
}

function onlyOneSinceRestart(folder: string, pairs: readonly ProfilePair[]): AgentError {
  const newest = pairs.at(-1)?.after;
  const since = newest === undefined ? "" : `: the sampler was restarted before that of ${utcTime(newest.timeMillis)}`;
  return new AgentError(
    "ERR_LEAK_AGENT_FOLDER",
    `${folder} holds no two comparable profiles at these times${since}; wait for the next one, or move --to`,
  );
}

function nothingToCompare(
  folder: string,
  files: readonly { readonly timeMillis: number }[],
  processId: number | null,
): AgentError {
  const whose = processId === null ? "" : ` of process ${processId}`;
  const first = files[0];
  const last = files.at(-1);
  const what =
    first === undefined || last === undefined
      ? `holds no profile${whose}: is it the folder of a leak-agent?`
      : `holds no two profiles${whose} of one process at these times: it has ${files.length}, ` +
        `from ${utcTime(first.timeMillis)} to ${utcTime(last.timeMillis)}; move --from and --to`;
  return new AgentError("ERR_LEAK_AGENT_FOLDER", `${folder} ${what}`);
}

function compare(pair: ChosenPair, options: ComparisonOptions): Comparison {
  const before = readHeapProfile(pair.before);
  const after = readHeapProfile(pair.after);
  const rows = compareProfiles(before, after, options);
  const { processId, leftOutCount } = pair;
  return { before, after, processId, leftOutCount, rows, totals: totalOf(rows) };
}

function totalOf(rows: readonly HeapDifference[]): HeapDifference {
  const sum = (of: (row: HeapDifference) => number): number => rows.reduce((total, row) => total + of(row), 0);
  return {
    key: "total",
    function: null,
    file: null,
    line: null,
    route: null,
    sizeBytes: sum((row) => row.sizeBytes),
    sizeDifferenceBytes: sum((row) => row.sizeDifferenceBytes),
    count: sum((row) => row.count),
    countDifference: sum((row) => row.countDifference),
  };
}

function checkRoute(comparisons: readonly Comparison[], route: string | null): void {
  if (route === null || comparisons.some((comparison) => comparison.rows.length > 0)) return;
  const routes = new Set<string>();
  for (const { before, after } of comparisons) {
    for (const entry of [...before.entries, ...after.entries]) if (entry.route !== null) routes.add(entry.route);
  }
  const known = [...routes].sort().slice(0, 8).join(", ");
  throw usage(`--route ${route}: no sample has this route; ${known === "" ? "none has any" : `there are: ${known}`}`);
}

function printComparison(input: CommandInput, comparison: Comparison, topCount: number): void {
  const { before, after, processId, rows, totals } = comparison;
  const { terminal } = input;
  const between =
    before.timeMillis === null || after.timeMillis === null
      ? ""
      : `, ${duration(after.timeMillis - before.timeMillis)} apart`;
  const who = processId === null ? "" : `process ${processId}: `;
  const shown = [...wrap(`${who}${named(before)} -> ${named(after)}${between}`, 0, 4), ...warnings(comparison)];
  const total = `${tracemallocSize(totals.sizeBytes)} (${tracemallocSize(totals.sizeDifferenceBytes, true)})`;
  terminal.print(...shown.map((line) => terminal.style(line, "dim")));
  for (const row of rows.slice(0, topCount)) terminal.print(...fitted(tracemallocRow(row)));
  const rest = rows.length > topCount ? `${rows.length - topCount} more; ` : "";
  terminal.print(terminal.style(`${rest}total size=${total}`, "dim"), "");
}

/** A row wider than the page goes on two lines: its name stays whole, so that it can be copied. */
function fitted(row: string): string[] {
  const at = row.indexOf(": size=");
  return row.length <= PAGE_COLUMNS || at < 0 ? [row] : [`${row.slice(0, at)}:`, `    ${row.slice(at + 2)}`];
}

function named(profile: HeapProfile): string {
  const time = profile.timeMillis === null ? "" : ` (${utcTime(profile.timeMillis)})`;
  return `${basename(profile.path)}${time}`;
}

function warnings({ before, after, leftOutCount }: Comparison): string[] {
  const notes: string[] = [];
  if (before.timeMillis !== null && after.timeMillis !== null && before.timeMillis > after.timeMillis)
    notes.push("the first profile is the later one: growth is shown as negative");
  if (leftOutCount > 0) {
    const earlier = leftOutCount === 1 ? "1 earlier profile is" : `${leftOutCount} earlier profiles are`;
    notes.push(`${earlier} left out: the sampler was restarted since, and does not know what was allocated before`);
  }
  if (before.intervalBytes !== null && after.intervalBytes !== null && before.intervalBytes !== after.intervalBytes) {
    const intervals = `${tracemallocSize(before.intervalBytes)} and ${tracemallocSize(after.intervalBytes)}`;
    notes.push(
      `sampled every ${intervals}: the sampler was restarted between the two, and what was allocated before is missing in the later one`,
    );
  }
  return notes.flatMap((note) => wrap(`note: ${note}`, 0, 4));
}

function toJson(comparisons: readonly Comparison[], options: ComparisonOptions, topCount: number): unknown {
  return {
    schema: DIFF_SCHEMA,
    by: options.by,
    route: options.route,
    comparisons: comparisons.map(({ before, after, processId, leftOutCount, rows, totals }) => ({
      processId,
      before: described(before),
      after: described(after),
      leftOutProfiles: leftOutCount,
      rowCount: rows.length,
      total: values(totals),
      rows: rows.slice(0, topCount).map((row) => ({
        key: row.key,
        function: row.function,
        file: row.file,
        line: row.line,
        route: row.route,
        ...values(row),
      })),
    })),
  };
}

function described(profile: HeapProfile): unknown {
  const time = profile.timeMillis === null ? null : new Date(profile.timeMillis).toISOString();
  return { file: profile.path, time, samplingIntervalBytes: profile.intervalBytes };
}

function values(row: HeapDifference): Record<string, number | null> {
  return {
    sizeBytes: row.sizeBytes,
    sizeDifferenceBytes: row.sizeDifferenceBytes,
    count: row.count,
    countDifference: row.countDifference,
    averageBytes: row.count > 0 ? row.sizeBytes / row.count : null,
  };
}

function usage(message: string): AgentError {
  return new AgentError("ERR_LEAK_AGENT_USAGE", `${message}; see leak-agent diff --help`);
}
