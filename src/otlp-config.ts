/**
 * Runs on any thread. Owns the meaning of the OTEL_* export settings, as the OpenTelemetry specification has it
 * (Protocol Exporter; Environment Variable Specification). Never throws. Headers and keys are secrets: no problem line
 * ever repeats the value of an endpoint or a header.
 */
import { nonEmpty, percentDecoded, type SettingReader } from "./setting-reader";

export type OtlpSignal = "profiles" | "metrics" | "logs";
export type OtlpProtocol = "http/protobuf" | "grpc";
/** `lowmemory`: histograms as differences, sums as totals. */
export type MetricsTemporality = "cumulative" | "delta" | "lowmemory";

/** Where one signal goes. Never print one whole: headers and the URL's query may be secrets. */
export interface OtlpEndpoint {
  /** HTTP: the complete URL. gRPC: scheme, host and port only; `https` means TLS. Without user name and password. */
  readonly url: string;
  readonly protocol: OtlpProtocol;
  /** Names in lower case. The values are secrets. */
  readonly headers: Readonly<Record<string, string>>;
  /** For one attempt, from connecting to the end of the answer. */
  readonly timeoutMillis: number;
  readonly compression: "gzip" | "none";
  /** PEM file of the certificates that are trusted instead of the built-in ones. */
  readonly certificateFile: string | null;
  readonly clientKeyFile: string | null;
  readonly clientCertificateFile: string | null;
  /** HTTP_PROXY, HTTPS_PROXY and NO_PROXY, where Node shall follow them. Secrets: a proxy's URL may hold a password. */
  readonly proxy?: Readonly<Record<string, string>>;
}

export interface OtlpSettings {
  /** Null: this signal is not exported. */
  readonly profiles: OtlpEndpoint | null;
  readonly metrics: OtlpEndpoint | null;
  readonly logs: OtlpEndpoint | null;
  /** Least time between two profiles or two readings of the metrics. */
  readonly exportIntervalMillis: number;
  /** Longest that the process's exit waits for the last export; 0: not at all. */
  readonly exitFlushMillis: number;
  /** Of all signals together; `spoolShareBytes` for one. */
  readonly spoolLimitBytes: number;
  readonly spoolMaxAgeMillis: number;
  /** What sums and histograms count from: the start of the process, or the export before. */
  readonly metricsTemporality: MetricsTemporality;
}

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const MEGABYTE = 1024 * 1024;
const DEFAULT_INTERVAL_MILLIS = 60 * SECOND;
const DEFAULT_TIMEOUT_MILLIS = 10 * SECOND;
/** Exports in one horizon of a load test. */
const EXPORTS_PER_HORIZON = 10;
const DEFAULT_SPOOL_MB = 16;
/** The spool lies in the agent's folder: by default it takes this share at most, and never more than half. */
const DEFAULT_SPOOL_SHARE = 1 / 4;
const LARGEST_SPOOL_SHARE = 1 / 2;

/** Apart, so that profiles, which are large, do not push findings out. */
const SPOOL_SHARES: Readonly<Record<OtlpSignal, number>> = { profiles: 3 / 4, metrics: 1 / 8, logs: 1 / 8 };

/** Where OTLP over HTTP takes each signal (opentelemetry.io/docs/specs/otlp), without the slash in front. */
export const SIGNAL_PATHS: Readonly<Record<OtlpSignal, string>> = {
  profiles: "v1development/profiles",
  metrics: "v1/metrics",
  logs: "v1/logs",
};

/** Exporters that other SDKs know. The agent sends over OTLP or not at all. */
const EXPORTER_NAMES = new Set(["otlp", "none", "console", "logging", "prometheus"]);

/** A token of RFC 9110, and what Node takes as a header's value. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Made by the sender itself, or without a meaning for one request. */
const OWN_HEADERS = new Set([
  "content-type",
  "content-length",
  "content-encoding",
  "transfer-encoding",
  "connection",
  "te",
]);

