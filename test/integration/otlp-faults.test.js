/**
 * Everything that can go wrong between the agent and a backend. For each fault exactly: what was sent is what arrived plus
 * what was counted as dropped. Sender, spool and delivery are the real ones; waiting is made short by an own clock.
 */
"use strict";
const assert = require("node:assert/strict");
const { execFileSync, spawn } = require("node:child_process");
const { randomBytes } = require("node:crypto");
const { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { gunzipSync } = require("node:zlib");
const { Delivery } = require("../../dist/export/delivery");
const { createSender } = require("../../dist/export/otlp-sender");
const { Spool } = require("../../dist/export/spool");
const { currentProcess } = require("../../dist/export/spool-lives");
const { FakeCollector } = require("../harness/fake-collector");
const { ProfilesRequest } = require("../harness/otlp-profiles-decoder");
const { APPS, PRELOAD, Service, filesBelow, temporaryFolder } = require("../harness/service");

const PROTOCOLS = ["http/protobuf", "grpc"];
const MEGABYTE = 1024 * 1024;

/** One process life of the agent's delivery, with a clock of its own. */
class Life {
  told = [];
  timers = [];
  sent = 0;

  static async start(context, collector, { folder, limitBytes = 16 * MEGABYTE, nowMillis = Date.now(), ...endpoint }) {
    const life = new Life();
    life.now = nowMillis;
    const isGrpc = collector.protocol === "grpc";
    const sender = await createSender(
      {
        url: isGrpc ? collector.url : `${collector.url}/v1development/profiles`,
        protocol: collector.protocol,
        headers: {},
        timeoutMillis: 5_000,
        compression: "gzip",
        certificateFile: null,
        clientKeyFile: null,
        clientCertificateFile: null,
        ...endpoint,
      },
      "profiles",
      "1.0.0",
    );
    life.spool = new Spool({
      signal: "profiles",
      folder: { path: folder, open: () => existsSync(folder), worked: () => {}, fail: () => {} },
      limitBytes,
      maxAgeMillis: 6 * 3_600_000,
      identity: currentProcess(nowMillis),
      now: () => life.now,
    });
    life.delivery = new Delivery({
      sender,
      spool: life.spool,
      listener: Object.fromEntries(
        ["waiting", "recovered", "rejected", "partlyRejected", "warned"].map((name) => [
          name,
          (...words) => life.told.push([name, ...words]),
        ]),
      ),
      now: () => life.now,
      schedule: (work, millis) => life.timers.push({ work, due: life.now + millis }),
    });
    context.after(() => life.delivery.close());
    life.delivery.start();
    return life;
  }

  /** Hands in bodies that gzip cannot make smaller, each different. */
  async send(count, size = 2_000) {
    for (let index = 0; index < count; index++) {
      this.delivery.enqueue(randomBytes(size));
      this.sent++;
      await this.pass(1);
    }
  }

  /** Lets the life's clock go on; what is due meanwhile happens, and what it sends has its outcome. */
  async pass(millis) {
    const end = this.now + millis;
    await this.delivery.flush();
    for (;;) {
      this.timers.sort((a, b) => a.due - b.due);
      if (this.timers.length === 0 || this.timers[0].due > end) break;
      const timer = this.timers.shift();
      this.now = timer.due;
      timer.work();
      await this.delivery.flush();
    }
    this.now = end;
  }

  /** Until nothing waits: ten minutes suffice for every pause there is. */
  async recover() {
    for (let minute = 0; minute < 10 && this.delivery.waitingCount > 0; minute++) await this.pass(60_000);
    assert.equal(this.delivery.waitingCount, 0);
  }

  get dropped() {
    return this.spool.droppedCount;
  }
}

async function collectorFor(context, protocol, tls = null) {
  const collector = await new FakeCollector({ protocol, tls }).listen();
  context.after(() => collector.close());
  return collector;
}

for (const protocol of PROTOCOLS) {
  test(`${protocol}: down at start, everything arrives later`, async (context) => {
    const collector = await collectorFor(context, protocol);
    const { port } = collector;
    await collector.close();
    const life = await Life.start(context, collector, { folder: temporaryFolder(context) });
    await life.send(5);
    await life.pass(300_000);
    assert.deepEqual([life.delivery.waitingCount, life.dropped], [5, 0]);
    await collector.listen(port);
    await life.recover();
    assert.equal(collector.received.length, 5);
    assert.deepEqual(
      life.told.map(([what]) => what),
      ["waiting", "recovered"],
    );
  });

  test(`${protocol}: down for a minute in the middle with a spool of 1 MB`, async (context) => {
    const collector = await collectorFor(context, protocol);
    const { port } = collector;
    const folder = temporaryFolder(context);
    const life = await Life.start(context, collector, { folder, limitBytes: MEGABYTE });
    const second = async () => {
      await life.send(1, 40_000);
      await life.pass(999);
      const bytes = filesBelow(join(folder, "spool")).reduce((sum, file) => sum + readFileSync(file).length, 0);
      assert.ok(bytes < 1.01 * MEGABYTE, `${bytes} bytes in the spool`);
    };
    for (let i = 0; i < 10; i++) await second();
    await collector.close();
    for (let i = 0; i < 60; i++) await second();
    await collector.listen(port);
    for (let i = 0; i < 10; i++) await second();
    await life.recover();
    assert.ok(life.spool.counts.droppedForSpace >= 60 - MEGABYTE / 40_000);
    assert.equal(life.sent, collector.distinct + life.dropped);
    assert.equal(collector.received.length, collector.distinct);
  });

  for (const { fault, share = 3, timeoutMillis = 5_000, size = 2_000 } of [
    { fault: "429" },
    { fault: "503" },
    { fault: "400" },
    { fault: "partial" },
    { fault: "garbage-body" },
    { fault: "hang", timeoutMillis: 150 },
    { fault: "slow", timeoutMillis: 150 },
    { fault: "reset-request", size: 2_000_000 },
    { fault: "reset-answer" },
    ...(protocol === "grpc" ? [{ fault: "exhausted" }] : [{ fault: "garbage-bytes" }, { fault: "reset-after-200" }]),
  ]) {
    test(`${protocol}: every third answer is ${fault}`, async (context) => {
      const collector = await collectorFor(context, protocol);
      collector.behave = (number) => (number % share === 0 ? fault : "ok");
      const life = await Life.start(context, collector, { folder: temporaryFolder(context), timeoutMillis });
      await life.send(9, size);
      await life.recover();
      assert.equal(life.sent, collector.distinct + life.dropped);
      assert.equal(collector.received.length, collector.distinct);
      const faulty = Math.floor(collector.requests.length / share);
      assert.ok(faulty >= 3);
      const { rejected, rejectedItems, failedAttempts } = life.delivery.counts;
      const isRejected = fault === "400" || fault === "exhausted";
      const isTaken = ["partial", "garbage-body", "reset-after-200"].includes(fault);
      assert.equal(rejected, isRejected ? faulty : 0);
      assert.equal(rejectedItems, fault === "partial" ? 2 * faulty : 0);
      // A kept connection may have been closed before the request came: a new one is tried at once.
      const isRepeatedAtOnce = fault === "reset-request";
      assert.equal(failedAttempts, isRejected || isTaken || isRepeatedAtOnce ? 0 : faulty);
      const repeated = isRepeatedAtOnce ? faulty : failedAttempts;
      assert.equal(collector.requests.length, 9 + repeated, "no retry where none is due");
    });
  }

  test(`${protocol}: Retry-After is waited for`, async (context) => {
    const collector = await collectorFor(context, protocol);
    collector.behave = (number) => (number === 1 ? "429" : "ok");
    const life = await Life.start(context, collector, { folder: temporaryFolder(context) });
    await life.send(3);
    await life.pass(990);
    assert.equal(collector.requests.length, 1);
    await life.pass(20);
    assert.equal(collector.received.length, 3);
  });

  test(`${protocol}: a wrong certificate: nothing is given away, everything arrives when it is right`, async (context) => {
    const folder = temporaryFolder(context);
    const [right, wrong] = ["right", "wrong"].map((name) => certificate(folder, name));
    const collector = await collectorFor(context, protocol, wrong);
    const { port } = collector;
    const headers = { authorization: "Bearer hunter2" };
    const life = await Life.start(context, collector, { folder, certificateFile: right.file, headers });
    await life.send(4);
    await life.pass(600_000);
    assert.deepEqual([collector.requests.length, life.delivery.waitingCount, life.dropped], [0, 4, 0]);
    assert.match(life.told[0][1], /certificate|self.signed/);
    await collector.close();
    collector.tls = right;
    await collector.listen(port);
    await life.recover();
    assert.equal(collector.received.length, 4);
  });

  test(`${protocol}: a file in place of the folder: a bounded part waits in memory`, async (context) => {
    const folder = join(temporaryFolder(context), "agent");
    writeFileSync(folder, "");
    const collector = await collectorFor(context, protocol);
    const { port } = collector;
    await collector.close();
    const life = await Life.start(context, collector, { folder, limitBytes: MEGABYTE });
    await life.send(40, 40_000);
    assert.ok(life.spool.counts.droppedForSpace > 0);
    rmSync(folder);
    mkdirSync(folder);
    await life.pass(60_000);
    await life.send(3, 40_000);
    assert.equal(filesBelow(folder).filter((file) => file.endsWith(".otlp")).length, 3);
    await collector.listen(port);
    await life.recover();
    assert.equal(life.sent, collector.received.length + life.dropped);
  });
}

/** A certificate for 127.0.0.1, signed by itself. */
function certificate(folder, name) {
  const [key, file] = [join(folder, `${name}-key.pem`), join(folder, `${name}-cert.pem`)];
  const options = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
  execFileSync("openssl", [...options, "-keyout", key, "-out", file, ...subject], { stdio: "pipe" });
  return { file, key: readFileSync(key), cert: readFileSync(file) };
}

test("kill -9 while spooling: the next life sends all that was whole, and detects the rest", async (context) => {
  const folder = temporaryFolder(context);
  const collector = await collectorFor(context, "http/protobuf");
  let expectedLeast = 0;
  let expectedMost = 0;
  // Small records die in any step between two of them, large ones in the middle of one.
  for (const [size, killAfter] of [
    [100, 3],
    [100, 10],
    [5_000_000, 1],
    [5_000_000, 2],
    [20_000_000, 1],
  ]) {
    const child = spawn(process.execPath, [join(APPS, "spooling.js"), folder, String(size)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      said += text;
      if (said.includes(`start ${killAfter}\n`)) child.kill("SIGKILL");
    });
    await new Promise((resolve) => child.once("close", resolve));
    expectedLeast += (said.match(/^done \d+$/gm) ?? []).length;
    expectedMost += (said.match(/^start \d+$/gm) ?? []).length;
  }
  const life = await Life.start(context, collector, { folder, limitBytes: 1 << 30, compression: "gzip" });
  // The spooled bodies are no gzip: the backend keeps them as they came.
  collector.behave = () => (response) => response.writeHead(200).end();
  await life.recover();
  const { adopted, droppedDamaged } = life.spool.counts;
  assert.equal(collector.requests.length, adopted);
  assert.ok(adopted + droppedDamaged >= expectedLeast, `${adopted} + ${droppedDamaged} of ${expectedLeast}`);
  assert.ok(adopted + droppedDamaged <= expectedMost, `${adopted} + ${droppedDamaged} of ${expectedMost}`);
  assert.ok(adopted >= expectedLeast, "what was done is whole");
  assert.deepEqual(
    filesBelow(join(folder, "spool")).filter((file) => !file.endsWith(".life")),
    [],
  );
});

// From here on: a real service with the agent.

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
