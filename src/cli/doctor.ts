/**
 * Runs in the CLI process. Owns `leak-agent doctor`: does everything work where this command is run, and what to do when
 * it does not.
 */
import { readConfiguration } from "../config";
import { AgentError } from "../errors";
import { wrap } from "./columns";
import { type Command, type CommandInput, EXIT_NO_LEAK, EXIT_PROBLEM } from "./command";
import type { Check, CheckState } from "./doctor-check";
import type { Style, Terminal } from "./terminal";
import { packageVersion } from "./version";

const HELP = `Usage: leak-agent doctor [options]

Checks, in the environment it is run in, whether the agent would work: Node, settings, the sampling
engine and the route labels (in a test service that it starts), the folder, and for each signal that
is exported whether the backend takes it. It sends each endpoint one small request that names itself
leak_agent.doctor. Run it where the service runs, as the same user, with the same variables:

  kubectl exec deploy/shop -- npx leak-agent doctor

Options:
  --json            one object (docs/cli.md)
  --no-export       send nothing
  -h, --help        this text

Exit codes:
  0  it ran, and everything works; there may be warnings
  1  it ran, and something does not work
  2  wrong usage
  3  the output cannot be written
  4  internal error
`;

export const DOCTOR_SCHEMA = "leak-agent.doctor/1";

export const doctorCommand: Command = {
  name: "doctor",
  summary: "check settings, engine, route labels, folder and backend",
  help: HELP,
  options: { json: { type: "boolean" }, "no-export": { type: "boolean" } },
  run,
};

async function run(input: CommandInput): Promise<number> {
  if (input.positionals.length > 0)
    throw new AgentError("ERR_LEAK_AGENT_USAGE", "doctor takes no argument; see leak-agent doctor --help");
  const { terminal } = input;
  const version = packageVersion();
  const checks = await allChecks(version, input.options["no-export"] === true, input.nowMillis);
  const problemCount = checks.filter((check) => check.state === "problem").length;
  if (input.options["json"] === true) {
    const time = new Date(input.nowMillis).toISOString();
    terminal.printJson({ schema: DOCTOR_SCHEMA, time, version, node: process.versions.node, problemCount, checks });
  } else {
    terminal.print(...checks.flatMap((check) => checkLines(check, terminal)), summary(checks, problemCount));
  }
  return problemCount > 0 ? EXIT_PROBLEM : EXIT_NO_LEAK;
}

async function allChecks(version: string, isOffline: boolean, nowMillis: number): Promise<Check[]> {
  const { checkConfiguration, checkFolder, checkNode } = await import("./doctor-folder.js");
  const { checkAcknowledgements } = await import("./doctor-acknowledgements.js");
  const { checkEngine } = await import("./doctor-engine.js");
  const { checkExport } = await import("./doctor-export.js");
  const configuration = readConfiguration(undefined, null);
  const { settings } = configuration;
  return [
    checkNode(process.versions.node),
    ...checkConfiguration(configuration),
    ...checkAcknowledgements(settings, process.cwd(), nowMillis),
    ...(await checkEngine(settings)),
    checkFolder(settings),
    ...(isOffline ? [] : await checkExport(settings, version, nowMillis)),
  ];
}

const MARKS: Readonly<Record<CheckState, readonly [word: string, style: Style]>> = {
  ok: ["ok", "green"],
  warning: ["warning", "yellow"],
  problem: ["problem", "red"],
};

function checkLines({ check, state, message, fix }: Check, terminal: Terminal): string[] {
  const [word, style] = MARKS[state];
  const [first = "", ...rest] = wrap(`${word.padEnd(7)}  ${check}: ${message}`.replace(/ {2,}/g, " "), 0, 9);
  const head = terminal.style(word.padEnd(7), style) + first.slice(word.length).replace(/^ */, "  ");
  return [head, ...rest, ...(fix === null ? [] : wrap(`-> ${fix}`, 9, 12))];
}

function summary(checks: readonly Check[], problemCount: number): string {
  const warningCount = checks.filter((check) => check.state === "warning").length;
  if (problemCount === 0 && warningCount === 0) return "Everything works.";
  const counts = [
    `${problemCount} problem${problemCount === 1 ? "" : "s"}`,
    `${warningCount} warning${warningCount === 1 ? "" : "s"}`,
  ];
  return `${counts.join(", ")}.`;
}
