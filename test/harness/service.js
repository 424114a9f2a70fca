/**
 * Starts programs of test/apps with and without the agent and tells how they ended. Used by the integration tests.
 * The child never sees the parent's LEAK_AGENT_*, OTEL_* or NODE_OPTIONS.
 */
"use strict";
const { spawn } = require("node:child_process");
const { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join, resolve } = require("node:path");
const { setTimeout: delay } = require("node:timers/promises");

const ROOT = resolve(__dirname, "../..");
const PRELOAD = join(ROOT, "dist/preload.js");
const APPS = join(ROOT, "test/apps");
/** Longest a child may take for anything; reaching it fails the test. */
const DEADLINE_MILLIS = 30_000;

function cleanEnvironment(extra = {}) {
  const environment = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (/^(LEAK_AGENT_|OTEL_|NODE_OPTIONS$|NODE_V8_COVERAGE$|NODE_TEST|NODE_CHANNEL)/.test(name)) continue;
    environment[name] = value;
  }
  return { ...environment, ...extra };
}

/** A folder of its own for one test; removed when the test ends. */
function temporaryFolder(context) {
  const folder = mkdtempSync(join(tmpdir(), "leak-agent-test-"));
  context.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/**
 * A running child with its output so far.
 * `ended` resolves to { code, signal, stdout, stderr }.
 */
class Service {
  constructor(args, { env = {}, cwd = ROOT, node = process.execPath, deadlineMillis = DEADLINE_MILLIS } = {}) {
    this.stdout = "";
    this.deadlineMillis = deadlineMillis;
    this.stderr = "";
    this.child = spawn(node, args, { cwd, env: cleanEnvironment(env), stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdin.on("error", () => {}); // The child may leave before it has read its line: not what is tested.
    this.child.stdout.setEncoding("utf8").on("data", (text) => {
      this.stdout += text;
    });
    this.child.stderr.setEncoding("utf8").on("data", (text) => {
      this.stderr += text;
    });
    const watchdog = setTimeout(() => this.child.kill("SIGKILL"), deadlineMillis);
    this.ended = new Promise((resolveEnd, rejectEnd) => {
      this.child.once("error", rejectEnd);
      this.child.once("close", (code, signal) => {
        clearTimeout(watchdog);
        this.closed = true;
        resolveEnd({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  say(line) {
    this.child.stdin.write(`${line}\n`);
  }

  /** Waits until `condition()` is truthy and returns it; fails when the child ends first or the deadline passes. */
  async until(condition, what) {
    const end = Date.now() + this.deadlineMillis;
    for (;;) {
      const value = condition();
      if (value) return value;
      if (this.closed) throw new Error(`the program ended before ${what}\n${this.stdout}\n${this.stderr}`);
      if (Date.now() > end) throw new Error(`waited in vain for ${what}\n${this.stdout}\n${this.stderr}`);
      await delay(20);
    }
  }

  untilPrinted(text) {
    return this.until(() => this.stdout.includes(text), `it printed ${JSON.stringify(text)}`);
  }

  untilStderr(pattern) {
    return this.until(() => pattern.exec(this.stderr), `its stderr matched ${pattern}`);
  }

  stop() {
    if (!this.closed) this.child.kill("SIGKILL");
    return this.ended;
  }
}

/** Names of every file below a folder; empty when there is no such folder. */
function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** The agent is awake when its worker has begun a history in the folder. */
function agentIsAwake(folder) {
  return filesBelow(folder).some((file) => /history/.test(file));
}

/** Complete lines only: the writer may be in the middle of one. */
function jsonLines(file) {
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line));
}

/** Everything the agent wrote into its history below `folder`, in file order. */
function historyLines(folder) {
  return filesBelow(folder)
    .filter((file) => /history/.test(file))
    .sort()
    .flatMap(jsonLines);
}

module.exports = {
  APPS,
  DEADLINE_MILLIS,
  PRELOAD,
  ROOT,
  Service,
  agentIsAwake,
  cleanEnvironment,
  filesBelow,
  historyLines,
  jsonLines,
  temporaryFolder,
};
