"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { exportedSignals, readConfiguration } = require("../../dist/config");

const BASE = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" };

function read(env) {
  const { settings, problems } = readConfiguration(env);
  return { otlp: settings.otlp, settings, problems };
}

function urls(env) {
  const { otlp } = read(env);
  return [otlp.profiles?.url ?? null, otlp.metrics?.url ?? null, otlp.logs?.url ?? null];
}

test("with no variable nothing is exported", () => {
  const { otlp, problems } = read({});
  assert.deepEqual(exportedSignals(otlp), []);
  assert.deepEqual(problems, []);
  assert.deepEqual(
    [otlp.exportIntervalMillis, otlp.exitFlushMillis, otlp.spoolLimitBytes, otlp.spoolMaxAgeMillis],
    [60_000, 500, 16 * 1024 * 1024, 6 * 3_600_000],
  );
});

test("the base endpoint gets each signal's path, below a path of its own too", () => {
  assert.deepEqual(urls(BASE), [
    "http://collector:4318/v1development/profiles",
    "http://collector:4318/v1/metrics",
    "http://collector:4318/v1/logs",
  ]);
  assert.equal(urls({ OTEL_EXPORTER_OTLP_ENDPOINT: "https://c/otlp/" })[0], "https://c/otlp/v1development/profiles");
  assert.equal(urls({ OTEL_EXPORTER_OTLP_ENDPOINT: "https://c/a?b=c#d" })[1], "https://c/a/v1/metrics?b=c");
});

