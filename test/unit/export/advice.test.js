"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { readConfiguration } = require("../../../dist/config");
const { adviceFor } = require("../../../dist/export/advice");
const { grpcOutcome, httpOutcome } = require("../../../dist/export/retry");

const NOTHING = new Uint8Array(0);
const HTTP = { url: "http://collector:4318/v1/metrics", protocol: "http/protobuf" };
const GRPC = { url: "http://collector:4317", protocol: "grpc" };

test("only what is tried again is said to be tried again", () => {
  const outcomes = [];
  for (let status = 300; status < 600; status++) outcomes.push([HTTP, httpOutcome(status, undefined, NOTHING, 0)]);
  for (let status = 1; status <= 16; status++) outcomes.push([GRPC, grpcOutcome(200, status, "", NOTHING, NOTHING)]);
  for (const [endpoint, outcome] of outcomes) {
    const advice = adviceFor("metrics", outcome.code, endpoint) ?? "";
    if (advice.includes("tries again by itself")) assert.equal(outcome.kind, "retryable", outcome.code);
  }
});

test("an error of the backend's own is said to cost what was sent", () => {
  for (const code of ["HTTP 500", "HTTP 501", "HTTP 505", "HTTP 599"])
    assert.match(adviceFor("metrics", code, HTTP), /error of its own: look into its log; .*dropped and counted/);
  for (const code of ["HTTP 502", "HTTP 503", "HTTP 504"])
    assert.match(adviceFor("metrics", code, HTTP), /tries again by itself/);
});

/** What is said to a 404 of the endpoint that these variables make. */
function notFound(signal, env) {
  const { settings } = readConfiguration(env);
  return adviceFor(signal, "HTTP 404", settings.otlp[signal]);
}

test("404 at OTLP's own path: the backend does not take the signal", () => {
  for (const signal of ["profiles", "metrics", "logs"])
    assert.match(notFound(signal, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" }), /^give the Collector /);
});

test("404 at another path: the path comes first, and which variable has it", () => {
  const own = notFound("metrics", { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://collector:4318" });
  assert.match(own, /^check the path \/: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is used as it is.*is \/v1\/metrics; if /);
  const twice = notFound("logs", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/v1/logs" });
  assert.match(
    twice,
    /^check the path \/v1\/logs\/v1\/logs: \/v1\/logs is appended to OTEL_EXPORTER_OTLP_ENDPOINT.*; if the path is right, give /,
  );
});

test("gRPC has no path: the backend does not take the signal", () => {
  assert.match(adviceFor("metrics", "gRPC UNIMPLEMENTED", GRPC), /^give the Collector a metrics pipeline/);
});
