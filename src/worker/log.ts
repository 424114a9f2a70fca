/**
 * Runs on the agent's worker thread. Owns what people read: one JSON line each, on stderr or in agent.log.
 * Must not block or fail: a closed or full stderr loses lines (counted), nothing else.
 */
import { writeSync } from "node:fs";
import pino, { type Logger } from "pino";
import type { LogTarget } from "../config";
import type { ErrorCode } from "../errors";
import type { AgentFolder } from "../export/folder";

const LOG_FILE = "agent.log";
const LOG_FILE_ASIDE = "agent.1.log";
/** Share of the folder: 1 MiB in the default one; as much again is kept aside. */
const LOG_FILE_SHARE = 1 / 64;
const STDERR = 2;

export type LineSink = (line: string) => void;

export class AgentLog {
  private readonly logger: Logger;
  private readonly told = new Set<string>();
  droppedLines = 0;

  /** @param folder where `file` goes; null when there is none. @param stderr replaced in tests. */
  constructor(
    target: LogTarget,
    private readonly folder: AgentFolder | null,
    private readonly stderr: LineSink = (line) => {
      writeSync(STDERR, line);
    },
  ) {
    const sinks: Record<LogTarget, LineSink> = {
      stderr: (line) => this.toStderr(line),
      file: (line) => this.toFile(line),
      off: () => {},
    };
    const options = {
      name: "leak-agent",
      level: target === "off" ? "silent" : "info",
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
    };
    this.logger = pino(options, { write: sinks[target] });
  }

  info(message: string, fields: object = {}): void {
    this.logger.info(fields, message);
  }

  /** Something does not work as it should; the service is fine. */
  warn(code: ErrorCode | string, message: string, fields: object = {}): void {
    this.logger.warn({ code, ...fields }, message);
  }

  /** Like `warn`, but once in the worker's life for each key. */
  warnOnce(key: string, code: ErrorCode | string, message: string, fields: object = {}): void {
    if (this.told.has(key)) return;
    if (this.told.size < 1_000) this.told.add(key);
    this.warn(code, message, fields);
  }

  private toStderr(line: string): void {
    try {
      this.stderr(line);
    } catch {
      this.droppedLines++; // EPIPE, EBADF: nobody reads; EAGAIN: waiting for a slow reader would hold the worker.
    }
  }

  private toFile(line: string): void {
    if (this.folder === null) {
      this.droppedLines++;
      return;
    }
    this.folder.rotate(LOG_FILE, LOG_FILE_ASIDE, this.folder.limitBytes * LOG_FILE_SHARE);
    if (this.folder.append(LOG_FILE, line) !== "written") this.droppedLines++;
  }
}
