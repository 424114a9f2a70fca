/** A real Prometheus on a port of its own, and promtool. Prometheus 3, built from its Go module. */
"use strict";
const assert = require("node:assert/strict");
const { spawn, spawnSync } = require("node:child_process");
const { once } = require("node:events");
const { mkdirSync, readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { setTimeout: delay } = require("node:timers/promises");
const { freePort } = require("../../benchmarks/accuracy/service-process");
const { ROOT } = require("../harness/service");
const { goProgram } = require("./go-programs");

const START_MILLIS = 30_000;
const SHIPPED = join(ROOT, "deploy/prometheus");

class Prometheus {
  stderr = "";

  /** @param folder scratch. @param config text of its configuration. @param args further ones of the program. */
  async start({ folder, config, args = [] }) {
    const file = join(folder, "prometheus.yaml");
    writeFileSync(file, config);
    const port = await freePort();
    this.url = `http://127.0.0.1:${port}`;
    const own = [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, "data")}`];
    this.child = spawn(goProgram("prometheus"), [...own, `--web.listen-address=127.0.0.1:${port}`, ...args], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.ended = once(this.child, "exit");
    this.child.stderr.setEncoding("utf8").on("data", (text) => {
      this.stderr += text;
    });
    const end = Date.now() + START_MILLIS;
    while (!(await this.isReady())) {
      const isOver = this.child.exitCode !== null || Date.now() > end;
      if (isOver) throw new Error(`Prometheus did not start\n${this.stderr}`);
      await delay(50);
    }
    return this;
  }

  async isReady() {
    try {
      return (await fetch(`${this.url}/-/ready`)).ok;
    } catch {
      return false; // It does not listen yet.
    }
  }

  async stop() {
    if (this.child === undefined || this.child.exitCode !== null) return;
    this.child.kill("SIGTERM");
    await this.ended;
  }

  async get(path) {
    const answer = await fetch(`${this.url}/api/v1/${path}`);
    const { status, data, error } = await answer.json();
    if (status !== "success") throw new Error(`${path}: ${error}`);
    return data;
  }

  /** @returns [{ labels, value }] of an instant query. */
  async query(expression) {
    const { result } = await this.get(`query?query=${encodeURIComponent(expression)}`);
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** Names of all series there ever were. */
  names() {
    return this.get("label/__name__/values");
  }

  /** Alerts that fire now: their labels. */
  async firing() {
    const { alerts } = await this.get("alerts");
    return alerts.filter(({ state }) => state === "firing").map(({ labels }) => labels);
  }
}

/** @returns { status, output } */
function promtool(args, cwd = SHIPPED) {
  const { status, stdout, stderr, error } = spawnSync(goProgram("promtool"), args, { cwd, encoding: "utf8" });
  if (error !== undefined) throw error;
  return { status, output: stdout + stderr };
}

/** Replaces text that must be there, so that a change of the shipped file cannot make a substitution void. */
function substituted(text, replacements) {
  return replacements.reduce((result, [from, to]) => {
    assert.ok(result.includes(from), `the shipped file has no ${JSON.stringify(from)}`);
    return result.replaceAll(from, to);
  }, text);
}

/**
 * A test has minutes where the shipped rules have days: only these lengths are changed, nothing else.
 * @returns the folder with the rules.
 */
function scaledRules(scratch) {
  const folder = join(scratch, "rules");
  mkdirSync(folder);
  const text = substituted(readFileSync(join(SHIPPED, "leak-agent.rules.yaml"), "utf8"), [
    ["interval: 1m", "interval: 1s"],
    ["[1d]", "[40s]"],
    ["[12h]", "[20s]"],
    ["offset 12h", "offset 20s"],
    ["for: 1d", "for: 20s"],
  ]);
  writeFileSync(join(folder, "leak-agent.rules.yaml"), text);
  return folder;
}

/** The shipped scrape configuration with the scaled rules, seconds in place of minutes, and the test's target. */
function scrapeConfiguration(rulesFolder, target) {
  return substituted(readFileSync(join(SHIPPED, "prometheus.yaml"), "utf8"), [
    ["scrape_interval: 30s", "scrape_interval: 1s"],
    ["evaluation_interval: 1m", "evaluation_interval: 1s"],
    ["- leak-agent.rules.yaml", `- ${join(rulesFolder, "leak-agent.rules.yaml")}`],
    ["collector:9464", target],
  ]);
}

/** Series that the table in docs/backends.md promises: histograms by their count. */
function documentedSeries() {
  const text = readFileSync(join(ROOT, "docs/backends.md"), "utf8");
  const rows = [...text.matchAll(/^\| `[a-z0-9_.]+` \| (\w+) \| `[^`]+` \| `(\w+)` \|$/gm)];
  assert.ok(rows.length >= 24, `${rows.length} metrics are documented`);
  return rows.map(([, kind, name]) => (kind === "histogram" ? `${name}_count` : name));
}

module.exports = { Prometheus, SHIPPED, documentedSeries, promtool, scaledRules, scrapeConfiguration };
