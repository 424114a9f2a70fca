/**
 * Runs in the evaluation's process. Owns one service process started as a user would start it, and its end.
 * Must leave no process behind, whatever ends the evaluation.
 */
"use strict";
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const net = require("node:net");
const { setTimeout: delay } = require("node:timers/promises");

const START_TIMEOUT_MILLIS = 30_000;
const STOP_TIMEOUT_MILLIS = 3_000;
/** Lines and characters kept of what a service prints; the rest is counted. */
const MAX_AGENT_LINES = 200;
const TAIL_CHARACTERS = 4_000;

const running = new Set();
process.on("exit", () => {
  for (const service of running) service.kill("SIGKILL");
});

class ServiceProcess {
  /**
   * @param {{node: string, args: string[], cwd: string, env: object, port: number}} options
   *   `env` is the whole environment; PORT is added
   */
  constructor({ node, args, cwd, env, port }) {
    this.port = port;
    /** What the agent said: stderr lines that carry its name. */
    this.agentLines = [];
    this.agentLineCount = 0;
    this.tail = "";
    /** `{code, signal}` once the process has ended. */
    this.exited = null;
    // A group of its own: a cluster's workers end with it, and Ctrl-C reaches them through us only.
    this.child = spawn(node, args, {
      cwd,
      env: { ...env, PORT: String(port) },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(this);
    this.ended = once(this.child, "exit").then(
      ([code, signal]) => this.end({ code, signal }),
      (error) => this.end({ code: null, signal: null, error: error.message }),
    );
    this.child.stdout.on("data", (chunk) => this.keepTail(String(chunk)));
    this.readLines(this.child.stderr);
  }

  end(exited) {
    this.exited = exited;
    running.delete(this);
  }

  readLines(stream) {
    let rest = "";
    stream.setEncoding("utf8");
    stream.on("data", (chunk) => {
      this.keepTail(chunk);
      const lines = (rest + chunk).split("\n");
      rest = lines.pop().slice(-65_536);
      for (const line of lines) {
        if (!/leak[-_]agent/i.test(line)) continue;
        this.agentLineCount++;
        if (this.agentLines.length < MAX_AGENT_LINES) this.agentLines.push(line);
      }
    });
  }

  keepTail(text) {
    this.tail = (this.tail + text).slice(-TAIL_CHARACTERS);
  }

  /** Resolves when the port answers. @throws {Error} when the service ends or takes more than 30 s */
  async listening() {
    const deadline = Date.now() + START_TIMEOUT_MILLIS;
    while (Date.now() < deadline && this.exited === null) {
      if (await answers(this.port)) return;
      await delay(50);
    }
    const why = this.exited === null ? "no answer in 30 s" : `it ended: ${JSON.stringify(this.exited)}`;
    throw new Error(`the service did not start: ${why}\n${this.tail}`);
  }

  kill(signal) {
    try {
      process.kill(-this.child.pid, signal);
    } catch {
      // Already gone.
    }
  }

  /** Ends the process group: SIGTERM, and SIGKILL after 3 s. */
  async stop() {
    if (this.exited === null && this.child.pid !== undefined) {
      this.kill("SIGTERM");
      await Promise.race([this.ended, delay(STOP_TIMEOUT_MILLIS)]);
    }
    // A cluster's workers may outlive their primary: the group is told once more.
    if (this.child.pid !== undefined) this.kill("SIGKILL");
    await this.ended;
  }
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** Below the ports that systems give to outgoing connections: what stops and starts again must find its port free. */
const LOWEST_PORT = 12_000;
const PORT_COUNT = 18_000;
/** A process counts from a place of its own: of ports drawn by chance two would be the same, before either is listened on. */
const PORTS_PER_PROCESS = 200;
let portsGiven = 0;

/** @returns {Promise<number>} a port of 127.0.0.1 that nobody listened on a moment ago, and that was not given before */
async function freePort() {
  for (;;) {
    const port = LOWEST_PORT + ((process.pid * PORTS_PER_PROCESS + portsGiven++) % PORT_COUNT);
    if (await isFree(port)) return port;
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

module.exports = { ServiceProcess, freePort };
