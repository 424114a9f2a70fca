"use strict";
const assert = require("node:assert/strict");
const { beforeEach, test } = require("node:test");
const { readConfiguration } = require("../../../dist/config");
const { dropsOfSignal, tellDelivery } = require("../../../dist/worker/signal-delivery");

let lines;
beforeEach(() => {
  lines = [];
});

const log = {
  info: (message) => lines.push(message),
  warn: (code, message) => lines.push(`${code} ${message}`),
  warnOnce: (_key, code, message) => lines.push(`${code} ${message}`),
};

for (const signal of ["profiles", "metrics", "logs"]) {
  test(`${signal}: each line names the endpoint without its secrets, and the fix where there is one`, () => {
    const { settings } = readConfiguration({
      [`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`]: "https://me:hunter2@backend/in?key=t0ken",
      OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=s3cret",
    });
    const listener = tellDelivery(signal, log, settings.otlp[signal], () => 4);
    listener.waiting("connect ECONNREFUSED", "ECONNREFUSED");
    listener.recovered();
    listener.rejected("HTTP 401", "HTTP 401: who are you");
    listener.rejected("HTTP 400", "HTTP 400: bad");
    listener.partlyRejected(2, "too old");
    listener.warned("deprecated");
    assert.equal(lines.length, 6);
    for (const line of lines) {
      assert.match(line, /https:\/\/backend\/in \(http\/protobuf\)/);
      assert.ok(line.includes(signal) || /2 (data points|log records)/.test(line));
      assert.doesNotMatch(line, /hunter2|t0ken|s3cret|me:/);
    }
    assert.match(lines[0], /start the backend, or correct host and port/);
    assert.match(lines[1], /4 were dropped/);
    assert.match(lines[2], /credentials in OTEL_EXPORTER_OTLP_HEADERS/);
    assert.match(lines[3], /HTTP 400: bad; told once$/, "nobody but the backend knows what to do");
  });
}

test("every way to lose something has a name of its own, with the signal in it", () => {
  const spool = {
    put: 100,
    adopted: 200,
    droppedForSpace: 1,
    droppedForAge: 2,
    droppedByBackend: 3,
    droppedDamaged: 4,
    inheritedDrops: 5,
    replaced: 7,
  };
  const delivery = { exported: 300, rejected: 3, rejectedItems: 6, failedAttempts: 400 };
  const values = (signal) => Object.entries(dropsOfSignal(signal, spool, delivery));
  const common = (signal) => [
    [`${signal}_spool_full`, 1],
    [`${signal}_too_old`, 2],
    [`${signal}_refused`, 3],
    [`${signal}_damaged`, 4],
    [`${signal}_earlier_life`, 5],
    [`${signal}_left_out`, 6],
  ];
  assert.deepEqual(values("profiles"), common("profiles"));
  assert.deepEqual(values("logs"), common("logs"));
  assert.deepEqual(values("metrics"), [...common("metrics"), ["metrics_replaced", 7]]);
});
