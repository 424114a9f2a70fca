/**
 * Everything that can go wrong between the agent and a backend. For each fault exactly: what was sent is what arrived plus
 * what was counted as dropped. Sender, spool and delivery are the real ones; waiting is made short by an own clock.
 */
"use strict";
const assert = require("node:assert/strict");
const { execFileSync, spawn } = require("node:child_process");
const { randomBytes } = require("node:crypto");
const { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { Delivery } = require("../../dist/export/delivery");
const { createSender } = require("../../dist/export/otlp-sender");
const { Spool } = require("../../dist/export/spool");
const { currentProcess } = require("../../dist/export/spool-lives");
const { FakeCollector } = require("../harness/fake-collector");
const { APPS, filesBelow, temporaryFolder } = require("../harness/service");

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
    const stored = filesBelow(folder).filter((file) => file.endsWith(".otlp")).length;
    assert.equal(stored, life.delivery.waitingCount, "nothing waits in memory any more");
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
