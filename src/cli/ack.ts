/**
 * Runs in the CLI process. Owns `leak-agent ack`: a person says that a finding is intended, for some time or for ever.
 */
import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseDuration } from "../config";
import { AgentError } from "../errors";
import {
  ACKNOWLEDGED_FILE,
  acknowledge,
  endMillisOf,
  IGNORE_SCHEMA,
  type IgnoreEntry,
  parseIgnoreList,
  withdrawAcknowledgement,
} from "../export/ignore-file";
import type { Finding } from "../model/finding";
import { defaultFolder, readFindings, requireFolder } from "./agent-folder";
import { type Command, type CommandInput, EXIT_NO_LEAK, exitCodeHelp, textOption } from "./command";
import { subject } from "./finding-text";
import { utcTime } from "./quantities";

const HELP = `Usage: leak-agent ack ID --reason TEXT [--until WHEN] [DIR]
       leak-agent ack ID --withdraw [DIR]

Says that a finding is intended: it is told once more as acknowledged and then no longer alarms.
It is still measured. A running agent takes it in within seconds of its next capture; when the time
is over, or it is withdrawn, the finding alarms again.

ID is the finding's, as leak-agent report prints it. DIR is the agent's folder; without it: the one
of the service in the current directory. What is meant for every machine belongs into the
repository: --file leak-agent.ignore.json, beside package.json.

Options:
  --reason TEXT     why this is no leak; printed wherever the finding is
  --until WHEN      a day (2027-01-31), an ISO 8601 time, or a time from now (12h, 30d)
  --file FILE       write into this file instead of the agent's folder
  --withdraw        remove the acknowledgement
  --json            print the entry as JSON
  -h, --help        this text

${exitCodeHelp(false)}
`;

export const ackCommand: Command = {
  name: "ack",
  summary: "say that a finding is intended, so that it no longer alarms",
  help: HELP,
  options: {
    reason: { type: "string" },
    until: { type: "string" },
    file: { type: "string" },
    withdraw: { type: "boolean" },
    json: { type: "boolean" },
  },
  run,
};

async function run(input: CommandInput): Promise<number> {
  const [id, directory, ...extra] = input.positionals;
  if (id === undefined) throw usage("ack needs the id of a finding");
  if (extra.length > 0) throw usage(`ack takes one id and one folder, not ${input.positionals.length} words`);
  const target = targetOf(input, directory);
  if (input.options["withdraw"] === true) return withdraw(input, id, target);
  const entry = entryOf(input, id);
  const finding = target.folder === null ? null : requireFinding(target.folder, id);
  write(target.path, entry);
  if (input.options["json"] === true) input.terminal.printJson({ schema: IGNORE_SCHEMA, file: target.path, entry });
  else printDone(input, entry, finding, target.path);
  return EXIT_NO_LEAK;
}

interface Target {
  readonly path: string;
  /** Null: a file of the repository, which need not be where the agent has written. */
  readonly folder: string | null;
}

function targetOf(input: CommandInput, directory: string | undefined): Target {
  const file = textOption(input, "file");
  if (file !== null && directory !== undefined) throw usage("give either --file or a folder");
  if (file !== null) return { path: resolve(file), folder: null };
  const folder = resolve(directory ?? defaultFolder());
  requireFolder(folder);
  return { path: join(folder, ACKNOWLEDGED_FILE), folder };
}

function entryOf(input: CommandInput, id: string): IgnoreEntry {
  const reason = textOption(input, "reason");
  if (reason === null) throw usage("ack needs --reason, such as --reason 'a cache of 10,000 entries'");
  const until = textOption(input, "until");
  const end = until === null ? null : untilOf(until, input.nowMillis);
  const raw = end === null ? { id, reason } : { id, reason, until: end };
  // The very rules that the agent reads by.
  const { entries, problems } = parseIgnoreList(JSON.stringify({ schema: IGNORE_SCHEMA, ignore: [raw] }), "ack");
  const entry = entries[0];
  if (entry === undefined) throw usage((problems[0] ?? "").replace(/^ack, entry 1(?: \(id ".*?"\))?: /, `${id}: `));
  const endMillis = endMillisOf(entry);
  if (endMillis !== null && endMillis <= input.nowMillis) throw usage(`--until ${until} is over already`);
  return entry;
}

/** A duration becomes the time it ends at; the rest stays as it was written. */
function untilOf(text: string, nowMillis: number): string {
  const millis = parseDuration(text.replace(/^\+/, ""));
  return millis === null ? text : new Date(nowMillis + millis).toISOString();
}

function requireFinding(folder: string, id: string): Finding {
  const { latest } = readFindings(folder);
  const found = latest.find((finding) => finding.id === id);
  if (found !== undefined) return found;
  const known = latest.slice(0, 8).map((finding) => `\n  ${finding.id}  ${finding.verdict}  ${finding.route.name}`);
  const which = known.length === 0 ? "; it has none" : `; it has:${known.join("")}`;
  throw usage(`${folder} has no finding ${id}${which}`);
}

function write(path: string, entry: IgnoreEntry): void {
  try {
    acknowledge(path, entry);
  } catch (error) {
    throw unwritable(path, error);
  }
}

function withdraw(input: CommandInput, id: string, { path }: Target): number {
  let isThere: boolean;
  try {
    isThere = withdrawAcknowledgement(path, id);
  } catch (error) {
    throw unwritable(path, error);
  }
  if (!isThere) throw usage(`${path} does not acknowledge ${id}`);
  if (input.options["json"] === true) input.terminal.printJson({ schema: IGNORE_SCHEMA, file: path, withdrawn: id });
  else input.terminal.print(`${id} is no longer acknowledged in ${path}: it alarms again`);
  return EXIT_NO_LEAK;
}

function printDone(input: CommandInput, entry: IgnoreEntry, finding: Finding | null, path: string): void {
  const endMillis = endMillisOf(entry);
  const until = endMillis === null ? "for ever" : `until ${utcTime(endMillis)}`;
  const what = finding === null ? entry.id : `${entry.id} (${subject(finding)})`;
  input.terminal.print(`acknowledged ${until}: ${what}`, `  in ${path}`);
  if (finding !== null) {
    input.terminal.print(
      `  for every machine: leak-agent ack ${entry.id} --reason ... --file leak-agent.ignore.json, and commit it`,
    );
  }
}

function unwritable(path: string, error: unknown): AgentError {
  const code = (error as NodeJS.ErrnoException).code;
  const isForeign = code === undefined && statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  const why = isForeign ? (error as Error).message : `${path} cannot be written: ${code ?? (error as Error).message}`;
  return new AgentError("ERR_LEAK_AGENT_FOLDER", why, { cause: error });
}

function usage(message: string): AgentError {
  return new AgentError("ERR_LEAK_AGENT_USAGE", `${message}; see leak-agent ack --help`);
}
