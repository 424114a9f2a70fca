/**
 * Services with the agent while their backend has a fault. For each signal exactly: what was handed in is what arrived plus
 * what the agent counted as dropped or replaced plus what waits; and the main thread never loads the exporter's code.
 * Real Collectors where a real one can have the fault, a faulty backend of our own (test/harness) for the others.
 */
"use strict";
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { mkdirSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { describe, it } = require("node:test");
const { setTimeout: delay } = require("node:timers/promises");
const { FakeCollector } = require("../harness/fake-collector");
const { temporaryFolder } = require("../harness/service");
const { FaultRun, dropsIn, findingsIn } = require("./fault-run");
const { RealCollector, decodeMessages } = require("./real-collector");
const { SIGNALS } = require("./sent-ledger");
const { SmallDisk } = require("./small-disk");
const { Tee } = require("./tee");

const PROTOCOLS = ["http/protobuf", "grpc"];
/** Most of the time is spent waiting. */
const AT_ONCE = 4;
const TIMEOUT_MILLIS = 500_000;
const OUTAGE_MILLIS = 60_000;
/** Profiles get three quarters of LEAK_AGENT_SPOOL_MAX_MB. */
const PROFILES_SPOOL_BYTES = 0.75 * 1024 * 1024;
/** Profiles of about 100 KB each, as often as once a second. */
const LARGE_PROFILES = {
  LEAK_AGENT_SAMPLING_INTERVAL: "16384",
  LEAK_AGENT_CPU_BUDGET: "10",
  LEAK_AGENT_PAUSE_BUDGET_MS: "1000",
  LEAK_AGENT_MEMORY_BUDGET_MB: "1000",
};

/** many-sites.js leaks nothing. */
const WITHOUT_FINDINGS = ["profiles", "metrics"];

function endpoint(protocol, url) {
  return { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: protocol };
}

async function collectorFor(context, options = {}) {
  const collector = await RealCollector.create({ folder: temporaryFolder(context), ...options });
  context.after(() => collector.stop("SIGKILL"));
  return collector;
}

function runFor(context, { app = "leaking-service.js", env, folder, prefix = [] }) {
  const run = new FaultRun({ folder: folder ?? join(temporaryFolder(context), "agent"), app, env, prefix });
  context.after(() => run.close());
  return run;
}

async function teeFor(context, protocol, collector) {
  const tee = await new Tee(protocol, collector.url(protocol)).listen();
  context.after(() => tee.close());
  return tee;
}

/** Waits for so many more requests of a signal that were answered with success. */
function untilTaken(run, tee, signal, more) {
  const before = tee.taken(signal).length;
  return run.until(() => tee.taken(signal).length >= before + more, `${more} more ${signal} were taken`);
}

/** What a Collector that has ended took, by signal. */
async function takenBy(collector) {
  const taken = {};
  for (const signal of collector.signals) taken[signal] = await collector.messages(signal);
  return taken;
}

/** The account of the signals after the service and its backend have ended. @param received messages by signal. */
function assertBalances(run, received, signals = SIGNALS) {
  return Object.fromEntries(signals.map((signal) => [signal, run.assertBalance(signal, received[signal])]));
}

/** Every finding is told once, in its order. */
function assertFindingsArrived(run, received) {
  const told = run.findings();
  assert.ok(told.length > 0);
  assert.deepEqual(findingsIn(received.logs), told);
}

/** [name, scenario], in the order in which they begin: those that take longest first. */
const scenarios = [];

function forBoth(name, scenario) {
  for (const protocol of PROTOCOLS) scenarios.push([`${name}, ${protocol}`, (context) => scenario(context, protocol)]);
}

forBoth("the Collector is down for a minute, and the spool holds 1 MB", async (context, protocol) => {
  const collector = await collectorFor(context);
  await collector.start();
  const tee = await teeFor(context, protocol, collector);
  const env = { ...endpoint(protocol, tee.url), ...LARGE_PROFILES, LEAK_AGENT_SPOOL_MAX_MB: "1" };
  const run = runFor(context, { app: "many-sites.js", env });
  await untilTaken(run, tee, "profiles", 3);
  await collector.stop();
  const end = Date.now() + OUTAGE_MILLIS;
  while (Date.now() < end) {
    const bytes = run.ledger.waitingBytes("profiles");
    assert.ok(bytes <= PROFILES_SPOOL_BYTES, `${bytes} bytes wait`);
    await delay(500);
  }
  await collector.start();
  await untilTaken(run, tee, "profiles", 3);
  await untilTaken(run, tee, "metrics", 2);
  await run.leave();
  await collector.stop();
  const accounts = assertBalances(run, await takenBy(collector), WITHOUT_FINDINGS);
  context.diagnostic(JSON.stringify(accounts));
  assert.ok(accounts.profiles.dropped > 0, "the cap was reached");
  assert.ok(accounts.metrics.replaced > 0);
});

const DISK_FULL =
  "the disk is full while the Collector is down: what finds room in memory arrives, the rest is counted";

scenarios.push([
  DISK_FULL,
  async (context) => {
    const disk = new SmallDisk(1_500);
    context.after(() => disk.close());
    context.diagnostic(disk.description);
    const collector = await collectorFor(context);
    const tee = await teeFor(context, "http/protobuf", collector);
    const env = { ...endpoint("http/protobuf", tee.url), ...LARGE_PROFILES, LEAK_AGENT_SPOOL_MAX_MB: "4" };
    const folder = join(disk.folder, "agent");
    const run = runFor(context, { app: "many-sites.js", env, folder, prefix: disk.prefix });
    await run.service.untilStderr(/cannot be written \((the disk is full|EFBIG)/);
    const full = Date.now();
    // Longer than the spool leaves a broken disk alone, so that it has tried again in vain.
    await run.until(() => Date.now() - full > 40_000, "40 s with a full disk");
    disk.release(run.service.child.pid);
    await run.service.untilStderr(/can be written again/);
    await collector.start();
    // What waits in the agent's memory is seen by nobody: until nothing is missing in the account.
    for (const signal of WITHOUT_FINDINGS) {
      const isComplete = () => run.accountedFor(signal, tee.taken(signal).length) === run.ledger.sent(signal);
      await run.until(isComplete, `nothing of ${signal} waits in memory`);
      await untilTaken(run, tee, signal, 2);
    }
    await run.leave();
    await collector.stop();
    const accounts = assertBalances(run, await takenBy(collector), WITHOUT_FINDINGS);
    context.diagnostic(JSON.stringify(accounts));
  },
]);

forBoth("the Collector is down at the start", async (context, protocol) => {
  const collector = await collectorFor(context);
  const tee = await teeFor(context, protocol, collector);
  const run = runFor(context, { env: endpoint(protocol, tee.url) });
  await run.untilWaiting({ profiles: 3, metrics: 1, logs: 1 });
  await collector.start();
  await run.untilDrained();
  await untilTaken(run, tee, "metrics", 2);
  await run.leave();
  await collector.stop();
  const received = await takenBy(collector);
  const accounts = assertBalances(run, received);
  assert.equal(accounts.profiles.dropped, 0);
  assert.equal(accounts.logs.dropped, 0);
  assertFindingsArrived(run, received);
});

forBoth("the Collector's certificate is not the one that is trusted", async (context, protocol) => {
  const folder = temporaryFolder(context);
  const [right, wrong] = ["right", "wrong"].map((name) => certificate(folder, name));
  const collector = await collectorFor(context, { tls: wrong });
  await collector.start();
  const env = { ...endpoint(protocol, collector.url(protocol)), OTEL_EXPORTER_OTLP_CERTIFICATE: right.cert_file };
  const run = runFor(context, { env: { ...env, OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20hunter2" } });
  await run.untilWaiting({ profiles: 3, metrics: 1, logs: 1 });
  await collector.stop();
  for (const signal of SIGNALS) assert.deepEqual(await collector.messages(signal), [], "nothing is given away");
  assert.match(run.service.stderr, /certificate|self.signed/);
  collector.tls = right;
  await collector.start();
  await run.untilDrained();
  // There is no proxy that could count: the numbers in the spool's names tell when two more exports went.
  const sent = run.ledger.sent("metrics");
  await run.until(() => run.ledger.sent("metrics") >= sent + 2, "two more exports");
  await run.untilDrained();
  await run.leave();
  await collector.stop();
  const received = await takenBy(collector);
  const accounts = assertBalances(run, received);
  assert.equal(accounts.profiles.dropped, 0);
  assertFindingsArrived(run, received);
});

forBoth("the Collector refuses profiles with 400, and takes metrics and logs", async (context, protocol) => {
  const collector = await collectorFor(context);
  await collector.start();
  const tee = await teeFor(context, protocol, collector);
  // A version of the protocol that it does not know.
  const env = { OTEL_EXPORTER_OTLP_PROFILES_HEADERS: "otlp-profiles-development-version=2" };
  await assertRefused(context, protocol, collector, tee, env);
});

forBoth("the Collector has no pipeline for profiles", async (context, protocol) => {
  const collector = await collectorFor(context, { signals: ["metrics", "logs"] });
  await collector.start();
  const tee = await teeFor(context, protocol, collector);
  await assertRefused(context, protocol, collector, tee, {});
});

async function assertRefused(context, protocol, collector, tee, env) {
  const run = runFor(context, { env: { ...endpoint(protocol, tee.url), ...env } });
  const refused = () => tee.requests.filter(({ signal, status }) => signal === "profiles" && status !== 200);
  await run.until(() => refused().length >= 3, "three profiles were refused");
  await run.until(() => tee.taken("logs").length >= 1, "a finding was taken");
  await untilTaken(run, tee, "metrics", 2);
  await run.leave();
  await collector.stop();
  const received = { ...(await takenBy(collector)), profiles: [] };
  const accounts = assertBalances(run, received);
  // Each once: a refusal is not tried again.
  assert.equal(accounts.profiles.dropped, refused().length);
  assert.deepEqual([accounts.metrics.dropped, accounts.logs.dropped], [0, 0]);
  assertFindingsArrived(run, received);
  assert.match(run.service.stderr, /rejects profiles: .*(told once)/);
}

forBoth("the Collector's own backend is away: it answers 503", async (context, protocol) => {
  const backend = await new FakeCollector().listen();
  context.after(() => backend.close());
  const { port, url } = backend;
  await backend.close();
  const collector = await collectorFor(context, { downstream: url });
  await collector.start();
  const tee = await teeFor(context, protocol, collector);
  const run = runFor(context, { env: endpoint(protocol, tee.url) });
  await run.untilWaiting({ profiles: 3 });
  const unavailable = protocol === "grpc" ? 14 : 503;
  const answers = () => tee.requests.filter(({ signal, status }) => signal === "profiles" && status !== 0);
  await run.until(() => answers().length >= 2, "two answers");
  for (const { status } of answers()) assert.equal(status, unavailable);
  await backend.listen(port);
  await run.untilDrained();
  await untilTaken(run, tee, "metrics", 2);
  await run.leave();
  await collector.stop();
  const account = run.assertBalance("profiles", await decoded(context, "profiles", backend.received));
  assert.equal(account.dropped, 0);
});

forBoth("the service is killed while the Collector is down", async (context, protocol) => {
  const collector = await collectorFor(context);
  const tee = await teeFor(context, protocol, collector);
  const run = runFor(context, { env: endpoint(protocol, tee.url) });
  await run.untilWaiting({ profiles: 3, metrics: 1, logs: 1 });
  await run.kill();
  const leftMetrics = run.ledger.waitingBodies("metrics");
  const toldBefore = run.findings();
  await collector.start();
  run.start();
  await run.until(() => tee.taken("profiles").length > run.ledger.left.profiles, "old and new profiles were taken");
  await run.until(() => tee.taken("logs").length >= run.ledger.left.logs, "the old findings were taken");
  await run.untilDrained();
  await run.leave();
  await collector.stop();
  const received = await takenBy(collector);
  const { dropped } = run.assertBalance("profiles", received.profiles);
  assert.equal(
    dropped,
    run.ledger.torn.profiles,
    `${run.service.stderr}\n${JSON.stringify(run.ledger.lifeFile("profiles"))}`,
  );
  run.assertBalance("logs", received.logs);
  assert.deepEqual(findingsIn(received.logs).slice(0, toldBefore.length), toldBefore);
  const arrived = received.metrics.map((message) => JSON.stringify(message));
  for (const message of await decoded(context, "metrics", leftMetrics))
    assert.ok(arrived.includes(JSON.stringify(message)), "its last totals arrive");
});

/** In the order in which every second request of a signal gets them. */
const FAULTS = {
  "http/protobuf": [
    "429",
    "503",
    "400",
    "partial",
    "garbage-body",
    "garbage-bytes",
    "hang",
    "slow",
    "reset-request",
    "reset-answer",
    "reset-after-200",
    "404",
    "301",
  ],
  grpc: [
    "429",
    "503",
    "400",
    "partial",
    "garbage-body",
    "hang",
    "slow",
    "reset-request",
    "reset-answer",
    "404",
    "exhausted",
    "headers-only",
    "no-status",
  ],
};

forBoth("a backend answers every other request wrongly, each time otherwise", async (context, protocol) => {
  const backend = await new FakeCollector({ protocol }).listen();
  context.after(() => backend.close());
  const faults = FAULTS[protocol];
  const counts = Object.fromEntries(SIGNALS.map((signal) => [signal, 0]));
  let isHealed = false;
  let partials = 0;
  backend.behave = (_number, headers) => {
    const signal = signalOf(headers[":path"]);
    const number = counts[signal]++;
    const behaviour = isHealed || number % 2 === 1 ? "ok" : faults[(number / 2) % faults.length];
    if (behaviour === "partial" && signal === "profiles") partials++;
    return behaviour;
  };
  const env = { ...endpoint(protocol, backend.url), OTEL_EXPORTER_OTLP_TIMEOUT: "3000" };
  const run = runFor(context, { env });
  await run.until(() => counts.profiles >= 2 * faults.length && counts.metrics >= 2 * faults.length, "every fault");
  await run.until(() => counts.logs >= 2, "a finding was sent");
  isHealed = true;
  await run.untilDrained();
  const metrics = counts.metrics;
  await run.until(() => counts.metrics >= metrics + 2, "two more exports of metrics");
  await run.untilDrained();
  await run.leave();
  const received = {};
  for (const signal of SIGNALS) {
    const bodies = backend.received.filter((_body, index) => signalOf(backend.paths[index]) === signal);
    received[signal] = await decoded(context, signal, bodies);
  }
  const accounts = assertBalances(run, received);
  context.diagnostic(JSON.stringify(accounts));
  assert.ok(accounts.profiles.dropped > 0, "refusals are counted");
  assert.ok(partials > 0);
  assert.equal(dropsIn(received.metrics).profiles_left_out, 2 * partials, "of each partial success");
});

describe("sent = received + dropped + replaced + waiting", { concurrency: AT_ONCE }, () => {
  for (const [name, scenario] of scenarios) it(name, { timeout: TIMEOUT_MILLIS }, scenario);
});

function signalOf(path) {
  return /profiles|metrics|logs/.exec(path)[0];
}

function decoded(context, signal, bodies) {
  const folder = join(temporaryFolder(context), signal);
  mkdirSync(folder);
  const files = bodies.map((body, index) => {
    const file = join(folder, `${index}.pb`);
    writeFileSync(file, body);
    return file;
  });
  return decodeMessages(signal, files);
}

/** A certificate for 127.0.0.1, signed by itself, as a Collector wants it. */
function certificate(folder, name) {
  const [key_file, cert_file] = [join(folder, `${name}-key.pem`), join(folder, `${name}-cert.pem`)];
  const options = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
  execFileSync("openssl", [...options, "-keyout", key_file, "-out", cert_file, ...subject], { stdio: "pipe" });
  return { cert_file, key_file };
}
