/**
 * Runs on any thread. Owns how one variable is read: a bad value becomes one problem line that names the setting and
 * the fix, and the default is used. Never throws; never reads process.env itself.
 */

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: SECOND, m: 60 * SECOND, h: HOUR, d: 24 * HOUR };

/** @returns the words for the default that is used instead of the value of this variable. */
export type DescribeDefault = (name: string) => string;

export class SettingReader {
  constructor(
    private readonly env: NodeJS.ProcessEnv,
    readonly problems: string[],
    private readonly describeDefault: DescribeDefault,
  ) {}

  /** The trimmed value, or undefined when it is not set or empty, which OpenTelemetry takes for the same. */
  text(name: string): string | undefined {
    return nonEmpty(this.env[name]);
  }

  /** @param used the words for `fallback`, where it is not the default of this variable. */
  number(name: string, low: number, high: number, fallback: number, used?: string): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (Number.isFinite(value) && value >= low && value <= high) return value;
    return this.reject(name, text, `a number from ${low} to ${high}`, fallback, used);
  }

  optionalNumber(name: string, low: number, high: number): number | null {
    const value = this.number(name, low, high, Number.NaN);
    return Number.isNaN(value) ? null : Math.floor(value);
  }

  duration(name: string, low: number, high: number, fallback: number): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = parseDuration(text);
    if (value !== null && value >= low && value <= high) return value;
    const range = `from ${formatDuration(low)} to ${formatDuration(high)}`;
    return this.reject(name, text, `a duration ${range}, such as 30s, 10m or 24h`, fallback);
  }

  /** @param used the words for `fallback`, where it is not the default of this variable. */
  choice<T extends string>(name: string, choices: readonly T[], fallback: T, used?: string): T {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const found = choices.find((choice) => choice === text.toLowerCase());
    return found ?? this.reject(name, text, `one of ${choices.join(", ")}`, fallback, used);
  }

  /** OpenTelemetry's rule: only `true` is true; a value that is no truth value is false, and told. */
  flag(name: string): boolean {
    return this.choice(name, ["false", "true"], "false") === "true";
  }

  private reject<T>(name: string, text: string, expected: string, fallback: T, given?: string): T {
    const isOpen = typeof fallback === "number" && Number.isNaN(fallback);
    const used = given ?? (isOpen ? "the default" : this.describeDefault(name));
    this.problems.push(`${name}=${JSON.stringify(text.slice(0, 80))} is not usable: write ${expected}; using ${used}`);
    return fallback;
  }
}

/** Reads `500ms`, `30s`, `10m`, `24h`, `7d`; null when it is none of these. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  const unit = match?.[2] === undefined ? undefined : DURATION_UNITS[match[2]];
  return match?.[1] === undefined || unit === undefined ? null : Number(match[1]) * unit;
}

function formatDuration(millis: number): string {
  const units = Object.entries(DURATION_UNITS).filter(([, unit]) => millis % unit === 0);
  const [name, unit] = units.at(-1) ?? ["ms", 1];
  return `${millis / unit}${name}`;
}

export function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === "" ? undefined : value.trim();
}

/** Percent-decoding as W3C Baggage has it; a stray percent sign is kept as it is: the specification allows any text. */
export function percentDecoded(value: string): string {
  return percentDecodedOrNull(value) ?? value;
}

/** Null: a percent sign that encodes nothing. */
export function percentDecodedOrNull(value: string): string | null {
  try {
    return decodeURIComponent(value);
  } catch {
    return null;
  }
}
