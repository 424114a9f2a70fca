/** Owns one run of the measured service: starts it, asks it, ends it. Its environment holds no setting but what is given. */
"use strict";

const { fork, spawnSync } = require("node:child_process");
const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");

const ROOT = join(__dirname, "../..");
const PRELOAD = join(ROOT, "dist/preload.js");
const GATE = join(__dirname, "gate.js");
const DEADLINE_MILLIS = 60_000;

function cleanEnvironment(extra) {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(LEAK_AGENT_|OTEL_|DD_|PYROSCOPE_|NODE_OPTIONS$)/.test(name),
  );
  return { ...Object.fromEntries(kept), ...extra };
}

class ServiceProcess {
  #waiting = new Map();
  #nextId = 1;

  /**
   * @param variant of service.js.
   * @param preloads files for -r, in order.
   * @param pages of work that each request has beside its own, from calibration.js.
   * @param cpu the one CPU it may use; null for all.
   */
  static async start(variant, { preloads = [], env = {}, nodeArgs = [], cpu = null, pages = 0 } = {}) {
    const folder = mkdtempSync(join(tmpdir(), "leak-agent-bench-"));
    const service = new ServiceProcess();
    service.folder = folder;
    const execArgv = [...nodeArgs, ...preloads.flatMap((file) => ["-r", file])];
    service.child = fork(join(__dirname, "service.js"), [variant, String(pages)], {
      execArgv,
      env: cleanEnvironment({ NODE_ENV: "production", LEAK_AGENT_DIR: folder, LEAK_AGENT_LOG: "off", ...env }),
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    if (cpu !== null) pin(service.child.pid, cpu);
    service.ended = new Promise((resolve) => service.child.once("exit", resolve));
    service.child.on("message", (message) => service.#received(message));
    service.port = await service.#untilListening();
    return service;
  }

  #untilListening() {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the service did not start")), DEADLINE_MILLIS);
      this.#waiting.set("port", (message) => {
        clearTimeout(timer);
        resolve(message.port);
      });
      this.child.once("exit", (code) => {
        clearTimeout(timer);
        reject(new Error(`the service ended with code ${code} before it listened`));
      });
    });
  }

  #received(message) {
    const key = message.port === undefined ? message.id : "port";
    const settle = this.#waiting.get(key);
    this.#waiting.delete(key);
    settle?.(message);
  }

  ask(type, more = {}) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ value, error }) => (error === undefined ? resolve(value) : reject(new Error(error))));
      this.child.send({ id, type, ...more }, (error) => error && reject(error));
    });
  }

  async stop() {
    this.child.kill("SIGKILL");
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** @returns false where there is no taskset. */
function pin(processId, cpu) {
  return spawnSync("taskset", ["-a", "-cp", String(cpu), String(processId)]).status === 0;
}

module.exports = { GATE, PRELOAD, ROOT, ServiceProcess, cleanEnvironment, pin };
