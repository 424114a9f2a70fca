"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { Backoff, grpcOutcome, httpOutcome, parseRetryAfter } = require("../../../dist/export/retry");

const NONE = new Uint8Array(0);
const NOW = Date.UTC(2026, 10, 25, 10, 0, 0);
const bytes = (...values) => Uint8Array.from(values);
const text = (value) => new TextEncoder().encode(value);

/** A length-delimited field. */
function field(number, content) {
  return bytes((number << 3) | 2, content.length, ...content);
}

test("200 with nothing, with an empty partial success, and with 0 rejected is a full success", () => {
  for (const body of [NONE, bytes(0x0a, 0x00), bytes(0x0a, 0x02, 0x08, 0x00)]) {
    assert.deepEqual(httpOutcome(200, undefined, body, NOW), { kind: "exported", warning: "" });
    assert.deepEqual(grpcOutcome(200, 0, "", NONE, body), { kind: "exported", warning: "" });
  }
});

test("0 rejected with a message is a success with a warning", () => {
  const body = field(1, field(2, text("soon deprecated")));
  assert.deepEqual(httpOutcome(202, undefined, body, NOW), { kind: "exported", warning: "soon deprecated" });
});

test("a partial success is counted, whatever else is in the answer", () => {
  const partial = bytes(0x08, 0xac, 0x02, ...field(2, text("too old")), 0x18, 0x07);
  const body = bytes(...field(1, partial), ...field(9, text("unknown")));
  const expected = { kind: "partial", rejectedCount: 300, reason: "too old" };
  assert.deepEqual(httpOutcome(200, undefined, body, NOW), expected);
  assert.deepEqual(grpcOutcome(200, 0, "", NONE, body), expected);
});

test("a success stays one when its body makes no sense", () => {
  for (const body of [text("<html>"), bytes(0x0a, 0x50, 0x01), bytes(0x80), bytes(0x00, 0x00)]) {
    assert.equal(httpOutcome(200, undefined, body, NOW).kind, "exported");
  }
  const negative = bytes(0x0a, 0x0b, 0x08, ...new Array(9).fill(0xff), 0x01);
  assert.equal(httpOutcome(200, undefined, negative, NOW).kind, "exported");
});

test("429, 502, 503 and 504 are tried again, every other status never", () => {
  for (let status = 300; status < 600; status++) {
    const { kind, code } = httpOutcome(status, undefined, NONE, NOW);
    assert.equal(kind, [429, 502, 503, 504].includes(status) ? "retryable" : "rejected", `HTTP ${status}`);
    assert.equal(code, `HTTP ${status}`);
  }
});

test("the reason is the message of a google.rpc.Status, or the text of the body", () => {
  assert.equal(httpOutcome(400, undefined, field(2, text("bad index")), NOW).reason, "HTTP 400: bad index");
  assert.equal(httpOutcome(400, undefined, text("no such tenant\n"), NOW).reason, "HTTP 400: no such tenant");
  assert.equal(httpOutcome(400, undefined, bytes(0xff, 0xfe, 0x00), NOW).reason, "HTTP 400");
});

test("Retry-After is read as seconds or as a date, and nothing else", () => {
  assert.equal(parseRetryAfter("7", NOW), 7_000);
  assert.equal(parseRetryAfter(" 0 ", NOW), 0);
  assert.equal(parseRetryAfter("Wed, 25 Nov 2026 10:01:30 GMT", NOW), 90_000);
  assert.equal(parseRetryAfter("Wednesday, 25-Nov-26 10:00:05 GMT", NOW), 5_000);
  assert.equal(parseRetryAfter("Wed, 25 Nov 2026 09:00:00 GMT", NOW), 0);
  assert.equal(parseRetryAfter("99999999", NOW), 3_600_000);
  for (const bad of [undefined, "", "soon", "-5", "1.5", "20 26", "Someday, maybe"]) {
    assert.equal(parseRetryAfter(bad, NOW), null, bad);
  }
  assert.equal(httpOutcome(503, "12", NONE, NOW).retryAfterMillis, 12_000);
});

test("gRPC tries again what the specification lists", () => {
  const retryable = [1, 4, 10, 11, 14, 15];
  for (let status = 1; status <= 16; status++) {
    const outcome = grpcOutcome(200, status, "why", NONE, NONE);
    assert.equal(outcome.kind, retryable.includes(status) ? "retryable" : "rejected", `status ${status}`);
    assert.match(outcome.reason, /^gRPC [A-Z_]+: why$/);
  }
});

test("RESOURCE_EXHAUSTED is tried again only with RetryInfo, after its delay", () => {
  const duration = bytes(0x08, 0x03, 0x10, ...[0x80, 0xca, 0xb5, 0xee, 0x01]); // 3 s and 500,000,000 ns
  const any = (type) => bytes(...field(1, text(type)), ...field(2, field(1, duration)));
  const info = field(3, any("type.googleapis.com/google.rpc.RetryInfo"));
  const other = field(3, any("type.googleapis.com/google.rpc.QuotaFailure"));
  assert.deepEqual(grpcOutcome(200, 8, "", bytes(...other, ...info), NONE), {
    kind: "retryable",
    code: "gRPC RESOURCE_EXHAUSTED",
    reason: "gRPC RESOURCE_EXHAUSTED",
    retryAfterMillis: 3_500,
  });
  assert.equal(grpcOutcome(200, 8, "", other, NONE).kind, "rejected");
  assert.equal(grpcOutcome(200, 8, "", text("nonsense"), NONE).kind, "rejected");
  assert.equal(grpcOutcome(200, 14, "", info, NONE).retryAfterMillis, 3_500);
});

test("without a gRPC status the HTTP status decides", () => {
  assert.equal(grpcOutcome(503, null, "", NONE, NONE).kind, "retryable");
  assert.equal(grpcOutcome(429, null, "", NONE, NONE).kind, "retryable");
  assert.equal(grpcOutcome(404, null, "", NONE, NONE).code, "gRPC UNIMPLEMENTED");
  assert.equal(grpcOutcome(401, null, "", NONE, NONE).code, "gRPC UNAUTHENTICATED");
  assert.match(grpcOutcome(200, null, "", NONE, NONE).reason, /no grpc-status/);
});

test("the backoff doubles up to a minute, jitters below, and never undercuts the backend", () => {
  const lowest = new Backoff(() => 0);
  const highest = new Backoff(() => 1 - Number.EPSILON);
  const full = [1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1_000);
  assert.deepEqual(
    full.map(() => lowest.next(null)),
    full.map((millis) => millis / 2),
  );
  assert.deepEqual(
    full.map(() => Math.round(highest.next(null))),
    full,
  );
  assert.equal(lowest.next(90_000), 90_000);
  assert.equal(lowest.next(0), 30_000);
  lowest.reset();
  assert.equal(lowest.next(null), 500);
});
