/**
 * Runs on the agent's worker thread. Owns the format and the name of one spooled body. Pure. A record that is cut or
 * changed anywhere is told from a good one: magic, length and CRC-32.
 *
 * Layout, little endian: u32 magic "LKS1", u32 bodyBytes, u32 crc32 of the body, body (gzipped request).
 * Name: `<created ms, 13 digits>-<sequence, 6 digits>-<life>.otlp`, so that names sort by age; `.sending` in place of
 * `.otlp` while its process sends it, `.tmp` while it is written.
 */

const MAGIC = 0x31534b4c; // "LKS1"
export const RECORD_HEADER_BYTES = 12;

export type RecordState = "otlp" | "sending" | "tmp";

export interface RecordName {
  readonly createdMillis: number;
  readonly sequence: number;
  /** The process life that owns it and alone may send it. */
  readonly life: string;
  readonly state: RecordState;
}

const NAME = /^(\d{13})-(\d{6,})-([0-9a-z]+-\d+-[0-9a-f]+)\.(otlp|sending|tmp)$/;

export function encodeRecord(body: Uint8Array): Uint8Array {
  const record = Buffer.alloc(RECORD_HEADER_BYTES + body.length);
  record.writeUInt32LE(MAGIC, 0);
  record.writeUInt32LE(body.length, 4);
  record.writeUInt32LE(crc32(body), 8);
  record.set(body, RECORD_HEADER_BYTES);
  return record;
}

/** @returns the body, or null when the record is not exactly what was written. */
export function decodeRecord(record: Uint8Array): Uint8Array | null {
  if (record.length < RECORD_HEADER_BYTES) return null;
  const header = Buffer.from(record.buffer, record.byteOffset, RECORD_HEADER_BYTES);
  const body = record.subarray(RECORD_HEADER_BYTES);
  const isWhole = header.readUInt32LE(0) === MAGIC && header.readUInt32LE(4) === body.length;
  return isWhole && header.readUInt32LE(8) === crc32(body) ? body : null;
}

export function formatRecordName({ createdMillis, sequence, life, state }: RecordName): string {
  const created = String(Math.max(0, Math.floor(createdMillis))).padStart(13, "0");
  return `${created}-${String(sequence).padStart(6, "0")}-${life}.${state}`;
}

export function parseRecordName(name: string): RecordName | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  return {
    createdMillis: Number(match[1]),
    sequence: Number(match[2]),
    life: match[3] ?? "",
    state: match[4] as RecordState,
  };
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 (ISO-HDLC). Node has its own only from 22.2 on. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) {
    crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
