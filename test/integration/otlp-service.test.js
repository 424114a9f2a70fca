/** Real services with the agent export to a backend that works, fails, hangs or lies: what they do otherwise is their own. */
"use strict";
const assert = require("node:assert/strict");
const { existsSync, readFileSync, readdirSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { gunzipSync } = require("node:zlib");
const { FakeCollector } = require("../harness/fake-collector");
const { ProfilesRequest } = require("../harness/otlp-profiles-decoder");
const { APPS, PRELOAD, Service, filesBelow, temporaryFolder } = require("../harness/service");

const PROTOCOLS = ["http/protobuf", "grpc"];

async function collectorFor(context, protocol) {
  const collector = await new FakeCollector({ protocol }).listen();
  context.after(() => collector.close());
  return collector;
}

const QUIET = {
  OTEL_METRICS_EXPORTER: "none",
  OTEL_LOGS_EXPORTER: "none",
  LEAK_AGENT_HORIZON: "30s",
  LEAK_AGENT_EXPORT_INTERVAL: "1s",
};

function startService(context, folder, env, before = []) {
  const service = new Service([...before, "-r", PRELOAD, join(APPS, "leaking-service.js")], {
    env: { ...QUIET, LEAK_AGENT_DIR: folder, ...env },
  });
  context.after(() => service.stop());
  return service;
}

for (const protocol of PROTOCOLS) {
  test(`${protocol}: a service exports, and its main thread loads and runs nothing of the exporter`, async (context) => {
    const collector = await collectorFor(context, protocol);
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: protocol };
    const watch = ["-r", join(APPS, "loaded-modules.js")];
    const service = startService(context, temporaryFolder(context), env, watch);
    await service.until(() => collector.received.length >= 2, "two profiles arrived");
    service.say("leave");
    const { code, stdout } = await service.ended;
    assert.equal(code, 0);
    const { files, builtins } = JSON.parse(/^loaded (.*)$/m.exec(stdout)[1]);
    assert.ok(files.some((file) => /dist\/probe\//.test(file)));
    assert.deepEqual(
      files.filter((file) => /dist\/(export|worker|detector)\/|sdk-node|opentelemetry\/(?!api\/)/.test(file)),
      [],
    );
    assert.ok(!builtins.includes("http2"), "no HTTP/2 on the main thread");
  });
}

test("samples of the service's worker threads bear the thread's number and name", async (context) => {
  const collector = await collectorFor(context, "http/protobuf");
  const service = new Service(["-r", PRELOAD, join(APPS, "threaded-service.js")], {
    env: { ...QUIET, LEAK_AGENT_DIR: temporaryFolder(context), OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
  });
  context.after(() => service.stop());
  /** thread.id -> thread.name, of everything that has arrived. */
  const threads = () => {
    const named = new Map();
    for (const request of collector.received.map((body) => new ProfilesRequest(body))) {
      for (const { attributeIndices } of request.profile("inuse_space").samples) {
        const attributes = request.attributes(attributeIndices);
        named.set(attributes["thread.id"], attributes["thread.name"]);
      }
    }
    return named;
  };
  // The main thread is found by its number 0; the agent's own thread is none of the service's.
  await service.until(() => threads().size >= 2, "samples of two threads");
  await service.stop();
  const knowsNames = typeof require("node:worker_threads").threadName === "string";
  for (const [id, name] of threads()) {
    if (id === 0) assert.equal(name, "main");
    else if (knowsNames) assert.match(name, /^pool-[01]$/);
    else assert.equal(name, undefined, "this Node does not tell a thread's name");
  }
});

test("a service with an SDK of its own on the same variables keeps its globals, and both export", async (context) => {
  const collector = await collectorFor(context, "http/protobuf");
  const service = new Service(["-r", PRELOAD, join(APPS, "own-sdk-service.js")], {
    env: {
      ...QUIET,
      LEAK_AGENT_DIR: temporaryFolder(context),
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_LOGS_EXPORTER: "otlp",
      OTEL_METRIC_EXPORT_INTERVAL: "500",
      OTEL_METRIC_EXPORT_TIMEOUT: "400",
    },
  });
  context.after(() => service.stop());
  const arrived = (name) => collector.received.some((body) => body.includes(name));
  await service.until(() => arrived("own.requests") && arrived("leak_agent.samples"), "both sent metrics");
  service.say("leave");
  const { code, stdout } = await service.ended;
  assert.equal(code, 0);
  const { isStillOwn, complaints } = JSON.parse(/^own (.*)$/m.exec(stdout)[1]);
  assert.ok(isStillOwn, "the meter provider is the service's");
  assert.deepEqual(complaints, [], "nobody was there before it");
  const mixed = collector.received.filter((body) => body.includes("own.requests") && body.includes("leak_agent."));
  assert.deepEqual(mixed, [], "each in a request of its own");
});

for (const [name, env] of [
  ["OTEL_SDK_DISABLED", { OTEL_SDK_DISABLED: "true" }],
  [
    "none for every signal",
    { OTEL_PROFILES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "none", OTEL_LOGS_EXPORTER: "none" },
  ],
]) {
  test(`${name}: nothing is exported, loaded or spooled; the folder has everything`, async (context) => {
    const collector = await collectorFor(context, "http/protobuf");
    const folder = temporaryFolder(context);
    const service = startService(context, folder, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...env });
    await service.until(() => filesBelow(folder).some((file) => /profile-/.test(file)), "a profile was written");
    service.say("leave");
    await service.ended;
    assert.deepEqual([collector.requests.length, readdirSync(folder).includes("spool")], [0, false]);
  });
}

test("without an endpoint no exporter is loaded in the worker either, and nothing is spooled", async (context) => {
  const folder = temporaryFolder(context);
  const service = startService(context, folder, {});
  await service.until(() => filesBelow(folder).some((file) => /profile-/.test(file)), "a profile was written");
  service.say("leave");
  await service.ended;
  assert.ok(!readdirSync(folder).includes("spool"));
});

test("killed while the backend is down: the next life of the service delivers", async (context) => {
  const folder = temporaryFolder(context);
  const collector = await collectorFor(context, "http/protobuf");
  const { port } = collector;
  await collector.close();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
  const spooled = () => filesBelow(join(folder, "spool")).filter((file) => /\.(otlp|sending)$/.test(file));
  const first = startService(context, folder, env);
  await first.until(() => spooled().length >= 2, "two profiles wait");
  await first.stop();
  const left = spooled().map((file) => gunzipSync(readFileSync(file).subarray(12)).toString("base64"));
  await collector.listen(port);
  const second = startService(context, folder, env);
  await second.until(() => collector.received.length > left.length, "old and new profiles arrived");
  second.say("leave");
  assert.equal((await second.ended).code, 0);
  const received = collector.received.map((body) => body.toString("base64"));
  for (const body of left) assert.equal(received.filter((other) => other === body).length, 1);
  assert.match(
    first.stderr,
    /profiles wait in the spool: http:\/\/127\.0\.0\.1:\d+\/v1development\/profiles .*ECONNREFUSED/,
  );
});

test("every way out keeps its code and signal while something is exported", async (context) => {
  const collector = await collectorFor(context, "http/protobuf");
  const ways = [
    { app: "normal-end", code: 0, signal: null },
    { app: "process-exit", code: 7, signal: null },
    { app: "uncaught-exception", code: 1, signal: null },
    { app: "signal-default", code: null, signal: "SIGTERM" },
  ];
  const ends = ways.map(async ({ app }) => {
    const folder = temporaryFolder(context);
    const service = new Service(["-r", PRELOAD, join(APPS, "exits", `${app}.js`)], {
      env: { ...QUIET, LEAK_AGENT_DIR: folder, LEAK_AGENT_LOG: "off", OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
    });
    context.after(() => service.stop());
    await service.untilPrinted("served");
    await service.until(() => existsSync(join(folder, "spool")), "the export began");
    service.say("leave");
    if (app === "signal-default") {
      await service.untilPrinted("waiting");
      service.child.kill("SIGTERM");
    }
    const { code, signal } = await service.ended;
    return { app, code, signal };
  });
  assert.deepEqual(await Promise.all(ends), ways);
});

test("a backend that hangs delays the exit by the bound and no more", async (context) => {
  const collector = await collectorFor(context, "http/protobuf");
  collector.behave = () => "hang";
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, LEAK_AGENT_EXIT_FLUSH_MS: "300" };
  const service = startService(context, temporaryFolder(context), env);
  await service.until(() => collector.requests.length >= 1, "a request hangs");
  service.say("leave");
  assert.equal((await service.ended).code, 0, "it leaves, although the attempt's timeout is 10 s");
});

test("secrets are in no line and no file, whatever the backend repeats", async (context) => {
  const folder = temporaryFolder(context);
  const collector = await collectorFor(context, "http/protobuf");
  const secrets = ["hunter2-token", "pass-w0rd", "qu3ry-key"];
  collector.behave = (number, headers) => (response) => {
    response.writeHead(number % 2 === 0 ? 503 : 401).end(`who is ${JSON.stringify(headers)} qu3ry-key`);
  };
  const service = startService(context, folder, {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://user:pass-w0rd@127.0.0.1:${collector.port}/base?key=qu3ry-key`,
    OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=hunter2-token, broken",
    LEAK_AGENT_LOG: "stderr",
  });
  await service.until(() => collector.requests.length >= 3, "three attempts");
  service.say("leave");
  const { stdout, stderr } = await service.ended;
  assert.equal(collector.requests[0]["x-api-key"], "hunter2-token");
  assert.equal(collector.requests[0].authorization, `Basic ${Buffer.from("user:pass-w0rd").toString("base64")}`);
  assert.match(stderr, /rejects profiles: HTTP 401: who is/);
  const texts = filesBelow(folder).map((file) => readFileSync(file));
  const unpacked = texts.filter((bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b).map((bytes) => gunzipSync(bytes));
  const all = Buffer.concat([...texts, ...unpacked, Buffer.from(stdout + stderr)]).toString("latin1");
  for (const secret of [...secrets, Buffer.from("user:pass-w0rd").toString("base64")]) {
    assert.ok(!all.includes(secret), `${secret} was found`);
  }
});
