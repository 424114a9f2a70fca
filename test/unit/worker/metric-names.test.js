"use strict";
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { join, resolve } = require("node:path");
const test = require("node:test");
const { METRICS } = require("../../../dist/worker/metric-names.js");

const ROOT = resolve(__dirname, "../../..");
const metrics = Object.values(METRICS);

/** As the Collector's exporter and Prometheus 3 do it: dots, then the unit, then `_total`. */
function prometheusName({ name, unit, kind }) {
  const base = name.replaceAll(".", "_");
  const word = { By: "bytes", s: "seconds" }[unit] ?? (unit.startsWith("{") ? "" : unit);
  return `${base}${word === "" ? "" : `_${word}`}${kind === "sum" ? "_total" : ""}`;
}

test("docs/backends.md lists every metric with kind, unit and its name in Prometheus", () => {
  const text = readFileSync(join(ROOT, "docs/backends.md"), "utf8");
  const rows = text.split("\n").filter((line) => /^\| `[a-z0-9_.]+` \| (sum|updown|gauge|histogram) \|/.test(line));
  assert.deepEqual(
    rows,
    metrics.map(
      (metric) => `| \`${metric.name}\` | ${metric.kind} | \`${metric.unit}\` | \`${prometheusName(metric)}\` |`,
    ),
  );
});

test("the shipped rules ask for metrics that exist", () => {
  const known = new Set(metrics.map(prometheusName));
  const rules = readFileSync(join(ROOT, "deploy/prometheus/leak-agent.rules.yaml"), "utf8");
  const labels = new Set(
    ["site_id", "finding_id", "impact", "verdict", "reason", "site_info"].map((name) => `leak_agent_${name}`),
  );
  const asked = [...rules.matchAll(/(?<![:\w])leak_agent_\w+/g)]
    .map(([name]) => name)
    .filter((name) => !labels.has(name));
  assert.ok(asked.length > 5);
  assert.deepEqual(
    asked.filter((name) => !known.has(name)),
    [],
  );
});

test("no gauge has the unit 1, which Prometheus would append as _ratio", () => {
  assert.deepEqual(
    metrics.filter((metric) => metric.unit === "1"),
    [],
  );
});
