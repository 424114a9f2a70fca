"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const { join } = require("node:path");
const { describe, it } = require("node:test");
const { readConfiguration } = require("../../../dist/config.js");
const { AgentFolder } = require("../../../dist/export/folder.js");
const { AgentLog } = require("../../../dist/worker/log.js");
const { Pipeline } = require("../../../dist/worker/pipeline.js");
const { detectResource, identityOf } = require("../../../dist/worker/resource.js");
const { SdkModules } = require("../../../dist/worker/sdk-modules.js");
const { Telemetry } = require("../../../dist/worker/telemetry.js");
const { FakeCollector } = require("../../harness/fake-collector.js");
const { fieldsOf, startReceiver } = require("./otlp-receiver.js");
const { simulatedProbe } = require("./simulated-probe.js");

const START_MILLIS = 1_764_064_800_000;
const FLUSH_MILLIS = 20_000;
const CUMULATIVE = 2;
const DELTA = 1;

/** Another line of the SDK: the folder whose node_modules hold it. */
const SDK_PATH = require.resolve("@opentelemetry/sdk-node", { paths: [process.env["TEST_SDK_FOLDER"] ?? __dirname] });

/** The same data in a form that needs no decoder. */
class JsonModules extends SdkModules {
  get metricsSerializer() {
    return this.transformer.JsonMetricsSerializer;
  }

  get logsSerializer() {
    return this.transformer.JsonLogsSerializer;
  }
}

/** A worker's pipeline that exports to `receiver`, and a probe that feeds it. */
function exportingAgent(
  context,
  receiver,
  { env = {}, isJson = true, folder = null, restartCount = 0, leakingRoutes = undefined, problemCount = 0 } = {},
) {
  const saved = { ...process.env };
  context.after(() => {
    for (const name of Object.keys(process.env)) if (!(name in saved)) delete process.env[name];
    Object.assign(process.env, saved);
  });
  const variables = {
    LEAK_AGENT_HORIZON: "30s",
    LEAK_AGENT_EXPORT_INTERVAL: "1h",
    OTEL_SERVICE_NAME: "shop",
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_PROFILES_EXPORTER: "none",
    OTEL_EXPORTER_OTLP_TIMEOUT: "1000",
    ...env,
  };
  Object.assign(process.env, variables);
  const { settings, problems } = readConfiguration(process.env);
  assert.equal(problems.length, problemCount, problems.join("\n"));
  const lines = [];
  const log = new AgentLog("stderr", null, (line) => lines.push(JSON.parse(line)));
  const start = {
    settings,
    problems,
    restartCount,
    processStartMillis: START_MILLIS,
    mainScript: "/srv/shop/server.js",
    workingDirectory: "/srv/shop",
  };
  const files = folder === null ? null : new AgentFolder(folder, settings.directoryLimitBytes, () => {});
  const pipeline = new Pipeline({
    start,
    folder: files,
    log,
    ask: () => {},
    processId: 4_242,
    now: () => START_MILLIS,
    resource: () => detectResource(new SdkModules(SDK_PATH).resources, identityOf(start, 4_242)),
    createTelemetry: (options) =>
      Telemetry.create({ ...options, modules: () => new (isJson ? JsonModules : SdkModules)(SDK_PATH) }),
  });
  context.after(() => pipeline.telemetry?.close(0));
  const probe = simulatedProbe({ root: "/srv/shop", leaks: true, leakingRoutes });
  return {
    pipeline,
    lines,
    probe,
    telemetry: pipeline.telemetry,
    run(seconds) {
      for (let second = 0; second < seconds; second++) pipeline.handle(probe.next());
    },
    flush: () => pipeline.telemetry.flush(FLUSH_MILLIS),
  };
}

const reading = (metrics, name, attributes = {}) =>
  metrics
    .get(name)
    ?.points.find((point) => Object.entries(attributes).every(([key, value]) => point.attributes[key] === value))
    ?.value;

