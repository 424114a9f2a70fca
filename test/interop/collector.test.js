/**
 * A leaking shop sends to a real Collector, over HTTP and over gRPC. What the Collector wrote, decoded by Python's generated
 * classes, is compared with the request bodies that a proxy kept on the way, and with the agent's own folder.
 */
"use strict";
const assert = require("node:assert/strict");
const { createHash } = require("node:crypto");
const { mkdirSync, readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { after, before, describe, it } = require("node:test");
const { gunzipSync } = require("node:zlib");
const { Profile } = require("pprof-format");
const { assertFinding } = require("../harness/finding-schema");
const { ROOT, filesBelow, temporaryFolder } = require("../harness/service");
const { validate } = require("./conformance/validator");
const { bodyOfFinding, metricsByName, plainAttributes } = require("./otlp-json");
const { RealCollector, SIGNALS, decodeMessages } = require("./real-collector");
const { ShopRun } = require("./shop-run");
const { Tee } = require("./tee");

const PROTOCOLS = ["http/protobuf", "grpc"];
/** The route of the demo's seed 3, and functions that may stand for its site. */
const SEED = 3;
/** Of the agent's profile files: the same capture is in the folder and was sent. */
const LEAST_TWINS = 1;
/** Both round to whole microseconds, the export twice. */
const ROUNDING_NANOS = 2_000n;

/** Names in the last column's first: every metric that docs/backends.md promises. */
function documentedMetrics() {
  const rows = readFileSync(join(ROOT, "docs/backends.md"), "utf8").matchAll(/^\| `([a-z0-9_.]+)` \| (\w+) \| `/gm);
  return [...rows].map(([, name]) => name);
}

/** Sums of `values[0]` by a key. */
function sumsBy(samples, keyOf) {
  const sums = new Map();
  for (const sample of samples) sums.set(keyOf(sample), (sums.get(keyOf(sample)) ?? 0) + sample.values[0]);
  return sums;
}

const sorted = (map) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

function routeOf({ attributes }) {
  const text = (key) => attributes[key]?.string_value ?? "";
  const method = text("http.request.method");
  const name = method === "" ? text("http.route") : `${method} ${text("http.route")}`;
  return `${name}|${text("leak_agent.owner") || "request"}`;
}

function profilesOf(messages) {
  return messages.flatMap(({ resources }) =>
    resources.flatMap(({ scopes }) => scopes.flatMap(({ profiles }) => profiles)),
  );
}

/** The samples of a pprof file in the form of decode.py. */
function samplesOfFile(file) {
  const profile = Profile.decode(gunzipSync(readFileSync(file)));
  const text = (index) => profile.stringTable.strings[Number(index)];
  const functions = new Map(profile.function.map((entry) => [Number(entry.id), entry]));
  const locations = new Map(profile.location.map((entry) => [Number(entry.id), entry]));
  const samples = profile.sample.map((sample) => {
    const frames = sample.locationId.map((id) => {
      const [line] = locations.get(Number(id)).line;
      const { name, filename } = functions.get(Number(line.functionId));
      return [text(name), text(filename), Number(line.line), Number(line.column)].join("\n");
    });
    const labels = Object.fromEntries(sample.label.map((label) => [text(label.key), text(label.str)]));
    return {
      route: `${labels["http.route"]}|${labels["leak_agent.owner"] ?? "request"}`,
      site: frames[0],
      stack: createHash("sha256").update(frames.join("\n")).digest("hex").slice(0, 24),
      objects: Number(sample.value[0]),
      bytes: Number(sample.value[1]),
    };
  });
  return { endNanos: BigInt(profile.timeNanos), samples };
}

for (const protocol of PROTOCOLS) {
  describe(`a shop sends over ${protocol}`, () => {
    const afterwards = [];
    const scratch = temporaryFolder({ after: (work) => afterwards.push(work) });
    const agentFolder = join(scratch, "agent");
    const sent = {};
    const received = {};
    let tee;
    let processId;

    before(
      async () => {
        const collector = await RealCollector.create({ folder: scratch });
        afterwards.push(() => collector.stop("SIGKILL"));
        await collector.start();
        tee = await new Tee(protocol, collector.url(protocol)).listen();
        afterwards.push(() => tee.close());
        const env = { OTEL_EXPORTER_OTLP_ENDPOINT: tee.url };
        if (protocol === "grpc") env.OTEL_EXPORTER_OTLP_PROTOCOL = "grpc";
        const shop = await ShopRun.start({ seed: SEED, folder: agentFolder, env });
        afterwards.push(() => shop.stop());
        processId = shop.service.child.pid;
        await shop.until(() => shop.findings.some(({ verdict }) => verdict === "leak"), "a leak was found");
        // The last captures until the leak are in the folder; one more export of each signal tells of it.
        const counts = SIGNALS.map((signal) => tee.taken(signal).length);
        await shop.until(
          () => SIGNALS.slice(0, 2).every((signal, index) => tee.taken(signal).length > counts[index] + 1),
          "profiles and metrics were sent after the leak",
        );
        await shop.stop();
        await collector.stop();
        for (const signal of SIGNALS) {
          const bodies = join(scratch, `sent-${signal}`);
          mkdirSync(bodies);
          const files = tee.taken(signal).map(({ body }, index) => {
            const file = join(bodies, `${String(index).padStart(4, "0")}.pb`);
            writeFileSync(file, body);
            return file;
          });
          sent[signal] = { files, messages: await decodeMessages(signal, files) };
          received[signal] = await collector.messages(signal);
        }
      },
      { timeout: 400_000 },
    );

    after(async () => {
      for (const work of afterwards.reverse()) await work();
    });

    it("every request was taken, and each arrived once, in order, with nothing changed", () => {
      assert.deepEqual(
        tee.requests.filter(({ status }) => status !== 200).map(({ signal, status }) => `${signal} ${status}`),
        [],
      );
      for (const signal of SIGNALS) {
        assert.ok(sent[signal].messages.length >= 2, `${sent[signal].messages.length} ${signal}`);
        assert.deepEqual(received[signal], sent[signal].messages);
      }
    });

    it("the sums by route and by site are the same on both sides", () => {
      const [ours, theirs] = [sent, received].map((side) => profilesOf(side.profiles.messages ?? side.profiles));
      assert.equal(ours.length, theirs.length);
      for (const [index, profile] of ours.entries()) {
        const both = [profile, theirs[index]].map(({ samples }) => [
          sorted(sumsBy(samples, routeOf)),
          sorted(sumsBy(samples, ({ site }) => site)),
        ]);
        assert.deepEqual(both[1], both[0]);
      }
      assert.ok(sumsBy(ours.at(-2).samples, routeOf).size >= 4, "several routes have samples");
    });

    it("captures that are in the folder too have the same samples, as pprof", () => {
      const files = filesBelow(agentFolder).filter((file) => /profile-.*\.pb\.gz$/.test(file));
      const arrived = profilesOf(received.profiles);
      let twins = 0;
      for (const { endNanos, samples } of files.map(samplesOfFile)) {
        const near = ({ endUnixNano }) => {
          const apart = BigInt(endUnixNano) - endNanos;
          return apart <= ROUNDING_NANOS && -apart <= ROUNDING_NANOS;
        };
        for (const [type, field] of [
          ["inuse_space", "bytes"],
          ["inuse_objects", "objects"],
        ]) {
          const twin = arrived.filter((profile) => profile.sampleType[0] === type && near(profile));
          if (twin.length === 0) continue;
          twins++;
          const key = (sample, route) => `${route}|${sample.site}|${sample.stack}`;
          const inFolder = sumsBy(
            samples.map((sample) => ({ ...sample, values: [sample[field]] })),
            (sample) => key(sample, sample.route),
          );
          const arrivedSums = sumsBy(
            twin.flatMap((profile) => profile.samples),
            (sample) => key(sample, routeOf(sample)),
          );
          assert.deepEqual(sorted(arrivedSums), sorted(inFolder));
        }
      }
      assert.ok(twins >= 2 * LEAST_TWINS, `${twins / 2} of ${files.length} files have a twin`);
    });

    it("the resource is the shop's, the same in all three signals, and the scope is the agent's", () => {
      const ofProfiles = received.profiles.flatMap(({ resources }) => resources);
      assert.equal(new Set(ofProfiles.map(({ attributes }) => JSON.stringify(attributes))).size, 1);
      const [{ attributes, scopes }] = ofProfiles;
      assert.equal(attributes["service.name"].string_value, "shop");
      assert.equal(attributes["service.version"].string_value, "1.4.0");
      assert.equal(Number(attributes["process.pid"].int_value), processId);
      for (const key of ["service.instance.id", "host.name", "os.type", "process.runtime.version"])
        assert.ok(attributes[key]?.string_value, key);
      assert.equal(scopes[0].name, "leak-agent");
      assert.equal(scopes[0].version, require("../../package.json").version);
      assert.equal(scopes[0].attributes["pprof.scope.default_sample_type"].string_value, "inuse_space");
      const plain = Object.fromEntries(
        Object.entries(attributes).map(([key, value]) => [key, Object.values(value)[0]]),
      );
      const resourcesOf = (signal, list) => received[signal].flatMap((message) => message[list] ?? []);
      for (const { resource } of [...resourcesOf("metrics", "resourceMetrics"), ...resourcesOf("logs", "resourceLogs")])
        assert.deepEqual(
          sorted(new Map(Object.entries(plainAttributes(resource.attributes)))),
          sorted(new Map(Object.entries(plain))),
        );
    });

    it("every documented metric arrived, and nothing was dropped", () => {
      const metrics = metricsByName(received.metrics);
      const documented = documentedMetrics();
      assert.ok(documented.length >= 24);
      assert.deepEqual(
        documented.filter((name) => !metrics.has(name)),
        [],
      );
      const last = (name) => metrics.get(name).at(-1);
      assert.deepEqual(
        last("leak_agent.dropped").filter(({ value }) => value !== 0),
        [],
      );
      const requests = last("leak_agent.exposure.requests").find(
        (point) => point.attributes["http.route"] === "/reports",
      );
      assert.ok(requests.value > 100, `${requests.value} requests`);
      const verdicts = last("leak_agent.verdict").map(({ attributes }) => attributes["leak_agent.verdict"]);
      assert.ok(verdicts.includes("leak"), `verdicts: ${verdicts}`);
    });

    it("every finding is one log event, whose body is its line in the folder and keeps the schema", () => {
      const records = received.logs.flatMap(({ resourceLogs }) =>
        resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords)),
      );
      for (const record of records) {
        assert.equal(record.eventName, "leak_agent.finding");
        assertFinding(bodyOfFinding(record));
        assert.equal(plainAttributes(record.attributes)["leak_agent.finding.id"], bodyOfFinding(record).id);
      }
      const lines = filesBelow(agentFolder)
        .filter((file) => file.endsWith("findings.jsonl"))
        .flatMap((file) => readFileSync(file, "utf8").trim().split("\n").map(JSON.parse));
      assert.ok(lines.some(({ verdict }) => verdict === "leak"));
      assert.deepEqual(records.map(bodyOfFinding), lines);
    });

    it("every profile body conforms", () => {
      const { broken } = validate(sent.profiles.files, { leakAgent: true });
      for (const [file, rules] of broken) assert.deepEqual([...rules], [], file);
    });
  });
}