/** The rows of the README's table, beside those of config.ts. */
export const OTLP_SETTINGS: readonly { readonly name: string; readonly default: string; readonly meaning: string }[] = [
  { name: "OTEL_EXPORTER_OTLP_ENDPOINT", default: "", meaning: "export to this URL; not set: the folder only" },
  { name: "OTEL_EXPORTER_OTLP_PROTOCOL", default: "http/protobuf", meaning: "http/protobuf or grpc" },
  { name: "OTEL_EXPORTER_OTLP_HEADERS", default: "", meaning: "name=value,name=value sent along; never logged" },
  { name: "OTEL_EXPORTER_OTLP_TIMEOUT", default: "10000", meaning: "ms for one attempt" },
  { name: "OTEL_EXPORTER_OTLP_COMPRESSION", default: "gzip", meaning: "gzip or none" },
  { name: "OTEL_EXPORTER_OTLP_CERTIFICATE", default: "", meaning: "PEM file of the certificates to trust" },
  { name: "OTEL_EXPORTER_OTLP_CLIENT_KEY", default: "", meaning: "PEM file of the client's key (mTLS)" },
  {
    name: "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    default: "",
    meaning: "PEM file of the client's certificate (mTLS)",
  },
  {
    name: "OTEL_EXPORTER_OTLP_INSECURE",
    default: "false",
    meaning: "true: gRPC without TLS, for endpoints without a scheme",
  },
  {
    name: "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    default: "cumulative",
    meaning: "cumulative, delta or lowmemory: totals or differences",
  },
  { name: "OTEL_PROFILES_EXPORTER", default: "otlp", meaning: "none: no profiles; so for METRICS and LOGS" },
  {
    name: "NODE_USE_ENV_PROXY",
    default: "",
    meaning: "1: OTLP over HTTP goes through HTTP_PROXY, HTTPS_PROXY, NO_PROXY (Node 22.21+, 24.5+)",
  },
  { name: "OTEL_SDK_DISABLED", default: "false", meaning: "true: no export at all" },
  {
    name: "LEAK_AGENT_EXPORT_INTERVAL",
    default: "60s (load test: shorter)",
    meaning: "time between two exports, 1s-1h",
  },
  {
    name: "LEAK_AGENT_EXIT_FLUSH_MS",
    default: "500",
    meaning: "longest that an exit waits for the last export, 0-10000",
  },
  {
    name: "LEAK_AGENT_SPOOL_MAX_MB",
    default: "16, at most a quarter of the folder",
    meaning: "most that waits in the folder for the backend, 1-10240",
  },
  { name: "LEAK_AGENT_SPOOL_MAX_AGE", default: "6h", meaning: "what has waited longer is dropped, 1m-7d" },
];

/** @param directoryLimitBytes most that the folder may hold: the spool is a part of it. */
export function readOtlpSettings(
  read: SettingReader,
  horizonMillis: number,
  directoryLimitBytes: number,
): OtlpSettings {
  const isDisabled = read.flag("OTEL_SDK_DISABLED");
  const base = readBase(read);
  const endpoint = (signal: OtlpSignal): OtlpEndpoint | null => {
    const isWanted = wantsOtlp(read, signal);
    const found = readEndpoint(read, base, signal);
    return found !== null && isWanted && !isDisabled ? { ...found, ...readProxy(read, found) } : null;
  };
  return {
    profiles: endpoint("profiles"),
    metrics: endpoint("metrics"),
    logs: endpoint("logs"),
    exportIntervalMillis: read.duration(
      "LEAK_AGENT_EXPORT_INTERVAL",
      SECOND,
      HOUR,
      Math.max(SECOND, Math.min(DEFAULT_INTERVAL_MILLIS, horizonMillis / EXPORTS_PER_HORIZON)),
    ),
    exitFlushMillis: read.number("LEAK_AGENT_EXIT_FLUSH_MS", 0, 10_000, 500),
    spoolLimitBytes: spoolLimit(read, directoryLimitBytes),
    spoolMaxAgeMillis: read.duration("LEAK_AGENT_SPOOL_MAX_AGE", 60 * SECOND, 168 * HOUR, 6 * HOUR),
    metricsTemporality: read.choice(
      "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
      ["cumulative", "delta", "lowmemory"],
      "cumulative",
    ),
  };
}

/** Most that may wait of one signal. */
export function spoolShareBytes(settings: OtlpSettings, signal: OtlpSignal): number {
  return settings.spoolLimitBytes * SPOOL_SHARES[signal];
}

/** Each signal that goes somewhere, with its endpoint. */
export function exportedSignals(settings: OtlpSettings): [OtlpSignal, OtlpEndpoint][] {
  const signals: OtlpSignal[] = ["profiles", "metrics", "logs"];
  return signals.flatMap((signal): [OtlpSignal, OtlpEndpoint][] => {
    const endpoint = settings[signal];
    return endpoint === null ? [] : [[signal, endpoint]];
  });
}

