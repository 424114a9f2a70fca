/**
 * Prometheus 3 takes the metrics directly, with exactly the variables and options that docs/backends.md names for it, and
 * the shipped rules find their labels.
 */
"use strict";
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { after, before, describe, it } = require("node:test");
const { ROOT, filesBelow, temporaryFolder } = require("../harness/service");
const { Prometheus, documentedSeries, scaledRules } = require("./prometheus");
const { ShopRun } = require("./shop-run");

const SEED = 3;

/** The section of docs/backends.md. */
function section() {
  const [, text] = /^## Prometheus 3, directly\n([\s\S]*?)^## /m.exec(
    readFileSync(join(ROOT, "docs/backends.md"), "utf8"),
  );
  return text;
}

/** Its `export NAME=value` lines, for this Prometheus. */
function documentedVariables(url) {
  const lines = [...section().matchAll(/^export ([A-Z_]+)=(\S+)$/gm)];
  assert.ok(lines.length >= 1);
  return Object.fromEntries(lines.map(([, name, value]) => [name, value.replace("http://prometheus:9090", url)]));
}

function documentedOptions() {
  const [, option] = /`(--web\.enable-otlp-receiver)`/.exec(section());
  const [, promoted] = /`otlp: (\{promote_resource_attributes: \[[^\]]*\]\})`/.exec(section().replace(/\s+/g, " "));
  return { option, promoted };
}

describe("Prometheus 3 takes our metrics over OTLP", () => {
  const afterwards = [];
  const scratch = temporaryFolder({ after: (work) => afterwards.push(work) });
  const prometheus = new Prometheus();
  let shop;

  before(
    async () => {
      const { option, promoted } = documentedOptions();
      const rules = join(scaledRules(scratch), "leak-agent.rules.yaml");
      const config = `global: {evaluation_interval: 1s}\notlp: ${promoted}\nrule_files: ["${rules}"]\n`;
      afterwards.push(() => prometheus.stop());
      await prometheus.start({ folder: scratch, config, args: [option] });
      const folder = join(scratch, "agent");
      shop = await ShopRun.start({ seed: SEED, folder, env: documentedVariables(prometheus.url) });
      afterwards.push(() => shop.stop());
      const hasAll = async () => {
        const names = await prometheus.names();
        return [...documentedSeries(), "leak_agent:fleet_ln_e"].every((name) => names.includes(name));
      };
      await shop.until(hasAll, "every documented series");
    },
    { timeout: 400_000 },
  );

  after(async () => {
    for (const work of afterwards.reverse()) await work();
  });

  it("with the labels that the shipped rules sum over", async () => {
    const [{ labels }] = await prometheus.query("leak_agent_sampling_interval_bytes");
    assert.equal(labels.service_name, "shop");
    assert.ok(labels.service_instance_id);
    assert.equal(labels.instance, labels.service_instance_id);
    const [count] = await prometheus.query("leak_agent:processes:count");
    assert.deepEqual([count.labels.service_name, count.value], ["shop", 1]);
    const routes = await prometheus.query("leak_agent:fleet_ln_e");
    assert.ok(routes.some(({ labels: { http_route } }) => http_route === "/reports"));
  });

  it("all of them: the agent saw no refusal and lost no export", async () => {
    const lost = await prometheus.query("leak_agent_dropped_total != 0");
    assert.deepEqual(lost, []);
    assert.deepEqual(
      shop.service.agentLines.filter((line) => /ERR_LEAK_AGENT/.test(line)),
      [],
    );
  });

  it("and nothing else is sent", () => {
    assert.ok(!filesBelow(join(scratch, "agent")).some((file) => /\/spool\/profiles\//.test(file)));
  });
});
