/**
 * A real OpenTelemetry Collector on ports of its own, which keep through restarts. What it took it writes into files, one
 * set for each start; `messages` decodes them with Python's generated classes, not with code of ours.
 */
"use strict";
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const { existsSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { freePort } = require("../../benchmarks/accuracy/service-process");
const { cleanEnvironment } = require("../harness/service");
const { scriptOutput } = require("./conformance/validator");
const { goProgram } = require("./go-programs");

const SIGNALS = ["profiles", "metrics", "logs"];
const START_MILLIS = 30_000;
/** Profiles are alpha: without the gate a configuration with such a pipeline is refused. */
const GATES = "--feature-gates=service.profilesSupport";
/** Its own metrics would want port 8888. */
const NO_OWN_METRICS = "--set=service::telemetry::metrics::level=none";

class CollectorProcess {
  stderr = "";

  /** @param args of the program, its configuration among them. */
  async start(args, { env = {}, cwd } = {}) {
    this.child = spawn(goProgram("collector"), [...args, GATES], {
      cwd,
      env: cleanEnvironment(env),
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.ended = once(this.child, "exit");
    let isReady = false;
    const ready = new Promise((resolve, reject) => {
      const fail = (why) => reject(new Error(`the Collector did not start: ${why}\n${this.stderr}`));
      const watchdog = setTimeout(() => fail(`not ready after ${START_MILLIS} ms`), START_MILLIS);
      this.child.once("exit", (code) => fail(`it ended with ${code}`));
      this.child.stderr.setEncoding("utf8").on("data", (text) => {
        this.stderr += text;
        if (isReady || !this.stderr.includes("Everything is ready")) return;
        isReady = true;
        clearTimeout(watchdog);
        resolve();
      });
    });
    await ready;
    return this;
  }

  /** SIGTERM lets it write what it holds. */
  async stop(signal = "SIGTERM") {
    if (this.child === undefined || this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill(signal);
    await this.ended;
  }
}

class RealCollector {
  starts = 0;

  /**
   * @param folder scratch. @param tls { cert_file, key_file } or null. @param prometheus whether it offers metrics there.
   * @param signals pipelines it has. @param downstream URL of an OTLP backend that gets profiles instead of a file.
   */
  static async create({ folder, tls = null, prometheus = false, signals = SIGNALS, downstream = null }) {
    const collector = new RealCollector();
    Object.assign(collector, { folder, tls, signals, downstream });
    collector.ports = { http: await freePort(), grpc: await freePort() };
    if (prometheus) collector.ports.prometheus = await freePort();
    return collector;
  }

  url(protocol) {
    const port = this.ports[protocol === "grpc" ? "grpc" : "http"];
    return `${this.tls === null ? "http" : "https"}://127.0.0.1:${port}`;
  }

  async start() {
    this.starts++;
    const config = join(this.folder, `collector-${this.starts}.yaml`);
    // YAML knows JSON.
    writeFileSync(config, JSON.stringify(this.configuration(), null, 2));
    this.process = await new CollectorProcess().start([`--config=${config}`]);
    return this;
  }

  async stop(signal) {
    await this.process?.stop(signal);
  }

  /** Every message that its lives have taken; it must have been stopped, or the last one may be cut. */
  messages(signal) {
    const all = Array.from({ length: this.starts }, (_, index) => this.file(signal, index + 1));
    return decodeMessages(signal, all.filter(existsSync), { framed: true });
  }

  file(signal, start) {
    return join(this.folder, `${signal}-${start}.pb`);
  }

  configuration() {
    const tls = this.tls === null ? {} : { tls: this.tls };
    const protocols = {
      grpc: { endpoint: `127.0.0.1:${this.ports.grpc}`, ...tls },
      http: { endpoint: `127.0.0.1:${this.ports.http}`, ...tls },
    };
    const exporters = {};
    const pipelines = {};
    for (const signal of this.signals) {
      exporters[`file/${signal}`] = { path: this.file(signal, this.starts), format: "proto", flush_interval: "200ms" };
      pipelines[signal] = { receivers: ["otlp"], exporters: [`file/${signal}`] };
    }
    if (this.ports.prometheus !== undefined) {
      const endpoint = `127.0.0.1:${this.ports.prometheus}`;
      exporters.prometheus = { endpoint, resource_to_telemetry_conversion: { enabled: true } };
      pipelines.metrics.exporters.push("prometheus");
    }
    if (this.downstream !== null) {
      // Neither queue nor retry: what the backend answers is what the receiver answers.
      const direct = { sending_queue: { enabled: false }, retry_on_failure: { enabled: false } };
      exporters["otlp_http/downstream"] = { endpoint: this.downstream, ...direct };
      pipelines.profiles.exporters = ["otlp_http/downstream"];
      delete exporters["file/profiles"];
    }
    return {
      receivers: { otlp: { protocols } },
      exporters,
      service: { telemetry: { metrics: { level: "none" } }, pipelines },
    };
  }
}

/** @param files uncompressed bodies, or with `framed` what a file exporter wrote. @returns a promise of one object a message. */
async function decodeMessages(signal, files, { framed = false } = {}) {
  if (files.length === 0) return [];
  const output = await scriptOutput("decode.py", [...(framed ? ["--framed"] : []), signal, ...files]);
  return output
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

module.exports = { CollectorProcess, NO_OWN_METRICS, RealCollector, SIGNALS, decodeMessages };