/** The URL without query, user and password, with its protocol: `http://collector:4318/v1/logs (http/protobuf)`. */
export function describeEndpoint(endpoint: OtlpEndpoint): string {
  const { origin, pathname } = new URL(endpoint.url);
  return `${origin}${endpoint.protocol === "grpc" ? "" : pathname} (${endpoint.protocol})`;
}

function spoolLimit(read: SettingReader, directoryLimitBytes: number): number {
  const name = "LEAK_AGENT_SPOOL_MAX_MB";
  const share = (directoryLimitBytes * DEFAULT_SPOOL_SHARE) / MEGABYTE;
  const [fallback, used] =
    share < DEFAULT_SPOOL_MB
      ? [share, `a quarter of LEAK_AGENT_DIR_MAX_MB, ${share}`]
      : [DEFAULT_SPOOL_MB, `the default, ${DEFAULT_SPOOL_MB}`];
  const bytes = read.number(name, 1, 10_240, fallback, used) * MEGABYTE;
  const most = directoryLimitBytes * LARGEST_SPOOL_SHARE;
  if (bytes <= most) return bytes;
  read.problems.push(`${name} is more than half of LEAK_AGENT_DIR_MAX_MB: raise that; using ${most / MEGABYTE}`);
  return most;
}

function wantsOtlp(read: SettingReader, signal: OtlpSignal): boolean {
  const name = `OTEL_${signal.toUpperCase()}_EXPORTER`;
  const names = (read.text(name) ?? "otlp").split(",").map((part) => part.trim().toLowerCase());
  const unknown = names.find((part) => !EXPORTER_NAMES.has(part));
  if (unknown === undefined) return names.includes("otlp");
  read.problems.push(`${name}=${JSON.stringify(unknown.slice(0, 80))} is not usable: write otlp or none; using otlp`);
  return !names.includes("none");
}

const PROXY_VARIABLES = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"];

/** Node's own rule: the proxy's variables count when NODE_USE_ENV_PROXY is 1. gRPC goes direct, as Node has no way for it. */
function readProxy(read: SettingReader, endpoint: OtlpEndpoint): Pick<OtlpEndpoint, "proxy"> {
  if (read.text("NODE_USE_ENV_PROXY") !== "1" || endpoint.protocol === "grpc") return {};
  const found = PROXY_VARIABLES.flatMap((name): [string, string][] => {
    const value = read.text(name);
    return value === undefined ? [] : [[name, value]];
  });
  if (!found.some(([name]) => /^https?_proxy$/i.test(name))) return {};
  if (process.allowedNodeEnvironmentFlags.has("--use-env-proxy")) return { proxy: Object.fromEntries(found) };
  tellOnce(
    read.problems,
    "NODE_USE_ENV_PROXY does nothing in this Node: use 22.21, 24.5 or newer, or a Collector that needs no proxy; exporting without it",
  );
  return {};
}

/** What one signal's own variables override. Null where nothing is set. */
interface Base {
  readonly endpoint: string | undefined;
  readonly protocol: OtlpProtocol;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMillis: number;
  readonly compression: "gzip" | "none";
  readonly isInsecure: boolean;
}

const DEFAULTS: Base = {
  endpoint: undefined,
  protocol: "http/protobuf",
  headers: {},
  timeoutMillis: DEFAULT_TIMEOUT_MILLIS,
  compression: "gzip",
  isInsecure: false,
};

/** Read once, so that a bad value is told once. */
function readBase(read: SettingReader): Base {
  return readWith(read, "", DEFAULTS);
}

/** @param infix `""` or such as `PROFILES_`. @param fallback used where the variable is not set. */
function readWith(read: SettingReader, infix: string, fallback: Base): Base {
  const name = (what: string): string => `OTEL_EXPORTER_OTLP_${infix}${what}`;
  const used = (what: string, key: "protocol" | "timeoutMillis" | "compression"): string =>
    fallback[key] === DEFAULTS[key] ? `the default, ${fallback[key]}` : `OTEL_EXPORTER_OTLP_${what}, ${fallback[key]}`;
  const { protocol, timeoutMillis, compression } = fallback;
  const headers = read.text(name("HEADERS"));
  return {
    endpoint: read.text(name("ENDPOINT")) ?? fallback.endpoint,
    headers: headers === undefined ? fallback.headers : parseHeaders(name("HEADERS"), headers, read.problems),
    protocol: read.choice(name("PROTOCOL"), ["http/protobuf", "grpc"], protocol, used("PROTOCOL", "protocol")),
    timeoutMillis: Math.ceil(read.number(name("TIMEOUT"), 1, 600_000, timeoutMillis, used("TIMEOUT", "timeoutMillis"))),
    compression: read.choice(name("COMPRESSION"), ["gzip", "none"], compression, used("COMPRESSION", "compression")),
    isInsecure: read.text(name("INSECURE")) === undefined ? fallback.isInsecure : read.flag(name("INSECURE")),
  };
}

