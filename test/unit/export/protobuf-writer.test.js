"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { ProtobufWriter } = require("../../../dist/export/protobuf-writer.js");

/** What `write` puts into a fresh writer, as hexadecimal. */
function written(write) {
  const writer = new ProtobufWriter();
  write(writer);
  return Buffer.from(writer.finish()).toString("hex");
}

describe("the protobuf writer", () => {
  // protobuf.dev/programming-guides/encoding: `a: 150` is 08 96 01, `b: "testing"` is 12 07 ..., `c: {a: 150}` is 1a 03 ...
  it("writes the examples of protobuf's own guide", () => {
    assert.equal(
      written((writer) => writer.int(1, 150)),
      "089601",
    );
    assert.equal(
      written((writer) => writer.string(2, "testing")),
      "120774657374696e67",
    );
    assert.equal(
      written((writer) => writer.message(3, () => writer.int(1, 150))),
      "1a03089601",
    );
    assert.equal(
      written((writer) => writer.packed(6, [3, 270, 86_942])),
      "3206038e029ea705",
    );
  });

  const varints = [
    [127, "7f"],
    [128, "8001"],
    [2 ** 31, "8080808008"],
    [2 ** 32 - 1, "ffffffff0f"],
    [2 ** 32, "8080808010"],
    [2 ** 35 + 5, "858080808001"],
    [Number.MAX_SAFE_INTEGER, "ffffffffffffff0f"],
    [2n ** 63n, "80808080808080808001"],
    [2n ** 64n - 1n, "ffffffffffffffffff01"],
    [-1, "ffffffffffffffffff01"],
    [-1n, "ffffffffffffffffff01"],
    [-(2n ** 63n), "80808080808080808001"],
  ];
  for (const [value, hex] of varints) {
    it(`writes ${typeof value} ${value} as a 64-bit varint`, () => {
      assert.equal(
        written((writer) => writer.int(1, value)),
        `08${hex}`,
      );
    });
  }

  it("refuses a number that cannot be exact", () => {
    for (const value of [1.5, Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => written((writer) => writer.int(1, value)), RangeError);
  });

  it("writes numbers of field and wire type in one tag, also above 15", () => {
    assert.equal(
      written((writer) => writer.int(16, 1)),
      "800101",
    );
    assert.equal(
      written((writer) => writer.int(2 ** 29 - 1, 1)),
      "f8ffffff0f01",
    );
  });

  it("writes fixed64 and doubles little endian", () => {
    assert.equal(
      written((writer) => writer.fixed64(3, 1_764_064_800_123_000_000n)),
      `19${Buffer.from(new BigUint64Array([1_764_064_800_123_000_000n]).buffer).toString("hex")}`,
    );
    assert.equal(
      written((writer) => writer.presentDouble(4, -0.5)),
      "21000000000000e0bf",
    );
  });

  it("leaves out defaults, but not as members of a oneof nor in a submessage", () => {
    const nothing = (writer) => {
      writer.int(1, 0);
      writer.int(1, 0n);
      writer.fixed64(1, 0n);
      writer.string(1, "");
      writer.bytes(1, new Uint8Array());
      writer.packed(1, []);
    };
    assert.equal(written(nothing), "");
    const present = (writer) => {
      writer.presentInt(1, 0);
      writer.presentBool(2, false);
      writer.presentString(3, "");
      writer.presentDouble(4, 0);
      writer.message(5, () => {});
    };
    assert.equal(written(present), "080010001a00210000000000000000" + "2a00");
  });

  it("packs zeros, which count as elements", () => {
    assert.equal(
      written((writer) => writer.packed(4, [0, 0])),
      "22020000",
    );
  });

  it("puts the length before submessages of every size, nested", () => {
    for (const size of [0, 1, 125, 126, 127, 128, 16_380, 16_384, 70_000, 2_200_000]) {
      const writer = new ProtobufWriter();
      writer.message(1, () => {
        writer.message(2, () => writer.bytes(3, new Uint8Array(size).fill(0xab)));
        writer.int(4, 1);
      });
      const outer = delimited(Buffer.from(writer.finish()), 0x0a);
      const inner = delimited(outer.body, 0x12);
      assert.deepEqual([...inner.rest], [0x20, 1], `size ${size}`);
      assert.equal(outer.rest.length, 0);
      if (size === 0) assert.equal(inner.body.length, 0);
      else assert.equal(delimited(inner.body, 0x1a).body.filter((byte) => byte === 0xab).length, size);
    }
  });

  it("writes text as UTF-8 and a lone surrogate as U+FFFD, counting bytes", () => {
    assert.equal(
      written((writer) => writer.string(1, "é漢🙂\0")),
      `0a0a${Buffer.from("é漢🙂\0").toString("hex")}`,
    );
    assert.equal(
      written((writer) => writer.string(1, "a\ud83d")),
      "0a0461efbfbd",
    );
  });

  it("hands out a copy", () => {
    const writer = new ProtobufWriter();
    writer.int(1, 1);
    const first = writer.finish();
    writer.int(2, 2);
    assert.equal(first.buffer.byteLength, 2);
    assert.deepEqual([...writer.finish()], [8, 1, 16, 2]);
  });
});

/** Splits `tag length body rest`. */
function delimited(bytes, tag) {
  assert.equal(bytes[0], tag);
  let length = 0;
  let at = 1;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  return { body: bytes.subarray(at, at + length), rest: bytes.subarray(at + length) };
}
