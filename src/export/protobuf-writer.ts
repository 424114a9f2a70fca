/**
 * Runs on the agent's worker thread. Owns the protobuf wire format (protobuf.dev/programming-guides/encoding), as far as
 * our encoders need it. Knows no message; writes fields in the order it is told to.
 */

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_LENGTH_DELIMITED = 2;

const INITIAL_BYTES = 16_384;
const UINT32_VALUES = 0x1_0000_0000;
/** Longest varint: 64 bits, 7 a byte. */
const MAX_VARINT_BYTES = 10;

/**
 * A growing buffer. `int`, `fixed64`, `string` and `bytes` leave out proto3's default value (implicit presence); the
 * `present...` twins write it too, as members of a oneof and elements of a repeated field need.
 */
export class ProtobufWriter {
  private buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  private length = 0;

  /** int32, int64, uint32, uint64: a whole number, negative ones as 64-bit two's complement. */
  int(field: number, value: number | bigint): void {
    if (value !== 0 && value !== 0n) this.presentInt(field, value);
  }

  presentInt(field: number, value: number | bigint): void {
    this.tag(field, WIRE_VARINT);
    this.varint(value);
  }

  presentBool(field: number, value: boolean): void {
    this.presentInt(field, value ? 1 : 0);
  }

  fixed64(field: number, value: bigint): void {
    if (value === 0n) return;
    this.tag(field, WIRE_FIXED64);
    this.reserve(8);
    this.length = this.buffer.writeBigUInt64LE(BigInt.asUintN(64, value), this.length);
  }

  presentDouble(field: number, value: number): void {
    this.tag(field, WIRE_FIXED64);
    this.reserve(8);
    this.length = this.buffer.writeDoubleLE(value, this.length);
  }

  string(field: number, text: string): void {
    if (text !== "") this.presentString(field, text);
  }

  /** Lone surrogates, which UTF-8 cannot hold, become U+FFFD. */
  presentString(field: number, text: string): void {
    this.tag(field, WIRE_LENGTH_DELIMITED);
    const byteLength = Buffer.byteLength(text);
    this.varint(byteLength);
    this.reserve(byteLength);
    this.length += this.buffer.write(text, this.length, "utf8");
  }

  bytes(field: number, value: Uint8Array): void {
    if (value.byteLength === 0) return;
    this.tag(field, WIRE_LENGTH_DELIMITED);
    this.varint(value.byteLength);
    this.reserve(value.byteLength);
    this.buffer.set(value, this.length);
    this.length += value.byteLength;
  }

  /** A repeated integer field; an empty list writes nothing. */
  packed(field: number, values: readonly (number | bigint)[]): void {
    if (values.length === 0) return;
    this.message(field, () => {
      for (const value of values) this.varint(value);
    });
  }

  /** A submessage, also when it is empty. @param write writes its fields into this writer. */
  message(field: number, write: () => void): void {
    this.tag(field, WIRE_LENGTH_DELIMITED);
    const start = this.length;
    write();
    this.insertVarint(start, this.length - start);
  }

  /** @returns a copy of what was written. */
  finish(): Uint8Array {
    return new Uint8Array(this.buffer.subarray(0, this.length));
  }

  private tag(field: number, wireType: number): void {
    this.varint(field * 8 + wireType);
  }

  private varint(value: number | bigint): void {
    this.reserve(MAX_VARINT_BYTES);
    this.length = putVarint(this.buffer, this.length, value);
  }

  /** Puts a length in front of what was written since `start`. */
  private insertVarint(start: number, value: number): void {
    const prefixBytes = varintBytes(value);
    this.reserve(prefixBytes);
    this.buffer.copyWithin(start + prefixBytes, start, this.length);
    putVarint(this.buffer, start, value);
    this.length += prefixBytes;
  }

  private reserve(byteCount: number): void {
    if (this.length + byteCount <= this.buffer.byteLength) return;
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.byteLength * 2, this.length + byteCount));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }
}

function varintBytes(value: number): number {
  let count = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) count++;
  return count;
}

/** @returns the offset behind the varint. @throws RangeError for a number that is no safe integer. */
function putVarint(buffer: Buffer, offset: number, value: number | bigint): number {
  if (typeof value === "bigint") return putBigVarint(buffer, offset, value);
  if (value < 0 || !Number.isSafeInteger(value)) return putBigVarint(buffer, offset, BigInt(value));
  let at = offset;
  let rest = value;
  while (rest >= UINT32_VALUES) {
    buffer[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    buffer[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[at++] = rest;
  return at;
}

function putBigVarint(buffer: Buffer, offset: number, value: bigint): number {
  let at = offset;
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    buffer[at++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  buffer[at++] = Number(rest);
  return at;
}
