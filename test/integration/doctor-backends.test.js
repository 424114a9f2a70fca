/** `leak-agent doctor` against backends that are really wrong: for each the sentence says what, and the fix what to do. */
"use strict";
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { checkExport } = require("../../dist/cli/doctor-export");
const { readConfiguration } = require("../../dist/config");
const { FakeCollector } = require("../harness/fake-collector");
const { ROOT, Service, temporaryFolder } = require("../harness/service");
const { fieldsOf } = require("../unit/worker/otlp-receiver");

const SECRET = "pa55word";

async function backend(context, options = {}) {
  const collector = await new FakeCollector(options).listen();
  context.after(() => collector.close());
  return collector;
}

/** The check of one signal against an endpoint. */
async function check(env, signal = "metrics") {
  const others = ["profiles", "metrics", "logs"].filter((name) => name !== signal);
  const variables = {
    OTEL_EXPORTER_OTLP_TIMEOUT: "2000",
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${SECRET}`,
    ...Object.fromEntries(others.map((name) => [`OTEL_${name.toUpperCase()}_EXPORTER`, "none"])),
    ...env,
  };
  const checks = await checkExport(readConfiguration(variables).settings, "1.2.3", Date.now(), variables);
  const found = checks.find((one) => one.check === signal);
  assert.ok(!JSON.stringify(found).includes(SECRET));
  return found;
}

function certificate(context, names) {
  const folder = temporaryFolder(context);
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const options = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const subject = ["-subj", "/CN=collector", "-addext", `subjectAltName=${names}`];
  execFileSync("openssl", [...options, "-keyout", key, "-out", cert, ...subject], { stdio: "pipe" });
  return { certFile: cert, tls: { key: readFileSync(key), cert: readFileSync(cert) } };
}

function assertProblem(found, message, fix) {
  assert.equal(found.state, "problem", found.message);
  assert.match(found.message, message);
  assert.match(found.fix, fix);
}

test("nobody listens", async (context) => {
  const gone = await backend(context);
  const goneUrl = gone.url;
  await gone.close();
  for (const protocol of ["http/protobuf", "grpc"]) {
    const found = await check({ OTEL_EXPORTER_OTLP_ENDPOINT: goneUrl, OTEL_EXPORTER_OTLP_PROTOCOL: protocol });
    assertProblem(found, /ECONNREFUSED/, /start the backend, or correct host and port \(OTLP has port 4318 for HTTP/);
  }
});

test("HTTP to the gRPC port", async (context) => {
  const { url } = await backend(context, { protocol: "grpc" });
  const found = await check({ OTEL_EXPORTER_OTLP_ENDPOINT: url });
  assertProblem(found, /does not take it now/, /its port is 4318; or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc/);
});

test("gRPC to the HTTP port", async (context) => {
  const { url } = await backend(context);
  const found = await check({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" });
  assertProblem(found, /does not take it now/, /its port is 4317; or set OTEL_EXPORTER_OTLP_PROTOCOL=http\/protobuf/);
});

test("TLS to a port without, and the other way round", async (context) => {
  const plain = await backend(context);
  const https = await check({ OTEL_EXPORTER_OTLP_ENDPOINT: plain.url.replace("http:", "https:") });
  assertProblem(https, /does not take it now/, /check https against http/);
  const { tls } = certificate(context, "IP:127.0.0.1");
  const secure = await backend(context, { tls });
  const http = await check({ OTEL_EXPORTER_OTLP_ENDPOINT: secure.url.replace("https:", "http:") });
  assertProblem(http, /does not take it now/, /check https against http/);
});

for (const protocol of ["http/protobuf", "grpc"]) {
  test(`${protocol}: a certificate nobody trusts, one for another host, and a file that is not there`, async (context) => {
    const base = { OTEL_EXPORTER_OTLP_PROTOCOL: protocol };
    const unknown = certificate(context, "IP:127.0.0.1");
    const first = await backend(context, { protocol, tls: unknown.tls });
    const untrusted = await check({ ...base, OTEL_EXPORTER_OTLP_ENDPOINT: first.url });
    assertProblem(untrusted, /self-signed certificate/, /PEM file in OTEL_EXPORTER_OTLP_CERTIFICATE/);
    const other = certificate(context, "DNS:elsewhere.example");
    const second = await backend(context, { protocol, tls: other.tls });
    const trust = { OTEL_EXPORTER_OTLP_CERTIFICATE: other.certFile };
    const wrongHost = await check({ ...base, ...trust, OTEL_EXPORTER_OTLP_ENDPOINT: second.url });
    assertProblem(wrongHost, /does not match certificate/, /the endpoint's host must stand in the certificate/);
    const missing = { OTEL_EXPORTER_OTLP_CERTIFICATE: `${other.certFile}.old` };
    const noFile = await check({ ...base, ...missing, OTEL_EXPORTER_OTLP_ENDPOINT: second.url });
    assertProblem(noFile, /OTEL_EXPORTER_OTLP_CERTIFICATE cannot be read \(ENOENT\)/, /correct the path/);
  });
}

test("a host that does not exist", async () => {
  const found = await check({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.invalid:4318" });
  assertProblem(found, /ENOTFOUND|EAI_AGAIN/, /correct the host name in the endpoint/);
});

test("a backend that never answers", async (context) => {
  const collector = await backend(context);
  collector.behave = () => "hang";
  const found = await check({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_TIMEOUT: "200" });
  assertProblem(found, /no answer within 200 ms/, /OTEL_EXPORTER_OTLP_TIMEOUT/);
});

const STATUSES = [
  [401, /HTTP 401/, /OTEL_EXPORTER_OTLP_HEADERS/],
  [403, /HTTP 403/, /what they are allowed to write/],
  [404, /HTTP 404/, /--feature-gates=service\.profilesSupport and a profiles pipeline/],
  [405, /HTTP 405/, /profiles pipeline/],
  [415, /HTTP 415/, /not an OTLP\/HTTP endpoint/],
  [301, /HTTP 301/, /final address/],
  [429, /HTTP 429/, /limits rate or size/],
  [500, /HTTP 500/, /error of its own: look into its log; .* it is dropped and counted/],
  [501, /HTTP 501/, /it is dropped and counted/],
  [503, /HTTP 503/, /overloaded or starting/],
  [418, /HTTP 418/, /the backend's own log/],
];
for (const [status, message, fix] of STATUSES) {
  test(`HTTP ${status}, with our own password in the answer`, async (context) => {
    const collector = await backend(context);
    collector.behave = () => (response) => response.writeHead(status).end(`no, ${SECRET}`);
    assertProblem(await check({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }, "profiles"), message, fix);
  });
}

/** AggregationTemporality of the sum (7) and the histogram (9) of a metrics request, as its numbers 1 DELTA, 2 CUMULATIVE. */
function temporalities(body) {
  const scope = fieldsOf(fieldsOf(fieldsOf(body).get(1)[0]).get(2)[0]);
  const data = (field) =>
    scope
      .get(2)
      .map((metric) => fieldsOf(metric).get(field)?.[0])
      .find(Boolean);
  return [7, 9].map((field) => {
    const points = fieldsOf(data(field)).get(1)[0].length;
    return data(field)[2 + points + 1]; // Behind the data points (tag, length of one byte, points): tag and value.
  });
}

test("metrics are tried with a sum and a histogram of the temporality that the agent would send", async (context) => {
  const collector = await backend(context);
  const sent = { cumulative: [2, 2], delta: [1, 1], lowmemory: [2, 1] };
  for (const [preference, expected] of Object.entries(sent)) {
    const found = await check({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: preference,
    });
    assert.equal(found.state, "ok", found.message);
    assert.deepEqual(temporalities(collector.received.at(-1)), expected, preference);
  }
});

test("a backend that takes no differences, in Prometheus' words", async (context) => {
  const collector = await backend(context);
  const words = 'invalid temporality and type combination for metric "leak_agent.doctor.sum"';
  collector.behave = () => (response) => response.writeHead(500).end(words);
  const found = await check({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  assertProblem(found, /HTTP 500: invalid temporality/, /^set OTEL_\w+_TEMPORALITY_PREFERENCE=cumulative$/);
});

test("gRPC: no such service, wrong credentials", async (context) => {
  const collector = await backend(context, { protocol: "grpc" });
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };
  const answer = (status) => (stream) =>
    stream.respond({ ":status": 200, "grpc-status": String(status), "grpc-message": SECRET }, { endStream: true });
  collector.behave = () => answer(12);
  assertProblem(await check(env, "profiles"), /UNIMPLEMENTED/, /--feature-gates=service\.profilesSupport/);
  assertProblem(await check(env, "logs"), /UNIMPLEMENTED/, /logs pipeline, or set OTEL_LOGS_EXPORTER=none/);
  collector.behave = () => answer(16);
  assertProblem(await check(env), /UNAUTHENTICATED/, /credentials in OTEL_EXPORTER_OTLP_HEADERS/);
  collector.behave = () => answer(7);
  assertProblem(await check(env), /PERMISSION_DENIED/, /what they are allowed to write/);
});

test("a file of a client key that is no key", async (context) => {
  const { certFile, tls } = certificate(context, "IP:127.0.0.1");
  const collector = await backend(context, { tls });
  const key = join(temporaryFolder(context), "key.pem");
  writeFileSync(key, "no key");
  const found = await check({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_CERTIFICATE: certFile,
    OTEL_EXPORTER_OTLP_CLIENT_KEY: key,
    OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: certFile,
  });
  assertProblem(found, /DECODER|PEM/, /OTEL_EXPORTER_OTLP_CLIENT_KEY and its certificate files in PEM/);
});

/** The program itself, asked for the metrics' endpoint: nothing of this process, where the backend is, keeps it alive. */
async function programSays(context, url, timeoutMillis) {
  const folder = temporaryFolder(context);
  const program = new Service([join(ROOT, "dist/cli/main.js"), "doctor", "--json"], {
    cwd: folder,
    env: {
      LEAK_AGENT_DIR: join(folder, "agent"),
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
      OTEL_EXPORTER_OTLP_TIMEOUT: timeoutMillis,
      OTEL_PROFILES_EXPORTER: "none",
      OTEL_LOGS_EXPORTER: "none",
    },
  });
  const { code, stdout, stderr } = await program.ended;
  assert.notEqual(stdout, "", `exit code ${code} and no output; stderr: ${stderr}`);
  return { code, found: JSON.parse(stdout).checks.find((one) => one.check === "metrics") };
}

test("gRPC: the program waits for the answer of a backend in another process", async (context) => {
  const collector = await backend(context, { protocol: "grpc" });
  const { code, found } = await programSays(context, collector.url, "5000");
  assert.equal(code, 0);
  assert.equal(found.state, "ok", found.message);
  assert.match(found.message, /took a test request/);
});

test("gRPC: the program tells of a backend that accepts the connection and hangs", async (context) => {
  const collector = await backend(context, { protocol: "grpc" });
  collector.behave = () => "hang";
  const { code, found } = await programSays(context, collector.url, "500");
  assert.equal(code, 1);
  assertProblem(found, /no answer within 500 ms/, /OTEL_EXPORTER_OTLP_TIMEOUT/);
});
