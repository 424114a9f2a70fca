/**
 * Spoken by every room; pure. Owns the framing of append-only files that must survive kill -9: one line a record, `<length> <crc32> <json>\n`,
 * both numbers as 8 hex digits. Whatever is cut or damaged is left out and counted; the lines around it stay good.
 */
const HEADER = /^([0-9a-f]{8}) ([0-9a-f]{8}) /;
const HEADER_LENGTH = 18;
const NEWLINE = 0x0a;
const CRC_TABLE: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => crcOfByte(byte));

export interface FramedRecords {
  readonly records: readonly unknown[];
  /** Lines that were cut off or changed. */
  readonly damagedCount: number;
  /** Everything up to here is whole lines, good or bad: where a writer may go on after cutting the rest off. */
  readonly wholeBytes: number;
}

/** One record as it stands in the file. JSON has no raw line breaks, so a line is a record. */
export function framed(record: unknown): string {
  const json = Buffer.from(JSON.stringify(record));
  return `${hex(json.length)} ${hex(crc32(json))} ${json.toString()}\n`;
}

export function readFramed(bytes: Buffer): FramedRecords {
  const records: unknown[] = [];
  let damagedCount = 0;
  let at = 0;
  for (;;) {
    const end = bytes.indexOf(NEWLINE, at);
    if (end < 0) break;
    const record = parse(bytes.subarray(at, end));
    if (record === undefined) damagedCount++;
    else records.push(record);
    at = end + 1;
  }
  if (at < bytes.length) damagedCount++;
  return { records, damagedCount, wholeBytes: at };
}

function parse(line: Buffer): unknown {
  const header = HEADER.exec(line.toString("latin1", 0, HEADER_LENGTH));
  if (header === null) return undefined;
  const json = line.subarray(HEADER_LENGTH);
  if (json.length !== Number.parseInt(header[1] ?? "", 16)) return undefined;
  if (crc32(json) !== Number.parseInt(header[2] ?? "", 16)) return undefined;
  try {
    return JSON.parse(json.toString()) as unknown;
  } catch {
    return undefined; // The checksum says that this was written so: not by us.
  }
}

/** CRC-32 as in ISO 3309, PNG and gzip. Here rather than from node:zlib: this is loaded into every service. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function crcOfByte(byte: number): number {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}