function readEndpoint(read: SettingReader, base: Base, signal: OtlpSignal): OtlpEndpoint | null {
  const infix = `${signal.toUpperCase()}_`;
  const own = readWith(read, infix, base);
  if (own.endpoint === undefined) return null;
  const isOwn = read.text(`OTEL_EXPORTER_OTLP_${infix}ENDPOINT`) !== undefined;
  const url = parseUrl(own.endpoint, own);
  if (url === null) {
    tellOnce(read.problems, badEndpoint(isOwn ? infix : "", own.protocol));
    return null;
  }
  const authorization = basicAuthorization(url);
  url.username = "";
  url.password = "";
  const file = (what: string): string | null =>
    read.text(`OTEL_EXPORTER_OTLP_${infix}${what}`) ?? read.text(`OTEL_EXPORTER_OTLP_${what}`) ?? null;
  return {
    url: own.protocol === "grpc" ? `${url.protocol}//${url.host}` : httpUrl(url, isOwn ? null : SIGNAL_PATHS[signal]),
    protocol: own.protocol,
    headers: authorization === null ? own.headers : { authorization, ...own.headers },
    timeoutMillis: own.timeoutMillis,
    compression: own.compression,
    certificateFile: file("CERTIFICATE"),
    clientKeyFile: file("CLIENT_KEY"),
    clientCertificateFile: file("CLIENT_CERTIFICATE"),
  };
}

/** A bad base endpoint would be told by each of its signals. */
function tellOnce(problems: string[], line: string): void {
  if (!problems.includes(line)) problems.push(line);
}

/** The value stays out: it may hold a password. */
function badEndpoint(infix: string, protocol: OtlpProtocol): string {
  const example = protocol === "grpc" ? "http://collector:4317" : "http://collector:4318";
  return `OTEL_EXPORTER_OTLP_${infix}ENDPOINT is not usable: write a URL such as ${example}; using none (the folder only)`;
}

function parseUrl(text: string, { protocol, isInsecure }: Base): URL | null {
  // gRPC clients also take `host:port`, where another variable says whether there is TLS.
  const isBare = protocol === "grpc" && /^[^/\s]+$/.test(text);
  const full = isBare ? `${isInsecure ? "http" : "https"}://${text}` : text;
  if (!/^https?:\/\/[^/]/i.test(full) || !URL.canParse(full)) return null;
  return new URL(full);
}

/** @param path appended to the base endpoint; null: a signal's own endpoint is taken as it is. */
function httpUrl(url: URL, path: string | null): string {
  url.hash = "";
  if (path !== null) url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
  return url.href;
}

function basicAuthorization(url: URL): string | null {
  if (url.username === "" && url.password === "") return null;
  const credentials = `${percentDecoded(url.username)}:${percentDecoded(url.password)}`;
  return `Basic ${Buffer.from(credentials).toString("base64")}`;
}

function parseHeaders(name: string, text: string, problems: string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  let badCount = 0;
  for (const entry of text.split(",")) {
    if (nonEmpty(entry) === undefined) continue;
    const at = entry.indexOf("=");
    const key = percentDecoded(entry.slice(0, Math.max(0, at)).trim()).toLowerCase();
    const value = percentDecoded(entry.slice(at + 1).trim());
    const isUsable = at > 0 && HEADER_NAME.test(key) && HEADER_VALUE.test(value) && !OWN_HEADERS.has(key);
    if (isUsable) headers[key] = value;
    else badCount++;
  }
  if (badCount > 0) {
    const which = badCount === 1 ? "an entry" : `${badCount} entries`;
    problems.push(`${name} has ${which} that cannot be sent: write name=value,name=value, percent-encoded; left out`);
  }
  return headers;
}
