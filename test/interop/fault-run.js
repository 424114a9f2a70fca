/** One agent through one fault: what it handed in, what arrived, what it counted as dropped, what still waits. */
"use strict";
const assert = require("node:assert/strict");
const { createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { APPS, PRELOAD, Service, filesBelow } = require("../harness/service");
const { metricsByName, bodyOfFinding } = require("./otlp-json");
const { SIGNALS, SentLedger } = require("./sent-ledger");

const DEADLINE_MILLIS = 480_000;
/** Modules that only the agent's thread may load. */
const OFF_MAIN = /dist\/(export|worker|detector)\/|sdk-node|opentelemetry\/(?!api\/)/;

class FaultRun {
  /** @param folder the agent's. @param app of test/apps. @param env beside the horizon of a short load test. */
  constructor({ folder, app, env, prefix = [] }) {
    this.folder = folder;
    this.ledger = new SentLedger(folder);
    this.options = { app, env, prefix };
    this.start();
  }

  /** Starts the next life. */
  start() {
    const { app, env, prefix } = this.options;
    const args = ["-r", join(APPS, "loaded-modules.js"), "-r", PRELOAD, join(APPS, app)];
    const [program, ...words] = [...prefix, process.execPath, ...args];
    this.service = new Service(words, {
      node: program,
      deadlineMillis: DEADLINE_MILLIS,
      env: {
        LEAK_AGENT_DIR: this.folder,
        LEAK_AGENT_HORIZON: "15s",
        LEAK_AGENT_EXPORT_INTERVAL: "1s",
        // An answer that is not waited for makes a body count twice: as arrived, and as what becomes of it here.
        OTEL_EXPORTER_OTLP_TIMEOUT: "60000",
        // The worker is not cut off between what it does with the last body and its note of it.
        LEAK_AGENT_EXIT_FLUSH_MS: "5000",
        ...env,
      },
    });
  }

  until(condition, what) {
    return this.service.until(condition, what);
  }

  /** Waits until so many bodies of each named signal wait. */
  untilWaiting(counts) {
    const isWaiting = ([signal, count]) => this.ledger.waiting(signal) >= count;
    return this.until(() => Object.entries(counts).every(isWaiting), `${JSON.stringify(counts)} wait`);
  }

  /** Waits until all that waits now has been sent; meanwhile more may come. */
  async untilDrained() {
    for (const signal of SIGNALS) {
      const waiting = this.ledger.waitingNumbers(signal);
      const isGone = () => [...this.ledger.waitingNumbers(signal)].every((number) => !waiting.has(number));
      await this.until(isGone, `${signal} drained`);
    }
  }

  /** kill -9. */
  async kill() {
    await this.service.stop();
    this.ledger.noteDeath();
  }

  /** Lets the service leave, and checks that its main thread had nothing of the exporter's code. */
  async leave() {
    this.service.say("leave");
    const { code, signal, stdout, stderr } = await this.service.ended;
    assert.deepEqual([code, signal], [0, null], stderr);
    const { files, builtins } = JSON.parse(/^loaded (.*)$/m.exec(stdout)[1]);
    assert.ok(files.some((file) => /dist\/probe\//.test(file)));
    assert.deepEqual(
      files.filter((file) => OFF_MAIN.test(file)),
      [],
    );
    assert.ok(!builtins.includes("http2"), "no HTTP/2 on the main thread");
  }

  async close() {
    await this.service.stop();
    this.ledger.close();
  }

  /** Bodies of which it is known where they are. @param receivedCount that the backend took. */
  accountedFor(signal, receivedCount) {
    const { ledger } = this;
    return receivedCount + ledger.dropped(signal) + ledger.replaced(signal) + ledger.waiting(signal);
  }

  findings() {
    const files = filesBelow(this.folder).filter((file) => file.endsWith("findings.jsonl"));
    return files.flatMap((file) => readFileSync(file, "utf8").trim().split("\n").map(JSON.parse));
  }

  /**
   * The account of one signal after the end: sent = received + dropped + replaced + waiting.
   * @param received decoded messages.
   */
  assertBalance(signal, received) {
    const { ledger } = this;
    const account = {
      received: distinct(received),
      dropped: ledger.dropped(signal),
      replaced: ledger.replaced(signal),
      waiting: ledger.waiting(signal),
    };
    const sent = ledger.sent(signal);
    const sum = Object.values(account).reduce((total, count) => total + count, 0);
    assert.equal(sent, sum, `${signal}: ${sent} sent, ${JSON.stringify(account)}`);
    assert.ok(sent > 0, `${signal}: nothing was sent`);
    return { sent, ...account };
  }
}

/** What was sent again after an answer that got lost may come twice. */
function distinct(messages) {
  const hash = (message) => createHash("sha256").update(JSON.stringify(message)).digest("hex");
  return new Set(messages.map(hash)).size;
}

/** The last reading of `leak_agent.dropped` by reason. */
function dropsIn(metricMessages) {
  const readings = metricsByName(metricMessages).get("leak_agent.dropped") ?? [];
  return Object.fromEntries(
    (readings.at(-1) ?? []).map(({ attributes, value }) => [attributes["leak_agent.reason"], value]),
  );
}

function findingsIn(logMessages) {
  return logMessages.flatMap(({ resourceLogs }) =>
    resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords.map(bodyOfFinding))),
  );
}

module.exports = { FaultRun, dropsIn, findingsIn };
