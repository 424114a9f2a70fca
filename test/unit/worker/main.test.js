"use strict";
const assert = require("node:assert/strict");
const { once } = require("node:events");
const fs = require("node:fs");
const os = require("node:os");
const { join } = require("node:path");
const { after, afterEach, describe, it } = require("node:test");
const { spawnSync } = require("node:child_process");
const { BroadcastChannel, Worker } = require("node:worker_threads");
const { readConfiguration } = require("../../../dist/config.js");
const { PROBE_CHANNEL, REQUEST_CHANNEL } = require("../../../dist/model/messages.js");
const { FakeCollector } = require("../../harness/fake-collector.js");
const { fieldsOf } = require("./otlp-receiver.js");
const { hello, report } = require("./probe-messages.js");
const { simulatedProbe } = require("./simulated-probe.js");

const MAIN = require.resolve("../../../dist/worker/main.js");
const base = fs.mkdtempSync(join(os.tmpdir(), "worker-test-"));
const workers = [];
// Every worker of this process hears the broadcast channel.
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.terminate();
});
after(() => fs.rmSync(base, { recursive: true, force: true }));

/** The agent's worker as the probe starts it, logging to its folder. */
function start({ folder = fs.mkdtempSync(join(base, "run-")), problems = [], restartCount = 0, env = {} } = {}) {
  const { settings } = readConfiguration({
    ...env,
    LEAK_AGENT_DIR: folder,
    LEAK_AGENT_HORIZON: "30s",
    LEAK_AGENT_LOG: "file",
    OTEL_SERVICE_NAME: "shop",
  });
  const workerData = {
    settings,
    problems,
    restartCount,
    processStartMillis: 1_764_064_800_000,
    mainScript: join(folder, "server.js"),
    workingDirectory: folder,
  };
  const worker = new Worker(MAIN, { workerData, execArgv: [], env });
  workers.push(worker);
  const log = () =>
    fs.existsSync(join(folder, "agent.log"))
      ? fs
          .readFileSync(join(folder, "agent.log"), "utf8")
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line))
      : [];
  return { worker, folder, log, settings };
}

async function next(worker, type) {
  for (;;) {
    const [message] = await once(worker, "message");
    if (message.type === type) return message;
  }
}

/** Sends reports, each after the one before was answered, as the probe does. */
async function send(worker, message) {
  const answered = next(worker, "ready");
  worker.postMessage(message);
  await answered;
}

