"use strict";
const assert = require("node:assert/strict");
const { existsSync, mkdirSync, readdirSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { engineChecks } = require("../../../dist/cli/doctor-engine");
const { exportCheck } = require("../../../dist/cli/doctor-export");
const { checkFolder, checkNode } = require("../../../dist/cli/doctor-folder");
const { smallDisk } = require("../../harness/small-disk");
const { fieldsOf, startReceiver } = require("../worker/otlp-receiver");
const { runCli, temporaryFolder } = require("./fixtures");

const NATIVE = { state: "awake", engine: "native", labels: "hook", labelsReason: "", samplingIntervalBytes: 65_521 };
const AUTO = { engine: "auto", labels: "auto" };
const statesOf = (checks) => Object.fromEntries(checks.map(({ check, state }) => [check, state]));

/** The doctor's answer as JSON, in a folder of its own. */
async function doctor(context, env = {}, args = []) {
  const folder = temporaryFolder(context);
  const directory = join(folder, "agent");
  const { code, stdout, stderr } = await runCli(["doctor", "--json", ...args], {
    cwd: folder,
    env: { LEAK_AGENT_DIR: directory, OTEL_SERVICE_NAME: "shop", ...env },
  });
  assert.equal(stderr, "");
  return { code, directory, ...JSON.parse(stdout) };
}

test("a sound installation: all is well, and nothing is left behind", async (context) => {
  const { code, directory, schema, problemCount, checks } = await doctor(context);
  assert.equal(code, 0);
  assert.equal(schema, "leak-agent.doctor/1");
  assert.equal(problemCount, 0);
  assert.deepEqual(statesOf(checks), {
    node: "ok",
    configuration: "ok",
    engine: "ok",
    labels: "ok",
    folder: "ok",
    export: "ok",
  });
  assert.deepEqual(readdirSync(directory), []);
});

test("each thing that is wrong is a problem with its fix", async (context) => {
  const folder = temporaryFolder(context);
  const file = join(folder, "file");
  writeFileSync(file, "");
  const { code, problemCount, checks } = await doctor(context, {
    LEAK_AGENT_HORIZN: "1h",
    LEAK_AGENT_ENGINE: "natve",
    LEAK_AGENT_LABELS: "off",
    LEAK_AGENT_DIR: file,
  });
  assert.equal(code, 1);
  const problems = checks.filter((check) => check.state === "problem");
  assert.equal(problemCount, problems.length);
  assert.deepEqual(
    problems.map(({ check, fix }) => [check, fix]),
    [
      ["configuration", "did you mean LEAK_AGENT_HORIZON?"],
      ["configuration", "write one of auto, native, pprof; using the default, auto"],
      ["folder", "set LEAK_AGENT_DIR to a folder this user can write (in a container: a mounted volume)"],
    ],
  );
  assert.equal(checks.find(({ check }) => check === "labels").state, "warning");
});

test("where the temporary folder cannot be written, the engine is tried below the agent's own folder", async (context) => {
  const { code, directory, checks } = await doctor(context, { TMPDIR: "/dev/null" });
  assert.equal(code, 0);
  assert.deepEqual([statesOf(checks).engine, statesOf(checks).labels], ["ok", "ok"]);
  assert.deepEqual(readdirSync(directory), []);
});

test("where neither can be written, the engine's check is a problem with its fix", async (context) => {
  const { code, checks } = await doctor(context, { TMPDIR: "/dev/null", LEAK_AGENT_DIR: "/dev/null/agent" });
  assert.equal(code, 1);
  const engine = checks.find(({ check }) => check === "engine");
  assert.equal(engine.state, "problem");
  assert.match(engine.message, /neither \/dev\/null nor \/dev\/null\/agent can be written/);
  assert.match(engine.fix, /LEAK_AGENT_DIR/);
});

test("a full disk and a read-only one are told apart", (context) => {
  const disk = smallDisk(context);
  const settings = { directory: join(disk.path, "agent"), directoryLimitBytes: 8 * 1024 * 1024 };
  assert.notEqual(checkFolder(settings).state, "problem");
  disk.fill();
  const full = checkFolder(settings);
  assert.deepEqual([full.state, /disk is full/.test(full.message)], ["problem", true]);
  assert.match(full.fix, /free some space there, lower LEAK_AGENT_DIR_MAX_MB/);
  disk.empty();
  disk.makeReadOnly();
  const readOnly = checkFolder(settings);
  assert.deepEqual([readOnly.state, /read-only/.test(readOnly.message)], ["problem", true]);
  assert.match(readOnly.fix, /LEAK_AGENT_DIR to a folder this user can write/);
});

test("a switched-off agent is a warning", async (context) => {
  const folder = temporaryFolder(context);
  const offFile = join(folder, "off");
  writeFileSync(offFile, "");
  const { code, checks } = await doctor(context, { LEAK_AGENT_ENABLED: "0", LEAK_AGENT_OFF_FILE: offFile });
  assert.equal(code, 0);
  const warnings = checks.filter(({ check, state }) => check === "configuration" && state === "warning");
  assert.equal(warnings.length, 2);
});

test("every signal's endpoint is asked with a request of its own, and the answer is told", async (context) => {
  const receiver = await startReceiver(context);
  const { code, checks } = await doctor(context, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20pa55word",
  });
  assert.equal(code, 0);
  assert.deepEqual(
    checks.slice(-3).map(({ check, state }) => [check, state]),
    [
      ["profiles", "ok"],
      ["metrics", "ok"],
      ["logs", "ok"],
    ],
  );
  const sent = (path) => receiver.accepted(path)[0];
  for (const path of ["/v1development/profiles", "/v1/metrics", "/v1/logs"]) {
    assert.equal(sent(path).headers.authorization, "Bearer pa55word");
    assert.ok(sent(path).body.includes("shop"), "the resource names the service");
  }
  const itemOf = (body) => fieldsOf(fieldsOf(fieldsOf(fieldsOf(body).get(1)[0]).get(2)[0]).get(2)[0]);
  assert.equal(String(itemOf(sent("/v1/metrics").body).get(1)[0]), "leak_agent.doctor");
  assert.equal(String(itemOf(sent("/v1/logs").body).get(12)[0]), "leak_agent.doctor");
  const dictionary = fieldsOf(fieldsOf(sent("/v1development/profiles").body).get(2)[0]);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7].filter((table) => !dictionary.has(table)),
    [],
    "all seven tables are there",
  );
});

