/**
 * Runs in the CLI process. Owns `leak-agent verify`: has a build fixed the leaks of an earlier one, from what the lives of
 * both left in the agent's folder.
 */
import { resolve } from "node:path";
import { checkFix } from "../detector/fix-check";
import { fixQuestionOf, fixText } from "../detector/fix-question";
import { AgentError } from "../errors";
import { type PastLife, readLives } from "../export/life-file";
import { type Finding, type FindingFix, isAlarm } from "../model/finding";
import { defaultFolder, requireFolder } from "./agent-folder";
import { wrap } from "./columns";
import {
  type Command,
  type CommandInput,
  EXIT_LEAK,
  EXIT_NO_LEAK,
  EXIT_UNDECIDED,
  EXIT_UNREADABLE,
  EXIT_USAGE,
  textOption,
} from "./command";
import { subject } from "./finding-text";
import { utcTime } from "./quantities";

export const VERIFY_SCHEMA = "leak-agent.verify/1";

const HELP = `Usage: leak-agent verify [DIR...] [--before BUILD] [--after BUILD] [options]

Says of each leak of one build whether a later build has fixed it: fixed, reduced, moved, not fixed,
or how many more requests are needed to tell. The agent in the service does the same by itself
after a deploy. DIR is the agent's folder; several may be given, one for each pod. Without any: the
folder of the service in the current directory.

Options:
  --before BUILD    the build that leaked (default: the newest earlier one with a leak)
  --after BUILD     the build to judge (default: the newest)
  --json            one JSON object (docs/cli.md)
  -h, --help        this text

Exit codes:
  ${EXIT_NO_LEAK}  it ran, and every leak is fixed, or there was none to verify
  ${EXIT_LEAK}  it ran, and a leak is not fixed, only reduced, or has moved
  ${EXIT_USAGE}  wrong usage, such as a build that is not on record
  ${EXIT_UNREADABLE}  an input cannot be read, or the output cannot be written
  4  internal error
  ${EXIT_UNDECIDED}  it ran, and for some leak more requests are needed
`;

export const verifyCommand: Command = {
  name: "verify",
  summary: "whether a build has fixed the leaks of an earlier one",
  help: HELP,
  options: { before: { type: "string" }, after: { type: "string" }, json: { type: "boolean" } },
  run,
};

interface Answer {
  readonly finding: Finding;
  readonly fix: FindingFix;
}

async function run(input: CommandInput): Promise<number> {
  const folders = (input.positionals.length > 0 ? input.positionals : [defaultFolder()]).map((path) => resolve(path));
  folders.forEach(requireFolder);
  const lives = folders.flatMap(readLives).sort((a, b) => a.opening.startTimeMillis - b.opening.startTimeMillis);
  const { before, after } = buildsOf(input, lives, folders.join(", "));
  if (before === null) return nothingToVerify(input, lives, after);
  const answers = alarmsOf(lives, before).map((finding) => ({
    finding,
    fix: checkFix(fixQuestionOf(finding, lives, before, after)),
  }));
  if (input.options["json"] === true) input.terminal.printJson(toJson(before, after, answers));
  else print(input, lives, before, after, answers);
  return exitCodeOf(answers);
}

/** `before` is null where no build before `after` has a leak on record. */
interface Builds {
  readonly before: string | null;
  readonly after: string;
}

function buildsOf(input: CommandInput, lives: readonly PastLife[], where: string): Builds {
  const builds = buildsIn(lives);
  if (builds.length === 0)
    throw new AgentError("ERR_LEAK_AGENT_FOLDER", `no life of an agent is on record in ${where}`);
  const after = known(input, "after", builds) ?? builds.at(-1) ?? "";
  const earlier = builds.slice(0, builds.indexOf(after));
  const leaking = earlier.findLast((build) => alarmsOf(lives, build).length > 0) ?? null;
  const before = known(input, "before", builds) ?? leaking;
  if (before === after) throw usage(`--before and --after are both ${after}; ${recorded(builds)}`);
  return { before, after };
}

