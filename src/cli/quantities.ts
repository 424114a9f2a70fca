/**
 * Runs in the CLI process. Owns how numbers with units are written for people.
 * Must not round a value that goes into `--json`: those are written as they are.
 */

const SIZE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;
const SECOND_MILLIS = 1_000;
const MINUTE_MILLIS = 60_000;
const HOUR_MILLIS = 3_600_000;
const DAY_MILLIS = 86_400_000;

/**
 * A size as Python's tracemalloc writes it: four or five digits (`7252 KiB`), or one decimal below 100 (`24.0 KiB`).
 * @param sizeBytes any finite number.
 * @param signed true for a difference: the plus sign is written.
 * Source: CPython Lib/tracemalloc.py, `_format_size`.
 */
export function tracemallocSize(sizeBytes: number, signed = false): string {
  let size = sizeBytes;
  let last = "";
  for (const unit of SIZE_UNITS) {
    const magnitude = Math.abs(size);
    const digits = magnitude < 100 && unit !== "B" ? 1 : 0;
    last = `${withSign(size, digits, signed)} ${unit}`;
    if (digits === 1 || magnitude < 10 * 1024) return last;
    size /= 1024;
  }
  return last;
}

function withSign(value: number, digits: number, signed: boolean): string {
  const text = value.toFixed(digits);
  return signed && value >= 0 ? `+${text}` : text;
}

/** `24 B`, `1.3 KiB`, `612 MiB`: three significant digits at most, for tables and sentences. */
export function bytes(sizeBytes: number): string {
  let size = Math.abs(sizeBytes);
  if (size < 0.005) return "0 B"; // Also what is left of sums that cancel.
  let index = 0;
  while (index < SIZE_UNITS.length - 1 && size >= 1023.5) {
    size /= 1024;
    index++;
  }
  const sign = sizeBytes < 0 ? "-" : "";
  return `${sign}${index === 0 && size >= 10 ? size.toFixed(0) : significant(size)} ${SIZE_UNITS[index]}`;
}

/** The same with a sign in front, for growth. */
export function signedBytes(sizeBytes: number): string {
  const text = bytes(sizeBytes);
  return text.startsWith("-") ? text : `+${text}`;
}

/** Three significant digits without exponent, trailing zeros of the fraction dropped: `0.9`, `34.1`, `617`. */
export function significant(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const magnitude = Math.abs(value);
  if (magnitude >= 100) return value.toFixed(0);
  if (magnitude === 0) return "0";
  const digits = magnitude >= 10 ? 1 : 2;
  const text = magnitude < 0.01 ? value.toPrecision(2) : value.toFixed(digits);
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}

/** `309,391`: a whole number with separators that do not depend on the machine's language. */
export function count(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** `86 %`, `0.4 %`. */
export function percent(ratio: number): string {
  const value = ratio * 100;
  return `${Math.abs(value) >= 10 || value === 0 ? value.toFixed(0) : significant(value)} %`;
}

/** Two units at most: `45 s`, `12 min 5 s`, `3 h 20 min`, `5 d 2 h`. */
export function duration(millis: number): string {
  if (millis < 0) return `-${duration(-millis)}`;
  if (millis < SECOND_MILLIS) return `${Math.round(millis)} ms`;
  if (millis < 10 * SECOND_MILLIS) return `${significant(millis / SECOND_MILLIS)} s`;
  if (millis < 59_500) return `${Math.round(millis / SECOND_MILLIS)} s`;
  if (millis < HOUR_MILLIS - SECOND_MILLIS / 2) return twoUnits(millis, MINUTE_MILLIS, "min", SECOND_MILLIS, "s");
  if (millis < DAY_MILLIS - MINUTE_MILLIS / 2) return twoUnits(millis, HOUR_MILLIS, "h", MINUTE_MILLIS, "min");
  return twoUnits(millis, DAY_MILLIS, "d", HOUR_MILLIS, "h");
}

function twoUnits(millis: number, large: number, largeName: string, small: number, smallName: string): string {
  const total = Math.round(millis / small);
  const perLarge = large / small;
  const rest = total % perLarge;
  const whole = `${Math.floor(total / perLarge)} ${largeName}`;
  return rest === 0 ? whole : `${whole} ${rest} ${smallName}`;
}

/** `2026-11-25 10:00:00 UTC`. */
export function utcTime(millis: number): string {
  return `${new Date(millis).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