test("a backend without profiles, and one that wants a password, are told with the way out", async (context) => {
  const receiver = await startReceiver(context);
  receiver.statusOf = { "/v1development/profiles": 404, "/v1/logs": 401 };
  const { code, checks } = await doctor(context, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url.replace("//", "//user:pa55word@"),
  });
  assert.equal(code, 1);
  const of = (name) => checks.find(({ check }) => check === name);
  assert.match(of("profiles").fix, /service\.profilesSupport.*OTEL_PROFILES_EXPORTER=none/);
  assert.equal(of("metrics").state, "ok");
  assert.match(of("logs").fix, /OTEL_EXPORTER_OTLP_HEADERS/);
  assert.ok(!JSON.stringify(checks).includes("pa55word"));
});

test("an endpoint and a switch: what switches the export off is named", async (context) => {
  const receiver = await startReceiver(context);
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
  const exportOf = async (env) => {
    const { code, checks } = await doctor(context, { ...endpoint, ...env });
    assert.equal(code, 0);
    return checks.filter(({ check }) => ["export", "profiles", "metrics", "logs"].includes(check));
  };
  const [disabled, ...others] = await exportOf({ OTEL_SDK_DISABLED: "true", OTEL_LOGS_EXPORTER: "none" });
  assert.deepEqual(others, []);
  assert.equal(disabled.state, "ok");
  assert.match(disabled.message, /^OTEL_SDK_DISABLED=true switches it off/);
  const none = { OTEL_PROFILES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "none", OTEL_LOGS_EXPORTER: "none" };
  const offLines = (await exportOf(none)).map(({ state, message }) => `${state} ${message.split(" ", 3).join(" ")}`);
  assert.deepEqual(
    offLines,
    ["PROFILES", "METRICS", "LOGS"].map((signal) => `ok not sent: OTEL_${signal}_EXPORTER=none`),
  );
  assert.equal(receiver.requests.length, 0);
  const [profiles, metrics, logs] = await exportOf({ OTEL_METRICS_EXPORTER: "prometheus" });
  assert.match(metrics.message, /^not sent: OTEL_METRICS_EXPORTER=prometheus leaves them out/);
  for (const { message } of [profiles, logs]) assert.match(message, /took a test request/);
});