/** Oldest first. */
function buildsIn(lives: readonly PastLife[]): string[] {
  return [...new Set(lives.map((life) => life.opening.buildId))];
}

/** Good news for a pipeline that asks after every deploy: the first one, and all after a release without a leak. */
function nothingToVerify({ options, terminal }: CommandInput, lives: readonly PastLife[], after: string): number {
  if (options["json"] === true) terminal.printJson(toJson(null, after, []));
  else {
    const why = `no build before ${after} has a leak on record; ${recorded(buildsIn(lives))}`;
    terminal.print(...wrap(`Nothing to verify: ${why}`, 0, 2));
  }
  return EXIT_NO_LEAK;
}

function known(input: CommandInput, option: string, builds: readonly string[]): string | undefined {
  const build = textOption(input, option);
  if (build === null) return undefined;
  if (!builds.includes(build)) throw usage(`--${option} ${build} is not on record; ${recorded(builds)}`);
  return build;
}

function recorded(builds: readonly string[]): string {
  return `on record, oldest first: ${builds.slice(-8).join(", ")}`;
}

/** The last word of that build's lives on each finding, where it was an alarm; what was acknowledged is left out. */
function alarmsOf(lives: readonly PastLife[], build: string): Finding[] {
  const latest = new Map<string, Finding>();
  for (const life of lives) {
    if (life.opening.buildId !== build) continue;
    for (const finding of life.findings) if (finding.service.buildId === build) latest.set(finding.id, finding);
  }
  return [...latest.values()].filter(isAlarm);
}

function exitCodeOf(answers: readonly Answer[]): number {
  const verdicts = answers.map(({ fix }) => fix.verdict);
  if (verdicts.some((verdict) => verdict !== "fixed" && verdict !== "undecided")) return EXIT_LEAK;
  return verdicts.includes("undecided") ? EXIT_UNDECIDED : EXIT_NO_LEAK;
}

function print(
  { terminal }: CommandInput,
  lives: readonly PastLife[],
  before: string,
  after: string,
  answers: readonly Answer[],
): void {
  terminal.print(`build ${before}: ${spanOf(lives, before)}`, `build ${after}: ${spanOf(lives, after)}`, "");
  if (answers.length === 0) terminal.print(`build ${before} has no leak on record`);
  for (const { finding, fix } of answers) {
    const verdict = fix.verdict === "undecided" ? neededOf(fix) : fix.verdict.toUpperCase();
    terminal.print(`${terminal.style(verdict, "bold")}  ${subject(finding)}`, ...wrap(fixText(finding, fix), 2), "");
  }
}

function neededOf({ exposureNeeded, unit }: FindingFix): string {
  return exposureNeeded === null ? "UNDECIDED" : `NEEDS ${Math.ceil(exposureNeeded)} MORE ${unit.toUpperCase()}S`;
}

function spanOf(lives: readonly PastLife[], build: string): string {
  const own = lives.filter((life) => life.opening.buildId === build);
  const start = Math.min(...own.map((life) => life.opening.startTimeMillis));
  const end = Math.max(...own.map((life) => life.renewedMillis));
  return `${own.length} ${own.length === 1 ? "life" : "lives"}, ${utcTime(start)} to ${utcTime(end)}`;
}

function toJson(before: string | null, after: string, answers: readonly Answer[]): unknown {
  return {
    schema: VERIFY_SCHEMA,
    before,
    after,
    findings: answers.map(({ finding, fix }) => ({
      id: finding.id,
      route: finding.route.name,
      site: finding.site,
      fix,
      text: fixText(finding, fix),
    })),
  };
}

function usage(message: string): AgentError {
  return new AgentError("ERR_LEAK_AGENT_USAGE", `${message}; see leak-agent verify --help`);
}
