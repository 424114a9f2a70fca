/**
 * Runs in the CLI process. Owns `leak-agent report`: what an agent's folder says, for people or as JSON.
 */
import { resolve } from "node:path";
import { AgentError } from "../errors";
import { isHistoryHeader, readLife } from "../export/history-file";
import { readLives } from "../export/life-file";
import { isAlarm } from "../model/finding";
import { withAcknowledgements } from "./acknowledged-findings";
import {
  currentLives,
  defaultFolder,
  holdsRecords,
  type Life,
  listLives,
  neighbourFolders,
  readFindings,
  requireFolder,
} from "./agent-folder";
import { type Command, type CommandInput, EXIT_LEAK, EXIT_NO_LEAK, exitCodeHelp, integerOption } from "./command";
import { lifeEnds } from "./life-ends";
import { LifeTally } from "./life-tally";
import { listProfiles } from "./profile-files";
import { startProgress } from "./progress";
import { printReport, type Report, reportJson } from "./report-page";

const DEFAULT_ROWS = 10;

const HELP = `Usage: leak-agent report [DIR] [options]

Prints what the agent of a service has found: each verdict with its evidence, the alternatives it
rejected and the number that rejects each, growth in busy against idle time, growth by route and
by site, the trend of the memory level, and the forecast.

DIR is the agent's folder (LEAK_AGENT_DIR of the service). Without it: the folder of the service
in the current directory; when that one is empty, the folders of other services are listed.

Options:
  --all             also findings that were withdrawn or never became an alarm, in full
  --top N           rows in the tables of routes and sites, 1-1000 (default: ${DEFAULT_ROWS})
  --json            one JSON object (docs/cli.md); findings as in docs/findings.md
  --progress        on long work, a line on stderr every few seconds where it is no terminal
  -h, --help        this text

${exitCodeHelp(true)}
`;

export const reportCommand: Command = {
  name: "report",
  summary: "what the agent of a service has found, with the evidence",
  help: HELP,
  options: {
    all: { type: "boolean" },
    top: { type: "string" },
    json: { type: "boolean" },
    progress: { type: "boolean" },
  },
  run,
};

async function run(input: CommandInput): Promise<number> {
  if (input.positionals.length > 1) {
    throw new AgentError(
      "ERR_LEAK_AGENT_USAGE",
      `report takes one folder, not ${input.positionals.length}; see leak-agent report --help`,
    );
  }
  const topCount = integerOption(input, "top", 1, 1_000, DEFAULT_ROWS);
  const given = input.positionals[0];
  const folder = resolve(given ?? defaultFolder());
  requireRecords(folder, given === undefined);
  const report = await collect(folder, input);
  if (input.options["json"] === true) input.terminal.printJson(reportJson(report, topCount));
  else printReport(report, input.terminal, { topCount, all: input.options["all"] === true });
  return report.findings.latest.some(isAlarm) ? EXIT_LEAK : EXIT_NO_LEAK;
}

function requireRecords(folder: string, isDefault: boolean): void {
  if (!isDefault) requireFolder(folder);
  if (holdsRecords(folder)) return;
  const others = neighbourFolders(folder);
  const hint =
    others.length > 0
      ? `other services have written to:\n  ${others.join("\n  ")}\ngive one of them: leak-agent report DIR`
      : "start the service with node -r leak-agent, or give its folder: leak-agent report DIR";
  throw new AgentError("ERR_LEAK_AGENT_FOLDER", `no agent has written to ${folder} yet; ${hint}`);
}

async function collect(folder: string, input: CommandInput): Promise<Report> {
  const lives = listLives(folder);
  const findings = withAcknowledgements(readFindings(folder), folder, input.nowMillis);
  const { tallies, problems } = await tallyLives(currentLives(lives), input);
  return {
    folder,
    generatedMillis: input.nowMillis,
    findings,
    lives,
    ends: lifeEnds(readLives(folder), input.nowMillis),
    tallies,
    profiles: listProfiles(folder),
    problems,
  };
}

async function tallyLives(
  lives: readonly Life[],
  input: CommandInput,
): Promise<{ tallies: LifeTally[]; problems: string[] }> {
  const tallies: LifeTally[] = [];
  const problems: string[] = [];
  const progress = startProgress("Reading histories", input.terminal.stderr, input.options["progress"] === true);
  for (const [index, life] of lives.entries()) {
    try {
      const tally = await tallyLife(life, (done) => progress.update((index + done) / lives.length));
      if (tally !== null) tallies.push(tally);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      problems.push(error.message); // The findings are worth printing without this history.
    }
  }
  progress.clear();
  return { tallies, problems };
}

async function tallyLife(life: Life, progress: (doneRatio: number) => void): Promise<LifeTally | null> {
  let tally: LifeTally | null = null;
  const spanMillis = Math.max(1, life.endMillis - life.startMillis);
  for await (const entry of readLife(life.historyFile)) {
    if (isHistoryHeader(entry)) tally = new LifeTally(entry);
    else {
      tally?.add(entry);
      progress((entry.timeMillis - life.startMillis) / spanMillis);
    }
  }
  return tally;
}