test("a switch without an endpoint: there is none, as before", async (context) => {
  const { checks } = await doctor(context, { OTEL_SDK_DISABLED: "true", OTEL_METRICS_EXPORTER: "none" });
  assert.match(checks.at(-1).message, /no endpoint is set/);
});

test("--no-export sends nothing", async (context) => {
  const receiver = await startReceiver(context);
  const { code, checks } = await doctor(context, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }, ["--no-export"]);
  assert.equal(code, 0);
  assert.equal(receiver.requests.length, 0);
  assert.ok(!checks.some(({ check }) => check === "metrics"));
});

test("for people: a line for each check, its fix below, in at most 100 columns", async (context) => {
  const folder = temporaryFolder(context);
  mkdirSync(join(folder, "agent"));
  const { code, stdout } = await runCli(["doctor", "--no-export"], {
    cwd: folder,
    env: { LEAK_AGENT_DIR: join(folder, "agent"), LEAK_AGENT_HORIZON: "yesterday" },
  });
  assert.equal(code, 1);
  assert.match(
    stdout,
    /^problem {2}configuration: LEAK_AGENT_HORIZON="yesterday" is not usable\n {9}-> write a duration/m,
  );
  assert.match(stdout, /^ok {7}engine: native/m);
  assert.match(stdout, /\n1 problem, 0 warnings\.\n$/);
  assert.ok(stdout.split("\n").every((line) => line.length <= 100));
  assert.ok(existsSync(join(folder, "agent")));
});

test("an argument is wrong usage", async () => {
  const { code, stderr } = await runCli(["doctor", "now"]);
  assert.equal(code, 2);
  assert.match(stderr, /ERR_LEAK_AGENT_USAGE/);
});

test("engine and labels: what the test service told decides", () => {
  const judged = (status, settings = AUTO) => statesOf(engineChecks({ status, failure: "" }, settings));
  assert.deepEqual(judged(NATIVE), { engine: "ok", labels: "ok" });
  assert.deepEqual(judged({ ...NATIVE, labels: "none", labelsReason: "self-test" }), {
    engine: "ok",
    labels: "problem",
  });
  assert.deepEqual(judged({ ...NATIVE, labels: "none" }, { engine: "auto", labels: "off" }), {
    engine: "ok",
    labels: "warning",
  });
  const pprof = { ...NATIVE, engine: "pprof", labels: "none" };
  assert.deepEqual(judged(pprof), { engine: "warning", labels: "warning" });
  assert.equal(judged(pprof, { engine: "pprof", labels: "auto" }).engine, "ok");
  assert.equal(judged({ ...NATIVE, engine: "none", labels: "none" }).engine, "problem");
  assert.equal(judged({ ...NATIVE, state: "dormant" }).engine, "problem");
  assert.deepEqual(judged(null), { engine: "problem" });
  const [crashed] = engineChecks({ status: null, failure: "ended by SIGSEGV" }, AUTO);
  assert.equal(crashed.state, "problem");
  assert.match(crashed.message, /SIGSEGV/);
});

test("every way a backend can be out of reach has its own advice", () => {
  const endpoint = { url: "https://collector:4318/v1/metrics", protocol: "http/protobuf", headers: {} };
  const fixOf = (code) =>
    exportCheck("metrics", endpoint, { kind: "retryable", code, reason: code, retryAfterMillis: null }).fix;
  assert.match(fixOf("ECONNREFUSED"), /4317/);
  assert.match(fixOf("ENOTFOUND"), /host name/);
  assert.match(fixOf("timeout"), /OTEL_EXPORTER_OTLP_TIMEOUT/);
  assert.match(fixOf("DEPTH_ZERO_SELF_SIGNED_CERT"), /OTEL_EXPORTER_OTLP_CERTIFICATE/);
  assert.match(fixOf("EPROTO"), /https against http/);
  assert.match(fixOf("gRPC UNIMPLEMENTED"), /OTEL_METRICS_EXPORTER=none/);
  assert.match(fixOf("HTTP 503"), /tries again by itself/);
  const partial = exportCheck("metrics", endpoint, { kind: "partial", rejectedCount: 1, reason: "no" });
  assert.equal(partial.state, "problem");
});

test("an old Node is a problem", () => {
  assert.equal(checkNode("20.20.0").state, "ok");
  assert.equal(checkNode("26.0.0").state, "ok");
  assert.equal(checkNode("20.19.9").state, "problem");
  assert.equal(checkNode("18.20.0").state, "problem");
});
