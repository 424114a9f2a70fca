/**
 * The shipped configurations together, with real programs: a leaking and a repaired shop, the Collector of deploy/collector,
 * Prometheus with the scrape job and rules of deploy/prometheus. The alert fires for the first shop and not for the second.
 * Substituted are ports, and lengths of time (prometheus.js says which).
 */
"use strict";
const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const { writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { after, before, describe, it } = require("node:test");
const { freePort } = require("../../benchmarks/accuracy/service-process");
const { isAlarm } = require("../../benchmarks/accuracy/findings-file");
const { FakeCollector } = require("../harness/fake-collector");
const { ProfilesRequest } = require("../harness/otlp-profiles-decoder");
const { ROOT, cleanEnvironment, temporaryFolder } = require("../harness/service");
const { validate } = require("./conformance/validator");
const { bodyOfFinding, plainAttributes } = require("./otlp-json");
const { Prometheus, documentedSeries, scaledRules, scrapeConfiguration } = require("./prometheus");
const { CollectorProcess, NO_OWN_METRICS, decodeMessages } = require("./real-collector");
const { ShopRun } = require("./shop-run");
const { Tee } = require("./tee");

const SEED = 1;
const ROUTE = { http_route: "/orders/:id", http_request_method: "GET" };
const LEAKING = "shop-before";
const REPAIRED = "shop-after";
/** From the start of the shops. */
const LIMIT_SECONDS = 200;

describe("the shipped Collector and Prometheus configuration", () => {
  const afterwards = [];
  const scratch = temporaryFolder({ after: (work) => afterwards.push(work) });
  const profilesBackend = new FakeCollector();
  const logsBackend = new FakeCollector();
  const prometheus = new Prometheus();
  const shops = {};
  /** `service_name alertname` => labels, of every alert that ever fired. */
  const fired = new Map();
  let tee;
  let collectorPort;
  let grpcPort;

  async function look() {
    for (const labels of await prometheus.firing()) fired.set(`${labels.service_name} ${labels.alertname}`, labels);
  }

  async function startShop(name, isFixed) {
    shops[name] = await ShopRun.start({
      seed: SEED,
      isFixed,
      folder: join(scratch, name),
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: tee.url, OTEL_SERVICE_NAME: name },
    });
    afterwards.push(() => shops[name].stop());
  }

  before(
    async () => {
      for (const backend of [profilesBackend, logsBackend]) {
        await backend.listen();
        afterwards.push(() => backend.close());
      }
      [collectorPort, grpcPort] = [await freePort(), await freePort()];
      const metricsPort = await freePort();
      const collector = new CollectorProcess();
      afterwards.push(() => collector.stop("SIGKILL"));
      await collector.start([`--config=${join(ROOT, "deploy/collector/collector.yaml")}`, NO_OWN_METRICS], {
        env: {
          OTLP_GRPC_ENDPOINT: `127.0.0.1:${grpcPort}`,
          OTLP_HTTP_ENDPOINT: `127.0.0.1:${collectorPort}`,
          PROFILES_ENDPOINT: profilesBackend.url,
          LOGS_ENDPOINT: `${logsBackend.url}/otlp`,
          PROMETHEUS_ENDPOINT: `127.0.0.1:${metricsPort}`,
        },
      });
      afterwards.push(() => prometheus.stop());
      const config = scrapeConfiguration(scaledRules(scratch), `127.0.0.1:${metricsPort}`);
      await prometheus.start({ folder: scratch, config });
      tee = await new Tee("http/protobuf", `http://127.0.0.1:${collectorPort}`).listen();
      afterwards.push(() => tee.close());

      const started = Date.now();
      await startShop(LEAKING, false);
      await startShop(REPAIRED, true);
      const isFiring = async () => {
        await look();
        return fired.has(`${LEAKING} LeakAgentLeak`);
      };
      await shops[LEAKING].until(isFiring, "LeakAgentLeak fired", LIMIT_SECONDS);
      // The repaired one is watched for twice as long, as in `npm run demo -- --fixed`.
      const end = Date.now() + (Date.now() - started);
      const isOver = async () => {
        await look();
        return Date.now() >= end;
      };
      await shops[REPAIRED].until(isOver, "twice the time of the detection", LIMIT_SECONDS);
    },
    { timeout: 2 * LIMIT_SECONDS * 1_000 },
  );

  after(async () => {
    for (const work of afterwards.reverse()) await work();
  });

  it("LeakAgentLeak fires for the leaking shop, with its route and the id of its finding", () => {
    const { finding, ...labels } = (({ leak_agent_finding_id, ...rest }) => ({
      finding: leak_agent_finding_id,
      ...rest,
    }))(fired.get(`${LEAKING} LeakAgentLeak`));
    for (const [name, value] of Object.entries(ROUTE)) assert.equal(labels[name], value);
    const alarm = shops[LEAKING].findings.find(isAlarm);
    assert.equal(finding, alarm.id);
    assert.equal(labels.leak_agent_site_id, alarm.site.id);
  });

  it("no alert fires for the repaired shop, which Prometheus has seen all the time", async () => {
    assert.deepEqual(
      [...fired.keys()].filter((key) => !key.startsWith(`${LEAKING} `)),
      [],
    );
    const requests = await prometheus.query(
      `sum(leak_agent_exposure_requests_total{service_name="${REPAIRED}", http_route="${ROUTE.http_route}"})`,
    );
    assert.ok(requests[0].value > 1_000, `${requests[0].value} requests`);
  });

  it("the recording rules tell the leaking route from the same route repaired", async () => {
    const ofRoute = async (name) => {
      const query = `sum by (service_name) (${name}{http_route="${ROUTE.http_route}", http_request_method="GET"})`;
      return Object.fromEntries(
        (await prometheus.query(query)).map(({ labels, value }) => [labels.service_name, value]),
      );
    };
    const rates = await ofRoute("leak_agent:retained_bytes_per_request:1d");
    const finding = shops[LEAKING].findings.find(isAlarm);
    assert.ok(rates[LEAKING] > finding.growth.bytesPerRequest / 2, `${rates[LEAKING]} bytes/request`);
    assert.ok(rates[LEAKING] < finding.growth.bytesPerRequest * 2, `${rates[LEAKING]} bytes/request`);
    assert.ok(rates[REPAIRED] < rates[LEAKING] / 5, `${rates[REPAIRED]} bytes/request, repaired`);
    const processes = await prometheus.query("leak_agent:processes:count");
    assert.deepEqual(
      processes.map(({ labels, value }) => [labels.service_name, value]).sort(),
      [
        [LEAKING, 1],
        [REPAIRED, 1],
      ].sort(),
    );
    const certain = await prometheus.query("leak_agent:fleet_ln_e >= leak_agent:fleet_ln_threshold");
    assert.ok(certain.length >= 1);
    for (const { labels } of certain) assert.equal(labels.service_name, LEAKING);
  });

  it("every documented series is there, with the labels of the service", async () => {
    const names = await prometheus.names();
    assert.deepEqual(
      documentedSeries().filter((name) => !names.includes(name)),
      [],
    );
    const [{ labels }] = await prometheus.query(`leak_agent_sampling_interval_bytes{service_name="${LEAKING}"}`);
    assert.equal(labels.job, LEAKING, "honor_labels: job and instance are the service's");
    assert.equal(labels.instance, labels.service_instance_id);
  });

  it("profiles and findings went on to the backends of the configuration", async () => {
    const routes = profilesBackend.received
      .map((body) => new ProfilesRequest(body))
      .filter((request) => resourceName(request) === LEAKING)
      .flatMap((request) => request.samples("inuse_space").map(({ attributes }) => attributes["http.route"]));
    assert.ok(routes.includes(ROUTE.http_route));
    assert.equal(profilesBackend.received.length, tee.taken("profiles").length);
    const events = await decode("logs", logsBackend.received, "downstream");
    const records = events.flatMap(({ resourceLogs }) =>
      resourceLogs.flatMap(({ resource, scopeLogs }) =>
        scopeLogs.flatMap(({ logRecords }) =>
          logRecords.map((record) => [plainAttributes(resource.attributes)["service.name"], bodyOfFinding(record)]),
        ),
      ),
    );
    const alarms = records.filter(([, finding]) => isAlarm(finding)).map(([name]) => name);
    assert.deepEqual([...new Set(alarms)], [LEAKING]);
  });

  it("every profile body of the two shops conforms", () => {
    const files = writeBodies(
      tee.taken("profiles").map(({ body }) => body),
      "body",
    );
    assert.ok(files.length >= 20, `${files.length} bodies`);
    const { broken } = validate(files, { leakAgent: true });
    for (const [file, rules] of broken) assert.deepEqual([...rules], [], file);
  });

  for (const protocol of ["http/protobuf", "grpc"]) {
    it(`leak-agent doctor finds the Collector sound over ${protocol}`, () => {
      const port = protocol === "grpc" ? grpcPort : collectorPort;
      const env = {
        LEAK_AGENT_DIR: join(scratch, `doctor-${port}`),
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      };
      const args = [join(ROOT, "dist/cli/main.js"), "doctor", "--json"];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, {
        env: cleanEnvironment(env),
        encoding: "utf8",
      });
      assert.equal(status, 0, stdout + stderr);
      const { checks, problemCount } = JSON.parse(stdout);
      assert.equal(problemCount, 0);
      const told = checks.filter(({ message }) => message.includes("took a test request"));
      assert.deepEqual(
        told.map(({ check, state }) => [check, state]),
        ["profiles", "metrics", "logs"].map((signal) => [signal, "ok"]),
        stdout,
      );
    });
  }

  function writeBodies(bodies, name) {
    return bodies.map((body, index) => {
      const file = join(scratch, `${name}-${index}.pb`);
      writeFileSync(file, body);
      return file;
    });
  }

  function decode(signal, bodies, name) {
    return decodeMessages(signal, writeBodies(bodies, name));
  }
});

function resourceName(request) {
  return request.plainAttributes(request.resourceProfiles.resource.attributes)["service.name"];
}
