"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { parseMoment } = require("../../../dist/cli/moment");
const { bytes, count, duration, signedBytes, significant, tracemallocSize } = require("../../../dist/cli/quantities");
const { table, wrap } = require("../../../dist/cli/columns");

test("sizes are written as CPython's tracemalloc._format_size writes them", () => {
  // Computed with CPython 3.11: [tracemalloc._format_size(n, s) for ...]
  const known = [
    [0, false, "0 B"],
    [24, false, "24 B"],
    [10_239, false, "10239 B"],
    [10_240, false, "10.0 KiB"],
    [102_399, false, "100.0 KiB"],
    [102_400, false, "100 KiB"],
    [7252 * 1024, false, "7252 KiB"],
    [10_239 * 1024, false, "10239 KiB"],
    [10_240 * 1024, false, "10.0 MiB"],
    [3947 * 1024, true, "+3947 KiB"],
    [-3947 * 1024, true, "-3947 KiB"],
    [0, true, "+0 B"],
    [5 * 1024 ** 5, false, "5120 TiB"],
  ];
  for (const [size, signed, expected] of known) assert.equal(tracemallocSize(size, signed), expected);
});

test("sizes in sentences keep three significant digits", () => {
  const known = [
    [0, "0 B"],
    [1e-10, "0 B"],
    [0.5, "0.5 B"],
    [24, "24 B"],
    [1000, "1000 B"],
    [1536, "1.5 KiB"],
    [1_048_575, "1 MiB"],
    [343 * 1024 * 1024, "343 MiB"],
    [-2048, "-2 KiB"],
  ];
  for (const [size, expected] of known) assert.equal(bytes(size), expected);
  assert.equal(signedBytes(-1e-9), "+0 B");
  assert.equal(signedBytes(-2048), "-2 KiB");
  assert.equal(signedBytes(2048), "+2 KiB");
});

test("numbers, counts and durations", () => {
  assert.equal(count(309_391), "309,391");
  assert.equal(count(1_234_567.6), "1,234,568");
  assert.equal(significant(0.9), "0.9");
  assert.equal(significant(34.14), "34.1");
  assert.equal(significant(100.4), "100");
  assert.equal(significant(0.00123), "0.0012");
  assert.equal(duration(450), "450 ms");
  assert.equal(duration(59_600), "1 min");
  assert.equal(duration(72_000), "1 min 12 s");
  assert.equal(duration(3_599_999), "1 h");
  assert.equal(duration(61 * 3_600_000), "2 d 13 h");
  assert.equal(duration(-5_000), "-5 s");
});

test("points in time are relative, absolute or now", () => {
  const now = Date.UTC(2026, 10, 25, 12);
  const read = (text) => parseMoment(text, "--from", now);
  assert.equal(read("now"), now);
  assert.equal(read("-90s"), now - 90_000);
  assert.equal(read("-1h"), now - 3_600_000);
  assert.equal(read("-5d"), now - 5 * 86_400_000);
  assert.equal(read("2026-11-25T10:00:00Z"), now - 7_200_000);
  assert.equal(read("2026-11-25T10:00:00"), now - 7_200_000, "without a zone it is UTC");
  assert.equal(read("2026-11-25 10:00"), now - 7_200_000);
  assert.equal(read("2026-11-25T10:00:00+01:00"), now - 3 * 3_600_000);
  assert.equal(read("2026-11-25"), now - 12 * 3_600_000);
  for (const text of ["", "-1", "1h", "-1w", "yesterday", "10:00", "2026-13-45"]) {
    assert.throws(() => read(text), { code: "ERR_LEAK_AGENT_USAGE" }, text);
  }
});

test("a table shrinks its one soft column to fit 100 columns, from the front", () => {
  const columns = [
    { title: "file", align: "left", shrinks: true },
    { title: "size", align: "right" },
  ];
  const lines = table(columns, [
    [`${"deep/".repeat(30)}metrics.js`, "12"],
    ["a.js", "1,234,567"],
  ]);
  assert.equal(Math.max(...lines.map((line) => line.length)), 100);
  assert.match(lines[1], /^ {2}\.\.\.\S*deep\/metrics\.js +12$/);
  assert.match(lines[2], /^ {2}a\.js +1,234,567$/);
  assert.deepEqual(table(columns, []), []);
});

test("paragraphs break at blanks and never inside a word", () => {
  const long = "x".repeat(120);
  assert.deepEqual(wrap(`one two ${long} three`, 2, 4), ["  one two", `    ${long}`, "    three"]);
  assert.ok(wrap("word ".repeat(200)).every((line) => line.length <= 100));
});
