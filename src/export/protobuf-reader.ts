/**
 * Runs on the agent's worker thread and in the CLI. Owns reading the protobuf wire format, as far as a backend's short
 * answers need it (protobuf.dev/programming-guides/encoding). Knows no message. The input is foreign: any bytes may come.
 */

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_LENGTH_DELIMITED = 2;
const WIRE_FIXED32 = 5;
/** A varint holds at most 64 bits, 7 a byte. */
const MAX_VARINT_BYTES = 10;

export interface ProtobufField {
  readonly number: number;
  /** Of a varint; 0n for the other wire types. */
  readonly varint: bigint;
  /** Of a length-delimited field; empty for the other wire types. */
  readonly bytes: Uint8Array;
}

/** @returns the fields of one message in their order, or null when the bytes are no message. */
export function readFields(bytes: Uint8Array): ProtobufField[] | null {
  const fields: ProtobufField[] = [];
  const none = new Uint8Array(0);
  let at = 0;
  while (at < bytes.length) {
    const tag = readVarint(bytes, at);
    if (tag === null) return null;
    at = tag.end;
    const number = Number(BigInt.asUintN(32, tag.value) >> 3n);
    const wire = Number(tag.value & 7n);
    if (number === 0) return null;
    if (wire === WIRE_VARINT) {
      const varint = readVarint(bytes, at);
      if (varint === null) return null;
      fields.push({ number, varint: varint.value, bytes: none });
      at = varint.end;
      continue;
    }
    const length = lengthOf(bytes, at, wire);
    if (length === null || length.start + length.size > bytes.length) return null;
    const content = wire === WIRE_LENGTH_DELIMITED ? bytes.subarray(length.start, length.start + length.size) : none;
    fields.push({ number, varint: 0n, bytes: content });
    at = length.start + length.size;
  }
  return fields;
}

/** The last length-delimited field of this number, as protobuf has it; null when there is none or the bytes are no message. */
export function bytesField(message: Uint8Array, number: number): Uint8Array | null {
  return readFields(message)?.findLast((field) => field.number === number)?.bytes ?? null;
}

function lengthOf(bytes: Uint8Array, at: number, wire: number): { start: number; size: number } | null {
  if (wire === WIRE_FIXED64) return { start: at, size: 8 };
  if (wire === WIRE_FIXED32) return { start: at, size: 4 };
  if (wire !== WIRE_LENGTH_DELIMITED) return null;
  const length = readVarint(bytes, at);
  return length === null ? null : { start: length.end, size: Number(length.value) };
}

function readVarint(bytes: Uint8Array, start: number): { value: bigint; end: number } | null {
  let value = 0n;
  for (let index = 0; index < MAX_VARINT_BYTES; index++) {
    const byte = bytes[start + index];
    if (byte === undefined) return null;
    value |= BigInt(byte & 0x7f) << BigInt(7 * index);
    if (byte < 0x80) return { value: BigInt.asUintN(64, value), end: start + index + 1 };
  }
  return null;
}