describe("the agent's worker", () => {
  it("tells bad settings, then what works, then the leak it finds", async () => {
    const { worker, folder, log } = start({ problems: ["LEAK_AGENT_HORIZONS is not a setting"] });
    await next(worker, "ready");
    const probe = simulatedProbe({ root: folder });
    worker.postMessage(probe.hello());
    for (let second = 0; second < 100; second++) await send(worker, probe.next());
    const lines = log();
    assert.deepEqual([lines[0].code, lines[0].msg], ["ERR_LEAK_AGENT_CONFIG", "LEAK_AGENT_HORIZONS is not a setting"]);
    assert.match(lines[1].msg, /^leak-agent .* watches shop: engine native/);
    assert.ok(lines.some((line) => line.verdict === "leak" && line.route === "GET /leak/:id"));
    assert.equal(fs.statSync(folder).mode & 0o077, 0);
  });

  it("survives messages that make no sense, and tells so once", async () => {
    const { worker, log } = start();
    await next(worker, "ready");
    for (const message of [null, 7, "report", {}, { type: "report" }, { type: "report", thread: 1 }])
      worker.postMessage(message);
    await send(worker, report());
    assert.equal(log().filter((line) => line.code === "ERR_LEAK_AGENT_INTERNAL").length, 1);
  });

  it("listens to the service's own worker threads", async () => {
    const { worker, log } = start();
    await next(worker, "ready");
    const channel = new BroadcastChannel(PROBE_CHANNEL);
    const requests = new BroadcastChannel(REQUEST_CHANNEL);
    const asked = new Promise((resolve) => {
      requests.onmessage = (event) => event.data.type === "resend-names" && resolve(event.data);
    });
    channel.postMessage(hello({ thread: 5 }));
    channel.postMessage(report({ thread: 5, capture: { nodes: [], samples: [{ ordinal: 1, size: 9, node: 44 }] } }));
    assert.deepEqual(await asked, { type: "resend-names", thread: 5 });
    channel.close();
    requests.close();
    assert.equal(log().filter((line) => / watches shop: /.test(line.msg)).length, 1);
  });

  it("switches the probes off while the off file exists", async () => {
    const { worker, settings } = start();
    await next(worker, "ready");
    fs.writeFileSync(settings.offFile, "");
    assert.deepEqual(await next(worker, "enabled"), { type: "enabled", enabled: false });
    fs.rmSync(settings.offFile);
    assert.deepEqual(await next(worker, "enabled"), { type: "enabled", enabled: true });
  });

  it("goes on with the history of the worker it replaces", async () => {
    const first = start();
    await next(first.worker, "ready");
    const probe = simulatedProbe({ root: first.folder });
    first.worker.postMessage(probe.hello());
    for (let second = 0; second < 5; second++) await send(first.worker, probe.next());
    await first.worker.terminate();
    const second = start({ folder: first.folder, restartCount: 1, problems: ["not again"] });
    await next(second.worker, "ready");
    assert.match(second.log().at(-1).msg, /goes on with 5 observations/);
    assert.ok(!second.log().some((line) => line.msg === "not again"));
  });

  it("lives without its folder, and tells so once", () => {
    const { stderr, status } = alone({ LEAK_AGENT_DIR: join(MAIN, "below-a-file") });
    const lines = stderr
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(status, 0);
    assert.deepEqual(
      lines.map((line) => line.code),
      ["ERR_LEAK_AGENT_FOLDER", undefined],
    );
    assert.match(lines[0].msg, /set LEAK_AGENT_DIR to a folder this user can write/);
    assert.match(lines[1].msg, /folder none/);
  });

  it("does not keep an unreferenced worker's process alive, nor mind a closed stderr", () => {
    const { status, signal } = alone({ LEAK_AGENT_DIR: fs.mkdtempSync(join(base, "alone-")) }, "exec 2>&-; ");
    assert.deepEqual([status, signal], [0, null]);
  });

  /** A process that starts the worker unreferenced, sends it two messages and comes to its end. */
  function alone(env, prefix = "") {
    const program = `
      const { Worker } = require("node:worker_threads");
      const { readConfiguration } = require(${JSON.stringify(require.resolve("../../../dist/config.js"))});
      const { hello, report } = require(${JSON.stringify(require.resolve("./probe-messages.js"))});
      const start = { settings: readConfiguration().settings, problems: [], restartCount: 0, processStartMillis: 1,
        mainScript: null, workingDirectory: process.cwd() };
      const worker = new Worker(${JSON.stringify(MAIN)}, { workerData: start, execArgv: [], env: {} });
      worker.postMessage(hello());
      worker.postMessage(report());
      worker.on("error", () => process.exit(9));
      worker.on("message", (message) => message.type === "ready" && ++readies === 2 && worker.unref());
      let readies = 0;`;
    const options = { encoding: "utf8", env: { PATH: process.env.PATH, ...env }, timeout: 60_000 };
    return spawnSync("sh", ["-c", `${prefix}exec "$0" -e "$1"`, process.execPath, program], options);
  }
});

describe("the resource", () => {
  /** Each attribute of `Export<Signal>ServiceRequest.resource_<signal>[0].resource`, as the bytes of its KeyValue. */
  function resourceOf(body) {
    const [ofSignal] = fieldsOf(body).get(1);
    const [resource] = fieldsOf(ofSignal).get(1);
    const pairs = fieldsOf(resource).get(1);
    return Object.fromEntries(pairs.map((pair) => [String(fieldsOf(pair).get(1)[0]), pair.toString("hex")]));
  }

  it("is the same for profiles, metrics and findings, to the byte", async (context) => {
    const env = {
      OTEL_RESOURCE_ATTRIBUTES: "k8s.pod.name=shop-1,deployment.environment.name=test%20a",
      LEAK_AGENT_EXPORT_INTERVAL: "1s",
    };
    const collectors = {};
    for (const signal of ["profiles", "metrics", "logs"]) {
      collectors[signal] = await new FakeCollector().listen();
      context.after(() => collectors[signal].close());
      env[`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`] = `${collectors[signal].url}/`;
    }
    const { worker, folder } = start({ env });
    await next(worker, "ready");
    const probe = simulatedProbe({ root: folder });
    worker.postMessage(probe.hello());
    const bodies = () => Object.values(collectors).map(({ received }) => received.at(-1));
    for (let second = 0; second < 1_000 && bodies().includes(undefined); second++) await send(worker, probe.next());
    const [profiles, metrics, logs] = bodies().map(resourceOf);
    assert.deepEqual(metrics, profiles);
    assert.deepEqual(logs, profiles);
    for (const name of ["service.name", "service.instance.id", "process.pid", "host.name", "k8s.pod.name"]) {
      assert.ok(name in profiles, `${name} is there`);
    }
  });
});