test("a signal's own endpoint is used as it is, and alone exports that signal only", () => {
  assert.deepEqual(urls({ OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT: "http://p:1/in" }), ["http://p:1/in", null, null]);
  assert.deepEqual(urls({ ...BASE, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://m:2" })[1], "http://m:2/");
});

test("gRPC takes scheme, host and port; without a scheme it is TLS unless INSECURE says otherwise", () => {
  const grpc = { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };
  const url = (env) => read({ ...grpc, ...env }).otlp.profiles?.url;
  assert.equal(url({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4317/ignored" }), "http://c:4317");
  assert.equal(url({ OTEL_EXPORTER_OTLP_ENDPOINT: "c:4317" }), "https://c:4317");
  assert.equal(url({ OTEL_EXPORTER_OTLP_ENDPOINT: "c:4317", OTEL_EXPORTER_OTLP_INSECURE: "true" }), "http://c:4317");
  const own = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4317", OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "http/protobuf" };
  const { otlp } = read({ ...grpc, ...own });
  assert.deepEqual([otlp.profiles.protocol, otlp.metrics.protocol], ["grpc", "http/protobuf"]);
  assert.equal(otlp.metrics.url, "http://c:4317/v1/metrics");
});

test("a signal's own setting takes the place of the base one", () => {
  const { otlp, problems } = read({
    ...BASE,
    OTEL_EXPORTER_OTLP_HEADERS: "a=1, B = two%20words ,c=",
    OTEL_EXPORTER_OTLP_LOGS_HEADERS: "d=4",
    OTEL_EXPORTER_OTLP_TIMEOUT: "2500",
    OTEL_EXPORTER_OTLP_PROFILES_TIMEOUT: "99",
    OTEL_EXPORTER_OTLP_COMPRESSION: "none",
    OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: "gzip",
    OTEL_EXPORTER_OTLP_CERTIFICATE: "/ca.pem",
    OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE: "/logs.pem",
    OTEL_EXPORTER_OTLP_CLIENT_KEY: "/key.pem",
    OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: "/cert.pem",
  });
  assert.deepEqual(problems, []);
  assert.deepEqual(otlp.profiles.headers, { a: "1", b: "two words", c: "" });
  assert.deepEqual(otlp.logs.headers, { d: "4" });
  assert.deepEqual([otlp.profiles.timeoutMillis, otlp.metrics.timeoutMillis], [99, 2500]);
  assert.deepEqual([otlp.profiles.compression, otlp.metrics.compression], ["none", "gzip"]);
  assert.deepEqual([otlp.profiles.certificateFile, otlp.logs.certificateFile], ["/ca.pem", "/logs.pem"]);
  assert.deepEqual([otlp.logs.clientKeyFile, otlp.logs.clientCertificateFile], ["/key.pem", "/cert.pem"]);
});

test("user name and password leave the URL and become a header", () => {
  const { otlp } = read({ OTEL_EXPORTER_OTLP_ENDPOINT: "https://me:p%40ss@c:1" });
  assert.equal(otlp.profiles.url, "https://c:1/v1development/profiles");
  assert.equal(otlp.profiles.headers.authorization, `Basic ${Buffer.from("me:p@ss").toString("base64")}`);
});

test("none and OTEL_SDK_DISABLED switch export off; other SDKs' exporters are none of ours", () => {
  assert.equal(urls({ ...BASE, OTEL_PROFILES_EXPORTER: "none" })[0], null);
  assert.equal(urls({ ...BASE, OTEL_METRICS_EXPORTER: "prometheus" })[1], null);
  assert.notEqual(urls({ ...BASE, OTEL_LOGS_EXPORTER: "console,otlp" })[2], null);
  assert.deepEqual(urls({ ...BASE, OTEL_SDK_DISABLED: "TRUE" }), [null, null, null]);
  assert.deepEqual(read({ ...BASE, OTEL_METRICS_EXPORTER: "prometheus" }).problems, []);
});

for (const [name, bad] of [
  ["OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"],
  ["OTEL_EXPORTER_OTLP_TIMEOUT", "10s"],
  ["OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"],
  ["OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"],
  ["OTEL_SDK_DISABLED", "maybe"],
  ["OTEL_PROFILES_EXPORTER", "oltp"],
  ["LEAK_AGENT_EXPORT_INTERVAL", "10ms"],
  ["LEAK_AGENT_EXIT_FLUSH_MS", "1m"],
  ["LEAK_AGENT_SPOOL_MAX_MB", "0"],
  ["LEAK_AGENT_SPOOL_MAX_AGE", "1s"],
]) {
  test(`${name}=${bad} is refused with one line and export goes on with the default`, () => {
    const { otlp, problems } = read({ ...BASE, [name]: bad });
    assert.equal(problems.length, 1);
    assert.match(problems[0], new RegExp(`^${name}="${bad}" is not usable: write .*; using `));
    assert.deepEqual(otlp, read(BASE).otlp);
  });
}

for (const [name, bad, base, used] of [
  ["PROTOCOL", "http/json", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL, grpc"],
  ["PROTOCOL", "http/json", undefined, "the default, http/protobuf"],
  ["TIMEOUT", "soon", "2500", "OTEL_EXPORTER_OTLP_TIMEOUT, 2500"],
  ["TIMEOUT", "soon", undefined, "the default, 10000"],
  ["COMPRESSION", "zstd", "none", "OTEL_EXPORTER_OTLP_COMPRESSION, none"],
  ["COMPRESSION", "zstd", undefined, "the default, gzip"],
]) {
  test(`a bad ${name} of one signal says that it uses ${used}`, () => {
    const env = { ...BASE, [`OTEL_EXPORTER_OTLP_${name}`]: base };
    const { otlp, problems } = read({ ...env, [`OTEL_EXPORTER_OTLP_METRICS_${name}`]: bad });
    assert.deepEqual(otlp, read(env).otlp);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.ok(problems[0].endsWith(`; using ${used}`), problems[0]);
  });
}

test("a bad limit of the spool says how much is used: the default, or a quarter of the folder", () => {
  const last = (env) =>
    read({ LEAK_AGENT_SPOOL_MAX_MB: "lots", ...env })
      .problems.join()
      .split("; using ")[1];
  assert.equal(last({}), "the default, 16");
  assert.equal(last({ LEAK_AGENT_DIR_MAX_MB: "8" }), "a quarter of LEAK_AGENT_DIR_MAX_MB, 2");
});

test("the range of a duration is told in its own words", () => {
  assert.match(read({ LEAK_AGENT_SPOOL_MAX_AGE: "x" }).problems[0], /a duration from 1m to 7d, such as/);
});

test("a bad endpoint or header is one line, and no line repeats a secret", () => {
  const secrets = ["hunter2", "t0ken", "s3cret"];
  for (const [env, count] of [
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "ftp://me:hunter2@collector" }, 1],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318?key=t0ken" }, 1],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://[hunter2" }, 1],
    [{ ...BASE, OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT: "//me:hunter2@x" }, 1],
    [{ ...BASE, OTEL_EXPORTER_OTLP_HEADERS: "s3cret" }, 1],
    [{ ...BASE, OTEL_EXPORTER_OTLP_HEADERS: "a=hunter2%0d%0ab: c,bad name=t0ken,content-length=s3cret" }, 1],
  ]) {
    const { problems } = read(env);
    assert.equal(problems.length, count, problems.join("\n"));
    assert.match(problems[0], /^OTEL_EXPORTER_OTLP_(PROFILES_)?(ENDPOINT|HEADERS) .*write /);
    for (const secret of secrets) assert.ok(!problems.join("\n").includes(secret), problems.join("\n"));
  }
  assert.deepEqual(urls({ ...BASE, OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT: "//x" }).map(Boolean), [false, true, true]);
});

test("load tests export more often, and the spool stays a part of the folder", () => {
  assert.equal(read({ LEAK_AGENT_HORIZON: "30s" }).otlp.exportIntervalMillis, 3_000);
  assert.equal(read({ LEAK_AGENT_HORIZON: "1h" }).otlp.exportIntervalMillis, 60_000);
  assert.equal(read({ LEAK_AGENT_DIR_MAX_MB: "8" }).otlp.spoolLimitBytes, 2 * 1024 * 1024);
  const { otlp, problems } = read({ LEAK_AGENT_DIR_MAX_MB: "8", LEAK_AGENT_SPOOL_MAX_MB: "16" });
  assert.equal(otlp.spoolLimitBytes, 4 * 1024 * 1024);
  assert.match(problems[0], /^LEAK_AGENT_SPOOL_MAX_MB is more than half of LEAK_AGENT_DIR_MAX_MB/);
});

test("resource attributes are kept as given", () => {
  const { settings } = read({ OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=a%20b,service.version=7" });
  assert.deepEqual(settings.resourceAttributes, { "deployment.environment.name": "a b", "service.version": "7" });
  assert.equal(settings.serviceVersion, "7");
});

test("a bad resource attribute costs one line that names it; the others are used", () => {
  const { settings, problems } = read({
    OTEL_RESOURCE_ATTRIBUTES: "service.namespace=ns,key only,k=%zz, =v ,a%2Cb=v=w,load=100%25,",
  });
  assert.deepEqual(settings.resourceAttributes, { "service.namespace": "ns", "a,b": "v=w", load: "100%" });
  assert.deepEqual(problems, [
    'OTEL_RESOURCE_ATTRIBUTES has entries that are not usable, "key only", "k=%zz", "=v": ' +
      "write key=value,key=value, percent-encoded; the others are used",
  ]);
  const many = read({ OTEL_RESOURCE_ATTRIBUTES: Array(9).fill("x".repeat(200)).join(",") }).problems;
  assert.match(many.join(""), /not usable, ("x{80}", ){4}"x{80}" and 4 more: write/);
});
