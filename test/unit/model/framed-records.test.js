"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { crc32 } = require("node:zlib");
const { framed, readFramed } = require("../../../dist/model/framed-records.js");
const { random } = require("../detector/stream.js");

const RECORDS = [
  { type: "open", name: "café \u2028 \n tab\t" },
  { n: 1 },
  { list: [1, 2, 3], text: "x".repeat(300) },
  null,
];

describe("framed records", () => {
  it("come back as they were written", () => {
    const { records, damagedCount, wholeBytes } = readFramed(Buffer.from(RECORDS.map(framed).join("")));
    assert.deepEqual(records, RECORDS);
    assert.equal(damagedCount, 0);
    assert.equal(wholeBytes, Buffer.byteLength(RECORDS.map(framed).join("")));
  });

  it("carry the length in bytes and the checksum that zlib computes", () => {
    const json = Buffer.from(JSON.stringify(RECORDS[0]));
    const [length, checksum] = framed(RECORDS[0]).split(" ", 2);
    assert.equal(Number.parseInt(length, 16), json.length);
    assert.equal(Number.parseInt(checksum, 16), crc32(json));
  });

  it("cut at every byte, lose at most the record that was cut, and say so", () => {
    const lines = RECORDS.map((record) => Buffer.from(framed(record)));
    const whole = Buffer.concat(lines);
    const ends = lines.map((_, index) => lines.slice(0, index + 1).reduce((sum, line) => sum + line.length, 0));
    for (let cut = 0; cut <= whole.length; cut++) {
      const { records, damagedCount, wholeBytes } = readFramed(whole.subarray(0, cut));
      const complete = ends.filter((end) => end <= cut).length;
      assert.deepEqual(records, RECORDS.slice(0, complete), `cut at ${cut}`);
      assert.equal(damagedCount, cut === (ends[complete - 1] ?? 0) ? 0 : 1, `cut at ${cut}`);
      assert.equal(wholeBytes, ends[complete - 1] ?? 0, `cut at ${cut}`);
    }
  });

  it("with one byte changed anywhere, never give a record that was not written, and lose two at most", () => {
    const whole = Buffer.from(RECORDS.map(framed).join(""));
    const known = new Set(RECORDS.map((record) => JSON.stringify(record)));
    const rnd = random(7);
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] ^= 1 + Math.floor(255 * rnd());
      const { records, damagedCount } = readFramed(changed);
      assert.ok(damagedCount >= 1, `byte ${at}`);
      assert.ok(records.length >= RECORDS.length - 2, `byte ${at}`);
      for (const record of records) assert.ok(known.has(JSON.stringify(record)), `byte ${at}`);
    }
  });
});
