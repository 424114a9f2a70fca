/**
 * Our request bodies of OTLP Profiles keep every rule of the validator in conformance/, and a body that breaks a rule does
 * not pass it. Needs Python and, once, PyPI.
 */
"use strict";
const assert = require("node:assert/strict");
const { mkdtempSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { after, describe, it } = require("node:test");
const { OtlpProfileBuilder } = require("../../dist/export/otlp-profiles.js");
const { decodeCapture } = require("../../dist/model/capture.js");
const { loadNative } = require("../../dist/native.js");
const { Dictionary } = require("../../dist/worker/dictionary.js");
const { NodeTable } = require("../../dist/worker/node-table.js");
const { FakeCollector } = require("../harness/fake-collector");
const { ProfilesRequest } = require("../harness/otlp-profiles-decoder");
const { APPS, PRELOAD, Service, temporaryFolder } = require("../harness/service");
const { RESOURCE, TIMES, VERSION, builderOf, encode, extremeBodies, ordinaryRows } = require("../harness/otlp-bodies");
const { breakBody, ruleNames, runScript, validate } = require("./conformance/validator");

const scratch = mkdtempSync(join(tmpdir(), "leak-agent-conformance-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

function write(name, body) {
  const file = join(scratch, `${name.replace(/\W+/g, "-")}.pb`);
  writeFileSync(file, body);
  return file;
}

function assertConforms(files) {
  const { status, broken } = validate(files, { leakAgent: true });
  for (const [file, rules] of broken) assert.deepEqual([...rules], [], file);
  assert.equal(status, 0);
}

/** The live heap of this process, as V8's sampler sees it. */
function bodiesOfOwnHeap() {
  const { addon } = loadNative();
  const intervalBytes = 4_095;
  assert.equal(addon.startSampler(intervalBytes, 64), "started");
  const kept = Array.from({ length: 40 }, (_, round) => {
    const make = new Function(
      `return function größe${round}() { return Array.from({ length: 99 }, () => [1, {}]); }`,
    )();
    return [make(), JSON.parse(JSON.stringify(ordinaryRows()))];
  });
  const capture = decodeCapture(addon.capture());
  addon.stopSampler();
  const nodes = new NodeTable(new Dictionary());
  assert.equal(nodes.absorb(capture.newNodes), true);
  const builder = new OtlpProfileBuilder();
  const owners = ["request", "background-of", "background", "startup", "unattributed", "agent"];
  for (let index = 0; index < capture.sampleCount; index++) {
    const node = nodes.get(capture.nodeIds[index]) ?? null;
    const kind = owners[index % owners.length];
    builder.add(node, kind, `GET /route/${index % 7}`, capture.sizesBytes[index], intervalBytes, index % 2, "");
  }
  assert.ok(builder.sampleCount > 100 && kept.length > 0, `${builder.sampleCount} samples`);
  return builder.encodeRequests(RESOURCE, VERSION, { ...TIMES, intervalBytes });
}

describe("a body of ours conforms", () => {
  it("made from a real heap", () => {
    assertConforms(bodiesOfOwnHeap().map((body, index) => write(`heap-${index}`, body)));
  });

  it("sent by the agent of a running service", { timeout: 120_000 }, async (context) => {
    const collector = await new FakeCollector().listen();
    context.after(() => collector.close());
    const service = new Service(["-r", PRELOAD, join(APPS, "leaking-service.js")], {
      deadlineMillis: 100_000,
      env: {
        LEAK_AGENT_DIR: temporaryFolder(context),
        LEAK_AGENT_HORIZON: "30s",
        LEAK_AGENT_EXPORT_INTERVAL: "1s",
        OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT: `${collector.url}/v1development/profiles`,
      },
    });
    context.after(() => service.stop());
    const routesOf = (body) =>
      new ProfilesRequest(body).samples("inuse_space").map(({ attributes }) => attributes["http.route"]);
    await service.until(() => collector.received.some((body) => routesOf(body).includes("/leak")), "/leak was sent");
    await service.until(() => collector.received.length >= 3, "three profiles were sent");
    service.say("leave");
    await service.ended;
    assertConforms(collector.received.map((body, index) => write(`service-${index}`, body)));
  });

  for (const [name, bodies] of Object.entries(extremeBodies())) {
    it(name, () => assertConforms(bodies.map((body, index) => write(`${name}-${index}`, body))));
  }
});

describe("a broken body is found out", () => {
  const good = write("good", encode(builderOf(ordinaryRows())));
  const cases = breakBody(good, scratch);
  const brokenOf = (leakAgent) => {
    const files = cases.filter((entry) => entry.agent === leakAgent).map((entry) => entry.file);
    return validate(files, { leakAgent }).broken;
  };
  const broken = new Map([...brokenOf(false), ...brokenOf(true)]);

  it("for each rule in at least one way", () => {
    const rules = ruleNames({ leakAgent: true });
    assert.deepEqual([...new Set(cases.map((entry) => entry.rule))].sort(), rules.sort());
  });

  for (const { file, rule, what, also } of cases) {
    it(`${rule}: ${what}`, () => {
      const found = broken.get(file);
      assert.ok(found.has(rule), `found only: ${[...found]}`);
      assert.deepEqual(
        [...found].filter((name) => name !== rule && !also.includes(name)),
        [],
      );
    });
  }

  it("by the exit code, with its file and rule in the output", () => {
    const { file, rule } = cases.find((entry) => entry.rule === "no-orphans");
    const { status, stdout } = runScript("validate.py", [good, file]);
    assert.equal(status, 1);
    assert.match(stdout, new RegExp(`^${file}: ${rule}: mapping_table\\[1\\]: nothing refers to it\n$`));
    assert.equal(runScript("validate.py", [good]).status, 0);
    assert.equal(runScript("validate.py", []).status, 2);
  });
});
