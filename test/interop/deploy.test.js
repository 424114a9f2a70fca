/** What deploy/ ships is what the real programs take: the Collector's own validation, promtool's checks and unit tests. */
"use strict";
const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { ROOT, cleanEnvironment } = require("../harness/service");
const { goProgram } = require("./go-programs");
const { promtool } = require("./prometheus");

const COLLECTOR = join(ROOT, "deploy/collector/collector.yaml");
const KUBERNETES = readFileSync(join(ROOT, "deploy/kubernetes/collector.yaml"), "utf8");
const GATE = "--feature-gates=service.profilesSupport";

function validateCollector(args) {
  const { status, stdout, stderr } = spawnSync(goProgram("collector"), ["validate", ...args], {
    encoding: "utf8",
    env: cleanEnvironment(),
  });
  return { status, output: stdout + stderr };
}

test("the Collector accepts its configuration, with the documented gate only", () => {
  const { status, output } = validateCollector([`--config=${COLLECTOR}`, GATE]);
  assert.equal(status, 0, output);
  const without = validateCollector([`--config=${COLLECTOR}`]);
  assert.notEqual(without.status, 0);
  assert.match(without.output, /profilesSupport/);
  assert.match(readFileSync(COLLECTOR, "utf8"), new RegExp(GATE), "the file names the gate");
});

test("the Collector accepts the arguments of the Kubernetes example, of the version that is tested", () => {
  const [, list] = /^ +args: (\[.*\])$/m.exec(KUBERNETES);
  const args = JSON.parse(list).map((word) => word.replace("/etc/collector/collector.yaml", COLLECTOR));
  assert.ok(args.includes(`--config=${COLLECTOR}`));
  const { status, output } = validateCollector(args);
  assert.equal(status, 0, output);
  const [, version] = /image: otel\/opentelemetry-collector-contrib:(\d+\.\d+)\./.exec(KUBERNETES);
  const [, tested] = /^\s*go\.opentelemetry\.io\/collector\/receiver\/otlpreceiver v(\d+\.\d+)\./m.exec(
    readFileSync(join(__dirname, "collector/go.mod"), "utf8"),
  );
  assert.equal(version, tested);
});

for (const [what, args] of [
  ["the rules", ["check", "rules", "leak-agent.rules.yaml"]],
  ["the scrape configuration", ["check", "config", "prometheus.yaml"]],
  ["the rules' unit tests", ["test", "rules", "leak-agent.rules.test.yaml"]],
]) {
  test(`promtool passes ${what}`, () => {
    const { status, output } = promtool(args);
    assert.equal(status, 0, output);
    assert.match(output, /SUCCESS/);
  });
}