describe("metrics and findings of a leaking service", () => {
  it("arrive under the names, kinds and units that dashboards are written against", async (context) => {
    const receiver = await startReceiver(context);
    const agent = exportingAgent(context, receiver);
    agent.pipeline.handle(agent.probe.hello());
    agent.run(60);
    await agent.flush();
    const metrics = receiver.metrics();
    const shape = ({ kind, unit, isMonotonic, temporality }) =>
      kind === "gauge" ? `gauge ${unit}` : `${kind}${isMonotonic ? " monotonic" : ""} ${unit} ${temporality}`;
    assert.deepEqual(Object.fromEntries([...metrics].map(([name, metric]) => [name, shape(metric)]).sort()), {
      "leak_agent.agent.cpu.time": `sum monotonic s ${CUMULATIVE}`,
      "leak_agent.agent.memory.usage": `sum By ${CUMULATIVE}`,
      "leak_agent.breaker.openings": `sum monotonic {opening} ${CUMULATIVE}`,
      "leak_agent.breaker.state": "gauge {state}",
      "leak_agent.capture.pause": `histogram s ${CUMULATIVE}`,
      "leak_agent.captures.skipped": `sum monotonic {capture} ${CUMULATIVE}`,
      "leak_agent.cohorts.freed": `sum monotonic {cohort} ${CUMULATIVE}`,
      "leak_agent.cohorts.matured": `sum monotonic {cohort} ${CUMULATIVE}`,
      "leak_agent.dropped": `sum monotonic {item} ${CUMULATIVE}`,
      "leak_agent.evidence.ln_e": "gauge {nat}",
      "leak_agent.evidence.ln_threshold": "gauge {nat}",
      "leak_agent.exposure.requests": `sum monotonic {request} ${CUMULATIVE}`,
      "leak_agent.freed.size": `sum monotonic By ${CUMULATIVE}`,
      "leak_agent.heap.post_gc": "gauge By",
      "leak_agent.mature.size": "gauge By",
      "leak_agent.memory.headroom": "gauge By",
      "leak_agent.retained.size": `sum monotonic By ${CUMULATIVE}`,
      "leak_agent.retained.variance": `sum monotonic By2 ${CUMULATIVE}`,
      "leak_agent.samples": `sum monotonic {sample} ${CUMULATIVE}`,
      "leak_agent.sampling.interval": "gauge By",
      "leak_agent.site.info": "gauge {site}",
      "leak_agent.verdict": "gauge {finding}",
      "process.cpu.time": `sum monotonic s ${CUMULATIVE}`,
      "process.memory.usage": `sum By ${CUMULATIVE}`,
      "process.uptime": "gauge s",
      "v8js.gc.duration": `histogram s ${CUMULATIVE}`,
      "v8js.memory.heap.limit": `sum By ${CUMULATIVE}`,
      "v8js.memory.heap.used": `sum By ${CUMULATIVE}`,
    });
  });

  it("carry route, site and growth; the sums of a site and of the rest add up", async (context) => {
    const receiver = await startReceiver(context);
    const agent = exportingAgent(context, receiver);
    agent.pipeline.handle(agent.probe.hello());
    agent.run(60);
    await agent.flush();
    agent.run(60);
    await agent.flush();
    const metrics = receiver.metrics();
    const route = { "http.route": "/leak/:id", "http.request.method": "GET" };
    const [info] = metrics.get("leak_agent.site.info").points;
    const { "leak_agent.site.id": siteId, ...names } = info.attributes;
    assert.deepEqual(names, {
      "leak_agent.site.function": "remember",
      "leak_agent.site.file": "lib/metrics.js",
      "leak_agent.site.package": "app",
    });
    const ofSite = { ...route, "leak_agent.site.id": siteId };
    const ofRest = { ...route, "leak_agent.site.id": "(other)" };
    assert.equal(
      reading(metrics, "leak_agent.cohorts.matured", ofSite),
      60,
      "one cohort a second since the site is known",
    );
    assert.ok(reading(metrics, "leak_agent.cohorts.matured", ofRest) > 0);
    assert.equal(reading(metrics, "leak_agent.cohorts.freed", ofSite), 0);
    // 4 samples a second of 400 bytes, each for 1/p objects.
    const expected = (60 * 4 * 400) / -Math.expm1(-400 / 16_385);
    assert.ok(Math.abs(reading(metrics, "leak_agent.retained.size", ofSite) / expected - 1) < 1e-9);
    assert.equal(
      reading(metrics, "leak_agent.mature.size", ofSite),
      reading(metrics, "leak_agent.retained.size", ofSite) - reading(metrics, "leak_agent.freed.size", ofSite),
    );
    assert.equal(reading(metrics, "leak_agent.exposure.requests", route), 120 * 40);
    assert.equal(reading(metrics, "leak_agent.exposure.requests", { "http.route": "/clean" }), 120 * 40);
    assert.ok(
      reading(metrics, "leak_agent.evidence.ln_e", ofSite) >
        reading(metrics, "leak_agent.evidence.ln_threshold", ofSite),
    );
    assert.equal(reading(metrics, "leak_agent.sampling.interval"), 16_385);
    const pauses = metrics.get("leak_agent.capture.pause").points[0];
    assert.equal(Number(pauses.count), 120);
  });

  it("of a finding about many routes: its site stands apart on each of them, and nothing is counted twice", async (context) => {
    const receiver = await startReceiver(context);
    const leakingRoutes = Array.from("abcdefghijklmnopqrstuvwxyz", (station) => `GET /watch/${station}`);
    const agent = exportingAgent(context, receiver, { leakingRoutes });
    agent.pipeline.handle(agent.probe.hello());
    agent.run(100);
    await agent.flush();
    agent.run(60);
    await agent.flush();
    const metrics = receiver.metrics();
    const verdict = metrics
      .get("leak_agent.verdict")
      .points.find(({ attributes }) => attributes["leak_agent.verdict"] === "leak");
    assert.equal(verdict.attributes["http.route"], "/watch/:id");
    const siteId = verdict.attributes["leak_agent.site.id"];
    assert.ok(reading(metrics, "leak_agent.site.info", { "leak_agent.site.id": siteId }) === 1);
    const sizes = metrics.get("leak_agent.retained.size").points;
    const ofSite = sizes.filter(({ attributes }) => attributes["leak_agent.site.id"] === siteId);
    assert.deepEqual(
      ofSite.map(({ attributes }) => `GET ${attributes["http.route"]}`).sort(),
      leakingRoutes,
      "each route once, and no series of the template",
    );
    const sample = 400 / -Math.expm1(-400 / 16_385);
    const sum = (points) => points.reduce((total, { value }) => total + value, 0);
    assert.ok(Math.abs(sum(ofSite) / (60 * 4 * sample) - 1) < 1e-9, `${sum(ofSite) / sample} samples`);
    const onRoutes = sizes.filter(({ attributes }) => attributes["http.route"].startsWith("/watch/"));
    assert.ok(sum(onRoutes) <= 160 * 4 * sample * (1 + 1e-9));
  });

  it("are one log event for each change of a verdict, with the finding of findings.jsonl as body", async (context) => {
    const receiver = await startReceiver(context);
    const folder = fs.mkdtempSync(join(os.tmpdir(), "telemetry-test-"));
    context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    const agent = exportingAgent(context, receiver, { folder });
    agent.pipeline.handle(agent.probe.hello());
    agent.run(120);
    await agent.flush();
    const records = receiver.logRecords();
    const findings = fs
      .readFileSync(join(folder, "findings.jsonl"), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.ok(findings.some((finding) => finding.verdict === "leak"));
    assert.deepEqual(
      records.map((record) => record.body),
      findings,
    );
    for (const [index, record] of records.entries()) {
      const finding = findings[index];
      assert.equal(record.eventName, "leak_agent.finding");
      assert.equal(record.severityNumber, finding.verdict === "leak" ? 13 : 9);
      assert.equal(Number(record.timeUnixNano) / 1e6, Date.parse(finding.time));
      assert.equal(record.attributes["leak_agent.finding.id"], finding.id);
      assert.equal(record.attributes["leak_agent.verdict"], finding.verdict);
      assert.equal(record.attributes["leak_agent.impact"], finding.impact);
      assert.equal(record.attributes["http.route"], "/leak/:id");
    }
    const standing = receiver.metrics().get("leak_agent.verdict").points;
    assert.deepEqual(
      standing.map(({ attributes }) => [attributes["leak_agent.finding.id"], attributes["leak_agent.verdict"]]),
      [[findings.at(-1).id, findings.at(-1).verdict]],
      "the verdict before is gone from the metrics",
    );
  });

  it("name the process in their resource, and never its arguments", async (context) => {
    const receiver = await startReceiver(context);
    const agent = exportingAgent(context, receiver, {
      env: { OTEL_RESOURCE_ATTRIBUTES: "k8s.pod.name=shop-1,service.version=7,service.name=no" },
    });
    agent.pipeline.handle(agent.probe.hello());
    agent.run(1);
    await agent.flush();
    const resource = receiver.resource("/v1/metrics");
    assert.equal(resource["service.name"], "shop");
    assert.equal(resource["service.version"], "7");
    assert.equal(resource["k8s.pod.name"], "shop-1");
    assert.equal(resource["service.instance.id"], `${START_MILLIS.toString(36)}-4242`);
    assert.equal(resource["process.pid"], process.pid);
    assert.equal(resource["process.runtime.name"], "nodejs");
    assert.equal(resource["process.runtime.version"], process.versions.node);
    assert.equal(resource["process.command"], "/srv/shop/server.js");
    assert.equal(resource["host.name"], os.hostname());
    assert.equal(resource["process.command_args"], undefined);
  });

  it("say of the service all that can be read of OTEL_RESOURCE_ATTRIBUTES", async (context) => {
    const receiver = await startReceiver(context);
    const agent = exportingAgent(context, receiver, {
      env: { OTEL_RESOURCE_ATTRIBUTES: "service.namespace=ns,key only,k=%zz,a%2Cb=v=w,service.instance.id=pod-1" },
      problemCount: 1,
    });
    agent.pipeline.handle(agent.probe.hello());
    agent.run(1);
    await agent.flush();
    const resource = receiver.resource("/v1/metrics");
    const said = ["service.namespace", "a,b", "service.instance.id", "k"].map((key) => resource[key]);
    assert.deepEqual(said, ["ns", "v=w", "pod-1", undefined]);
  });

  it("go to the signal's own endpoint with the headers, in protobuf with gzip", async (context) => {
    const receiver = await startReceiver(context);
    const agent = exportingAgent(context, receiver, {
      isJson: false,
      env: {
        OTEL_EXPORTER_OTLP_HEADERS: "x-scope=team%20a",
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${receiver.url}/here/metrics`,
        OTEL_EXPORTER_OTLP_METRICS_HEADERS: "x-key=secret",
      },
    });
    agent.pipeline.handle(agent.probe.hello());
    agent.run(60);
    await agent.flush();
    const [metrics] = receiver.accepted("/here/metrics");
    const [logs] = receiver.accepted("/v1/logs");
    assert.equal(metrics.headers["content-type"], "application/x-protobuf");
    assert.equal(metrics.headers["content-encoding"], "gzip");
    assert.equal(metrics.headers["x-key"], "secret");
    assert.equal(logs.headers["x-scope"], "team a");
    assert.equal(logs.headers["x-key"], undefined);
    // ExportMetricsServiceRequest.resource_metrics=1 .scope_metrics=2 .metrics=2 .name=1
    const [resourceMetrics] = fieldsOf(metrics.body).get(1);
    const [scopeMetrics] = fieldsOf(resourceMetrics).get(2);
    const names = fieldsOf(scopeMetrics)
      .get(2)
      .map((metric) => String(fieldsOf(metric).get(1)[0]));
    assert.ok(names.includes("leak_agent.retained.size"));
    // ExportLogsServiceRequest.resource_logs=1 .scope_logs=2 .log_records=2 .event_name=12
    const [resourceLogs] = fieldsOf(logs.body).get(1);
    const [scopeLogs] = fieldsOf(resourceLogs).get(2);
    const [record] = fieldsOf(scopeLogs).get(2);
    assert.equal(String(fieldsOf(record).get(12)[0]), "leak_agent.finding");
    assert.ok(!JSON.stringify(agent.lines).includes("secret"));
  });

  it("are differences where the backend wants them", async (context) => {
    const receiver = await startReceiver(context);
    const agent = exportingAgent(context, receiver, {
      env: { OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "delta" },
    });
    agent.pipeline.handle(agent.probe.hello());
    agent.run(60);
    await agent.flush();
    agent.run(10);
    await agent.flush();
    const metrics = receiver.metrics();
    assert.equal(metrics.get("leak_agent.exposure.requests").temporality, DELTA);
    assert.equal(reading(metrics, "leak_agent.exposure.requests", { "http.route": "/clean" }), 10 * 40);
    assert.equal(Number(metrics.get("leak_agent.capture.pause").points[0].count), 10);
    assert.equal(metrics.get("v8js.memory.heap.used").temporality, CUMULATIVE);
  });

  it("count a route that is folded into another one once, in differences too", async (context) => {
    const receiver = await startReceiver(context);
    const agent = exportingAgent(context, receiver, {
      env: { OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "delta" },
    });
    agent.pipeline.handle(agent.probe.hello());
    agent.run(60);
    await agent.flush();
    agent.pipeline.handle({ ...agent.probe.next(), routeAliases: [[2, 1]] });
    await agent.flush();
    const { points } = receiver.metrics().get("leak_agent.exposure.requests");
    assert.deepEqual(
      points.map(({ attributes, value }) => [attributes["http.route"], value]),
      [["/leak/:id", 2 * 40]],
    );
  });
});

describe("a Collector's real answers", () => {
  /** What each kind of request gets, by its path. */
  async function collector(context, protocol, behave = () => "ok") {
    const fake = await new FakeCollector({ protocol }).listen();
    fake.behave = behave;
    context.after(() => fake.close());
    return fake;
  }

  const complaints = (agent) =>
    agent.lines.filter((line) => line.code === "ERR_LEAK_AGENT_EXPORT").map(({ msg }) => msg);

  it("over gRPC: metrics and events arrive at their services, with the headers", async (context) => {
    const fake = await collector(context, "grpc");
    const agent = exportingAgent(context, fake, {
      isJson: false,
      env: { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc", OTEL_EXPORTER_OTLP_HEADERS: "x-key=secret" },
    });
    agent.pipeline.handle(agent.probe.hello());
    agent.run(60);
    await agent.flush();
    const paths = new Set(fake.requests.map((headers) => headers[":path"]));
    assert.deepEqual([...paths].sort(), [
      "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
      "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    ]);
    assert.ok(fake.requests.every((headers) => headers["x-key"] === "secret"));
    assert.ok(fake.received.some((body) => body.includes("leak_agent.retained.size")));
    assert.ok(fake.received.some((body) => body.includes("leak-agent.finding/1")));
    assert.deepEqual(complaints(agent), []);
  });

  it("its success with an empty partial success is no complaint", async (context) => {
    const fake = await collector(context, "http/protobuf");
    const agent = exportingAgent(context, fake, { isJson: false });
    agent.pipeline.handle(agent.probe.hello());
    agent.run(60);
    await agent.flush();
    assert.ok(fake.received.length >= 2);
    assert.deepEqual(complaints(agent), []);
  });

  it("a partial success is told and counted", async (context) => {
    const fake = await collector(context, "http/protobuf", () => "partial");
    const agent = exportingAgent(context, fake, { isJson: false, env: { OTEL_LOGS_EXPORTER: "none" } });
    agent.pipeline.handle(agent.probe.hello());
    agent.run(10);
    await agent.flush();
    assert.deepEqual(complaints(agent), [
      `${fake.url}/v1/metrics (http/protobuf) left out 2 data points: too old; told once`,
    ]);
  });

  for (const answer of ["garbage-body", "hang", "reset-answer", "404"]) {
    it(`a backend that answers with ${answer} costs nothing but its signals`, async (context) => {
      const fake = await collector(context, "http/protobuf", () => answer);
      const agent = exportingAgent(context, fake, {
        isJson: false,
        env: { OTEL_EXPORTER_OTLP_TIMEOUT: "300" },
      });
      agent.pipeline.handle(agent.probe.hello());
      agent.run(120);
      await agent.flush();
      assert.ok(fake.requests.length > 0);
      assert.ok(
        agent.lines.some((line) => line.verdict === "leak"),
        "the finding is in the log all the same",
      );
    });
  }
});

describe("telemetry without a willing backend", () => {
  it("leaves the globals of OpenTelemetry's API to the service", async (context) => {
    const { createRequire } = require("node:module");
    const api = createRequire(SDK_PATH)("@opentelemetry/api");
    const own = { getMeter: () => "the service's meter" };
    assert.ok(api.metrics.setGlobalMeterProvider(own), "nobody was there before");
    context.after(() => api.metrics.disable());
    const globals = () => ({
      ...globalThis[Symbol.for("opentelemetry.js.api.1")],
      logs: globalThis[Symbol.for("io.opentelemetry.js.api.logs")],
    });
    const before = globals();
    assert.ok(Object.keys(before).includes("metrics"));
    const receiver = await startReceiver(context);
    const agent = exportingAgent(context, receiver);
    agent.pipeline.handle(agent.probe.hello());
    agent.run(120);
    await agent.flush();
    await agent.telemetry.close(FLUSH_MILLIS);
    assert.ok(receiver.metrics().size > 0 && receiver.logRecords().length > 0);
    assert.deepEqual(globals(), before);
    assert.equal(api.metrics.getMeter(), "the service's meter");
  });

  it("is not there without an endpoint", (context) => {
    const agent = exportingAgent(context, { url: "" });
    assert.equal(agent.telemetry, null);
  });

  it("keeps findings that were refused for a while, and loses none", async (context) => {
    const receiver = await startReceiver(context);
    const agent = exportingAgent(context, receiver, { env: { OTEL_METRICS_EXPORTER: "none" } });
    receiver.statuses = [503];
    agent.pipeline.handle(agent.probe.hello());
    agent.run(120);
    await receiver.until(() => receiver.logRecords().length >= 2);
    await agent.flush();
    assert.equal(receiver.requests[0].status, 503);
    assert.deepEqual(
      receiver.logRecords().map((record) => record.attributes["leak_agent.verdict"]),
      ["watch", "leak"],
    );
    const told = agent.lines.filter((line) => line.signal === "logs");
    assert.deepEqual(
      told.map((line) => line.level),
      ["warn", "info"],
      "the outage and its end are told once each",
    );
  });

  it("counts what a backend refuses for good, and tells it once", async (context) => {
    const receiver = await startReceiver(context);
    const agent = exportingAgent(context, receiver);
    receiver.statusOf = { "/v1/metrics": 400, "/v1/logs": 400 };
    agent.pipeline.handle(agent.probe.hello());
    agent.run(120);
    await agent.flush();
    receiver.statusOf = {};
    await agent.flush();
    const metrics = receiver.metrics();
    assert.equal(reading(metrics, "leak_agent.dropped", { "leak_agent.reason": "metrics_refused" }), 1);
    assert.equal(reading(metrics, "leak_agent.dropped", { "leak_agent.reason": "logs_refused" }), 2);
    assert.equal(receiver.logRecords().length, 0);
    const warnings = agent.lines.filter((line) => line.code === "ERR_LEAK_AGENT_EXPORT");
    assert.deepEqual(warnings.map((line) => line.signal).sort(), ["logs", "metrics"]);
  });

  it("counts what a backend left out, and never sends it again", async (context) => {
    const receiver = await startReceiver(context);
    const agent = exportingAgent(context, receiver);
    receiver.answerOf = { "/v1/metrics": {}, "/v1/logs": { rejected: 1, message: "too old" } };
    agent.pipeline.handle(agent.probe.hello());
    agent.run(120);
    await agent.flush();
    receiver.answerOf["/v1/metrics"] = { rejected: 7, message: "too many" };
    await agent.flush();
    await agent.flush();
    const metrics = receiver.metrics();
    assert.equal(reading(metrics, "leak_agent.dropped", { "leak_agent.reason": "metrics_left_out" }), 7);
    assert.equal(reading(metrics, "leak_agent.dropped", { "leak_agent.reason": "logs_left_out" }), 2);
    assert.deepEqual([receiver.accepted("/v1/logs").length, receiver.accepted("/v1/metrics").length], [2, 3]);
    const warnings = agent.lines.filter((line) => line.code === "ERR_LEAK_AGENT_EXPORT").map((line) => line.msg);
    assert.deepEqual(warnings, [
      `${receiver.url}/v1/logs (http/protobuf) left out 1 log records: too old; told once`,
      `${receiver.url}/v1/metrics (http/protobuf) left out 7 data points: too many; told once`,
    ]);
  });

  it("sends the newest totals after an outage, not each of those in between", async (context) => {
    const receiver = await startReceiver(context);
    const agent = exportingAgent(context, receiver, { env: { OTEL_LOGS_EXPORTER: "none" } });
    receiver.statuses = [503];
    agent.pipeline.handle(agent.probe.hello());
    for (let round = 0; round < 4; round++) {
      agent.run(10);
      await agent.flush();
    }
    assert.equal(receiver.requests.length, 1, "the backend is known to be away");
    await receiver.until(() => receiver.accepted("/v1/metrics").length >= 1);
    const [newest] = receiver.accepted("/v1/metrics");
    const requestsIn = ({ body }) =>
      JSON.parse(body)
        .resourceMetrics[0].scopeMetrics[0].metrics.find(({ name }) => name === "leak_agent.exposure.requests")
        .sum.dataPoints.map((point) => Number(point.asInt));
    assert.deepEqual(requestsIn(newest), [1_600, 1_600]);
    await agent.flush();
    const replaced = { "leak_agent.reason": "metrics_replaced" };
    assert.equal(reading(receiver.metrics(), "leak_agent.dropped", replaced), 3);
  });

  for (const [name, status] of [
    ["answers 503", 503],
    ["throttles", 429],
  ]) {
    it(`asks nothing of a backend that ${name} when the process leaves`, async (context) => {
      const receiver = await startReceiver(context);
      const folder = fs.mkdtempSync(join(os.tmpdir(), "telemetry-test-"));
      context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
      const agent = exportingAgent(context, receiver, { folder });
      receiver.statusOf = { "/v1/metrics": status, "/v1/logs": status };
      agent.pipeline.handle(agent.probe.hello());
      agent.run(120);
      await agent.flush();
      assert.deepEqual(receiver.requests.map(({ path }) => path).sort(), ["/v1/logs", "/v1/metrics"]);
      agent.run(1);
      await agent.telemetry.close(FLUSH_MILLIS);
      assert.equal(receiver.requests.length, 2, "nothing was tried at the exit");
      const waiting = (signal) => fs.readdirSync(join(folder, "spool", signal)).filter((file) => /\.otlp$/.test(file));
      assert.equal(waiting("logs").length, 2, "both findings wait for the next life");
      assert.ok(waiting("metrics").length >= 1, "and so do the last totals");
    });
  }

  it("hands findings and last totals of an outage to the next life of the service", async (context) => {
    const receiver = await startReceiver(context);
    const folder = fs.mkdtempSync(join(os.tmpdir(), "telemetry-test-"));
    context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    receiver.statusOf = { "/v1/metrics": 503, "/v1/logs": 503 };
    const first = exportingAgent(context, receiver, { folder });
    first.pipeline.handle(first.probe.hello());
    first.run(120);
    await first.flush();
    await first.telemetry.close(FLUSH_MILLIS);
    receiver.statusOf = {};
    const second = exportingAgent(context, receiver, { folder });
    second.pipeline.handle(second.probe.hello());
    second.run(1);
    await second.flush();
    assert.deepEqual(
      receiver.logRecords().map((record) => record.attributes["leak_agent.verdict"]),
      ["watch", "leak"],
    );
    const [fromFirst] = receiver.accepted("/v1/metrics");
    assert.ok(fromFirst.body.includes('"leak_agent.verdict"'), "the dead life's last state came first");
  });

  it("says nothing of the endpoint's password when nobody listens there", async (context) => {
    const agent = exportingAgent(
      context,
      { url: "http://user:pa55word@127.0.0.1:1" },
      { env: { OTEL_EXPORTER_OTLP_TIMEOUT: "200" } },
    );
    agent.pipeline.handle(agent.probe.hello());
    agent.run(120);
    await agent.flush();
    const warnings = agent.lines.filter((line) => line.code === "ERR_LEAK_AGENT_EXPORT");
    assert.ok(warnings.length > 0);
    assert.ok(!JSON.stringify(agent.lines).includes("pa55word"));
  });
});

describe("a worker that replaces a dead one", () => {
  it("keeps standing verdicts in the metrics and repeats no event", async (context) => {
    const receiver = await startReceiver(context);
    const folder = fs.mkdtempSync(join(os.tmpdir(), "telemetry-test-"));
    context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    const first = exportingAgent(context, receiver, { folder });
    first.pipeline.handle(first.probe.hello());
    first.run(120);
    await first.telemetry.close(FLUSH_MILLIS);
    const eventCount = receiver.logRecords().length;
    const before = receiver
      .metrics()
      .get("leak_agent.verdict")
      .points.map((point) => point.attributes);
    const second = exportingAgent(context, receiver, { folder, restartCount: 1 });
    await second.pipeline.resume();
    second.pipeline.handle(first.probe.hello());
    second.pipeline.handle(first.probe.again(first.probe.next()));
    await second.flush();
    assert.deepEqual(
      receiver
        .metrics()
        .get("leak_agent.verdict")
        .points.map((point) => point.attributes),
      before,
    );
    assert.equal(receiver.logRecords().length, eventCount);
    assert.equal(reading(receiver.metrics(), "leak_agent.exposure.requests", { "http.route": "/clean" }), 121 * 40);
  });

  it("sends no difference again that the dead one has sent", async (context) => {
    const receiver = await startReceiver(context);
    const folder = fs.mkdtempSync(join(os.tmpdir(), "telemetry-test-"));
    context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    const env = { OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "delta" };
    const first = exportingAgent(context, receiver, { folder, env });
    first.pipeline.handle(first.probe.hello());
    first.run(120);
    await first.telemetry.close(FLUSH_MILLIS);
    const second = exportingAgent(context, receiver, { folder, env, restartCount: 1 });
    await second.pipeline.resume();
    second.pipeline.handle(first.probe.hello());
    second.pipeline.handle(first.probe.again(first.probe.next()));
    await second.flush();
    for (const name of ["exposure.requests", "retained.size", "samples"]) {
      const points = receiver.metrics().get(`leak_agent.${name}`)?.points ?? [];
      // A site that is shown from now on begins with 0.
      assert.ok(
        points.every(({ value }) => value === 0),
        name,
      );
    }
    assert.equal(receiver.metrics().get("v8js.gc.duration"), undefined);
    second.pipeline.handle(first.probe.next());
    await second.flush();
    assert.equal(reading(receiver.metrics(), "leak_agent.exposure.requests", { "http.route": "/clean" }), 40);
  });
});
