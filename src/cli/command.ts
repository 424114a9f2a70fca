/**
 * Runs in the CLI process. Owns what every command has: its help, its options and its exit codes.
 */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { AgentError } from "../errors";
import type { Terminal } from "./terminal";

/** Exit codes of every command (docs/cli.md). Never renumber: scripts branch on them. */
export const EXIT_NO_LEAK = 0;
export const EXIT_LEAK = 1;
/** `doctor`: something does not work. */
export const EXIT_PROBLEM = 1;
export const EXIT_USAGE = 2;
/** Also: the output cannot be written. */
export const EXIT_UNREADABLE = 3;
export const EXIT_INTERNAL = 4;
/** `verify`: more requests are needed to tell. */
export const EXIT_UNDECIDED = 5;

export type OptionValue = string | boolean | undefined;

export interface CommandInput {
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, OptionValue>>;
  readonly terminal: Terminal;
  readonly nowMillis: number;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Everything `leak-agent <name> --help` prints. */
  readonly help: string;
  readonly options: NonNullable<ParseArgsConfig["options"]>;
  run(input: CommandInput): Promise<number>;
}

const COMMON_OPTIONS = { help: { type: "boolean", short: "h" } } as const;

/** The lines about exit codes that close a command's help. */
export function exitCodeHelp(reportsLeaks: boolean): string {
  return [
    "Exit codes:",
    `  0  it ran${reportsLeaks ? ", and no leak or urgent verdict stands" : ""}`,
    ...(reportsLeaks ? ["  1  it ran, and a leak or urgent verdict stands"] : []),
    "  2  wrong usage",
    "  3  an input cannot be read, or the output cannot be written",
    "  4  internal error",
  ].join("\n");
}

/**
 * @param args the arguments after the command's name.
 * @throws AgentError `ERR_LEAK_AGENT_USAGE` for an option that is unknown, lacks its value or must not have one.
 */
export function parseOptions(command: Command, args: readonly string[]): Pick<CommandInput, "positionals" | "options"> {
  const options = { ...command.options, ...COMMON_OPTIONS };
  try {
    const parsed = parseArgs({ args: joinDashedValues(args, options), options, allowPositionals: true });
    return { positionals: parsed.positionals, options: parsed.values as Record<string, OptionValue> };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const why = error.message.split(". ", 1)[0] ?? error.message;
    throw new AgentError("ERR_LEAK_AGENT_USAGE", `${why}; see leak-agent ${command.name} --help`, { cause: error });
  }
}

/** `--from -1h` becomes `--from=-1h`: parseArgs takes a value that starts with a dash for another option. */
function joinDashedValues(args: readonly string[], options: NonNullable<ParseArgsConfig["options"]>): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const argument = args[i] ?? "";
    const next = args[i + 1];
    const takesValue = argument.startsWith("--") && options[argument.slice(2)]?.type === "string";
    if (takesValue && next !== undefined && /^-\d/.test(next)) {
      joined.push(`${argument}=${next}`);
      i++;
    } else {
      joined.push(argument);
    }
  }
  return joined;
}

/**
 * Value of an option that is one of a few words.
 * @throws AgentError `ERR_LEAK_AGENT_USAGE` when it is none of them.
 */
export function choiceOption<T extends string>(
  input: CommandInput,
  name: string,
  choices: readonly T[],
  fallback: T,
): T {
  const text = input.options[name];
  if (text === undefined) return fallback;
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new AgentError("ERR_LEAK_AGENT_USAGE", `--${name} ${String(text)}: write one of ${choices.join(", ")}`);
}

/**
 * Value of an option that is a whole number.
 * @throws AgentError `ERR_LEAK_AGENT_USAGE` when it is none, or outside low..high.
 */
export function integerOption<T extends number | null>(
  input: CommandInput,
  name: string,
  low: number,
  high: number,
  fallback: T,
): number | T {
  const text = input.options[name];
  if (text === undefined) return fallback;
  const value = /^\d+$/.test(String(text)) ? Number(text) : Number.NaN;
  if (value >= low && value <= high) return value;
  throw new AgentError(
    "ERR_LEAK_AGENT_USAGE",
    `--${name} ${String(text)}: write a whole number from ${low} to ${high}`,
  );
}

/** Value of an option that is any text; null when it was not given. */
export function textOption(input: CommandInput, name: string): string | null {
  const value = input.options[name];
  return typeof value === "string" ? value : null;
}
