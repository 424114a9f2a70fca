/**
 * Runs in the CLI process. Owns stdout and stderr: what is printed, whether in colour, and that a reader who leaves
 * (`| head`) ends the command quietly.
 */
import type { WriteStream } from "node:tty";

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;
export type Style = keyof typeof STYLES;

export class Terminal {
  /** True once nothing can be printed any more, mostly as the reader of stdout has left. The command goes on without printing: its exit code is still an answer. */
  readerLeft = false;
  /** True once stdout could not be written for any other reason, such as a full disk: the answer is cut off. */
  outputFailed = false;
  private readonly coloured: boolean;

  constructor(
    readonly stdout: WriteStream,
    readonly stderr: WriteStream,
  ) {
    // hasColors() honours NO_COLOR, FORCE_COLOR and TERM.
    this.coloured = stdout.isTTY === true && stdout.hasColors();
    stdout.on("error", (error: NodeJS.ErrnoException) => this.onStdoutError(error));
    stderr.on("error", () => {}); // Nobody is left to tell.
  }

  /** Prints lines on stdout. */
  print(...lines: readonly string[]): void {
    if (!this.readerLeft && lines.length > 0) this.stdout.write(`${lines.join("\n")}\n`);
  }

  /** Prints a value on stdout as JSON that people can read too. */
  printJson(value: unknown): void {
    this.print(JSON.stringify(value, null, 2));
  }

  /** Prints one line on stderr. */
  warn(line: string): void {
    this.stderr.write(`${line}\n`);
  }

  style(text: string, ...styles: readonly Style[]): string {
    if (!this.coloured) return text;
    return styles.reduce((styled, style) => `\x1b[${STYLES[style]}m${styled}\x1b[0m`, text);
  }

  private onStdoutError(error: NodeJS.ErrnoException): void {
    this.readerLeft = true;
    if (error.code === "EPIPE" || this.outputFailed) return;
    this.outputFailed = true;
    this.warn(`leak-agent: stdout cannot be written: ${error.message} [ERR_LEAK_AGENT_OUTPUT]`);
  }
}
