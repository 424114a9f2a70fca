#!/usr/bin/env node
/**
 * The `leak-agent` program, a process of its own beside the service. Owns the choice of the command and the exit code.
 * Must not load the preload or the addon: the CLI samples nothing.
 */
import { AgentError } from "../errors";
import { ackCommand } from "./ack";
import { type Command, EXIT_INTERNAL, EXIT_NO_LEAK, EXIT_UNREADABLE, EXIT_USAGE, parseOptions } from "./command";
import { diffCommand } from "./diff";
import { doctorCommand } from "./doctor";
import { replayCommand } from "./replay";
import { reportCommand } from "./report";
import { Terminal } from "./terminal";
import { verifyCommand } from "./verify";
import { packageVersion } from "./version";

const COMMANDS: readonly Command[] = [
  reportCommand,
  diffCommand,
  replayCommand,
  ackCommand,
  verifyCommand,
  doctorCommand,
];

function generalHelp(): string {
  const width = Math.max(...COMMANDS.map((command) => command.name.length));
  const list = COMMANDS.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`).join("\n");
  return `Usage: leak-agent COMMAND [options]

Reads what the agent in a Node.js service has written: which route leaks, which line, how fast.
To watch a service: node -r leak-agent server.js

Commands:
${list}

  leak-agent COMMAND --help    options and examples of a command
  leak-agent --version         the version

Exit codes: 0 no leak, 1 a leak was found (report, replay) or something does not work (doctor),
2 wrong usage, 3 an input cannot be read or the output not be written, 4 internal error,
5 undecided (verify).
`;
}

async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--version" || name === "-v") {
    terminal.print(packageVersion());
    return EXIT_NO_LEAK;
  }
  if (name === "--help" || name === "-h" || name === "help") return help(rest[0], terminal);
  if (name === undefined) {
    terminal.warn(generalHelp().trimEnd());
    return EXIT_USAGE;
  }
  const command = find(name);
  const { positionals, options } = parseOptions(command, rest);
  if (options["help"] === true) return help(name, terminal);
  return command.run({ positionals, options, terminal, nowMillis: Date.now() });
}

function help(name: string | undefined, terminal: Terminal): number {
  terminal.print((name === undefined ? generalHelp() : find(name).help).trimEnd());
  return EXIT_NO_LEAK;
}

function find(name: string): Command {
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command !== undefined) return command;
  const names = COMMANDS.map((candidate) => candidate.name).join(", ");
  throw new AgentError("ERR_LEAK_AGENT_USAGE", `${name} is not a command: write one of ${names}`);
}

/** Prints what went wrong as one line and answers the exit code for it. */
function explain(error: unknown, terminal: Terminal): number {
  if (!(error instanceof AgentError)) {
    terminal.warn(
      `leak-agent: internal error, please report it: ${error instanceof Error ? error.stack : String(error)}`,
    );
    return EXIT_INTERNAL;
  }
  terminal.warn(`leak-agent: ${error.message} [${error.code}]`);
  switch (error.code) {
    case "ERR_LEAK_AGENT_USAGE":
    case "ERR_LEAK_AGENT_CONFIG":
      return EXIT_USAGE;
    case "ERR_LEAK_AGENT_HISTORY":
    case "ERR_LEAK_AGENT_PROFILE":
    case "ERR_LEAK_AGENT_FOLDER":
    case "ERR_LEAK_AGENT_CAPTURE":
      return EXIT_UNREADABLE;
    default:
      return EXIT_INTERNAL;
  }
}

// Stays so if a command never ends, which empties the event loop: that is a bug too.
process.exitCode = EXIT_INTERNAL;
const terminal = new Terminal(process.stdout, process.stderr);
// The error of the last write comes after the command's end.
process.once("exit", () => {
  if (terminal.outputFailed) process.exitCode = EXIT_UNREADABLE;
});
// The rejection ends in `explain`; a program's last statement has nobody to await it.
void run(process.argv.slice(2), terminal)
  .catch((error: unknown) => explain(error, terminal))
  .then((exitCode) => {
    process.exitCode = exitCode;
  });
