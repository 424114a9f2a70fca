/**
 * Runs on any thread. Owns every setting; the only reader of process.env but for off-switch.ts.
 * Never throws: a bad value becomes one problem line that names the setting and the fix, and the default is used.
 */
import { existsSync, readFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { dirname, join, resolve } from "node:path";
import { isSwitchedOff } from "./off-switch";
import { exportedSignals, OTLP_SETTINGS, type OtlpSettings, readOtlpSettings } from "./otlp-config";
import { nonEmpty, percentDecodedOrNull, SettingReader } from "./setting-reader";

export type { MetricsTemporality, OtlpEndpoint, OtlpProtocol, OtlpSettings, OtlpSignal } from "./otlp-config";
export { describeEndpoint, exportedSignals, SIGNAL_PATHS, spoolShareBytes } from "./otlp-config";
export { parseDuration, percentDecoded } from "./setting-reader";

export type LogTarget = "stderr" | "file" | "off";
export type LabelChoice = "auto" | "interpose" | "hook" | "off";
export type EngineChoice = "auto" | "native" | "pprof";

export interface Settings {
  readonly enabled: boolean;
  /** Scales windows, ages and holds of the detector together. */
  readonly horizonMillis: number;
  readonly directory: string;
  readonly directoryLimitBytes: number;
  readonly log: LogTarget;
  readonly labels: LabelChoice;
  readonly engine: EngineChoice;
  /** Share of one core that the agent may cost, 0..1; and as much again of the time the service itself is busy. */
  readonly cpuBudgetRatio: number;
  /** Sum of capture pauses per minute. */
  readonly pauseBudgetMillisPerMinute: number;
  /** The worker, and what V8 keeps for its samples. */
  readonly memoryBudgetBytes: number;
  /** Fixed mean sampling interval, or null: measured and chosen by the CPU budget. */
  readonly samplingIntervalBytes: number | null;
  readonly maxRoutes: number;
  /** The agent is off while this file exists. */
  readonly offFile: string;
  /** Given by LEAK_AGENT_IGNORE_FILE; null: beside the service's package.json. */
  readonly ignoreFile: string | null;
  readonly serviceName: string;
  readonly serviceVersion: string | null;
  /** Null: found from the service's code (src/worker/build-id.ts). */
  readonly buildId: string | null;
  /** The usable entries of `OTEL_RESOURCE_ATTRIBUTES`, decoded; `serviceName` takes precedence over its `service.name`. */
  readonly resourceAttributes: Readonly<Record<string, string>>;
  /** Holds secrets: never print it whole. */
  readonly otlp: OtlpSettings;
}

export interface Configuration {
  readonly settings: Settings;
  /** One line each: what is wrong, which setting, what to write instead. */
  readonly problems: readonly string[];
}

/** Horizons below this are load tests: only there may the agent ask V8 for a mark-compact. */
export const LOAD_TEST_HORIZON_MILLIS = 600_000;

/** Characters of a service's name in the name of its folder: file systems take 255 bytes. */
const LONGEST_FILE_NAME = 200;
/** Bad entries of one list that a problem line names. */
const NAMED_ENTRIES = 5;

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

interface SettingDescription {
  readonly name: string;
  readonly default: string;
  readonly meaning: string;
}

/** Every variable the agent reads, in the order of the README's table. */
export const SETTINGS: readonly SettingDescription[] = [
  { name: "LEAK_AGENT_ENABLED", default: "1", meaning: "0 switches the agent off before it does anything" },
  { name: "LEAK_AGENT_HORIZON", default: "24h", meaning: "time scale of every verdict; under 10m is a load test" },
  {
    name: "LEAK_AGENT_DIR",
    default: "<tmp>/leak-agent-<user>/<service>",
    meaning: "folder for profiles, history and findings",
  },
  { name: "LEAK_AGENT_DIR_MAX_MB", default: "64", meaning: "most the folder may hold, 8-10240" },
  { name: "LEAK_AGENT_LOG", default: "stderr", meaning: "stderr, file (agent.log in the folder) or off" },
  { name: "LEAK_AGENT_LABELS", default: "auto", meaning: "how samples get their route: auto, interpose, hook or off" },
  { name: "LEAK_AGENT_ENGINE", default: "auto", meaning: "auto, native or pprof" },
  {
    name: "LEAK_AGENT_CPU_BUDGET",
    default: "0.5 (load test: 2)",
    meaning: "percent of one core that the agent may cost, and of the service's busy time, 0.05-10",
  },
  {
    name: "LEAK_AGENT_PAUSE_BUDGET_MS",
    default: "20 (load test: 100)",
    meaning: "sum of capture pauses in ms per minute (a load test's first minute: twice that), 0.1-1000",
  },
  {
    name: "LEAK_AGENT_MEMORY_BUDGET_MB",
    default: "25, with OTLP 45 (load test: twice)",
    meaning: "memory of the agent's worker and of V8's samples, 5-1000",
  },
  { name: "LEAK_AGENT_SAMPLING_INTERVAL", default: "measured", meaning: "mean bytes between samples, 4096-16777216" },
  { name: "LEAK_AGENT_MAX_ROUTES", default: "5000", meaning: "route names kept; the rest is (other), 10-5000" },
  { name: "LEAK_AGENT_OFF_FILE", default: "<folder>/off", meaning: "the agent is off while this file exists" },
  {
    name: "LEAK_AGENT_IGNORE_FILE",
    default: "leak-agent.ignore.json",
    meaning: "findings that a person has acknowledged; beside package.json",
  },
  {
    name: "LEAK_AGENT_BUILD_ID",
    default: "hash of the code",
    meaning: "which build runs: two builds are compared to check a fix",
  },
  { name: "OTEL_SERVICE_NAME", default: "name in package.json", meaning: "the service's name" },
  { name: "OTEL_RESOURCE_ATTRIBUTES", default: "", meaning: "key=value,key=value: what is said of the service" },
  ...OTLP_SETTINGS,
];

/**
 * @param env the process environment.
 * @param mainScript the program being run, used to find the service's package.json; null when there is none.
 */
export function readConfiguration(
  env: NodeJS.ProcessEnv = process.env,
  mainScript: string | null = null,
): Configuration {
  const problems: string[] = unknownVariables(env);
  const read = new SettingReader(env, problems, describeFallback);
  const resource = resourceAttributes(env, problems);
  const manifest = nearestManifest(mainScript);
  const serviceName =
    nonEmpty(env["OTEL_SERVICE_NAME"]) ?? resource.get("service.name") ?? manifest?.name ?? "unknown_service:node";
  const directory = resolve(
    nonEmpty(env["LEAK_AGENT_DIR"]) ?? join(tmpdir(), `leak-agent-${userName()}`, fileName(serviceName)),
  );
  const horizonMillis = read.duration("LEAK_AGENT_HORIZON", 10 * SECOND, 30 * 24 * HOUR, 24 * HOUR);
  const isLoadTest = horizonMillis < LOAD_TEST_HORIZON_MILLIS;
  const directoryLimitBytes = read.number("LEAK_AGENT_DIR_MAX_MB", 8, 10_240, 64) * 1024 * 1024;
  const otlp = readOtlpSettings(read, horizonMillis, directoryLimitBytes);
  const isExporting = exportedSignals(otlp).length > 0;
  const settings: Settings = {
    enabled: isEnabled(read, env),
    horizonMillis,
    directory,
    directoryLimitBytes,
    log: read.choice("LEAK_AGENT_LOG", ["stderr", "file", "off"], "stderr"),
    labels: read.choice("LEAK_AGENT_LABELS", ["auto", "interpose", "hook", "off"], "auto"),
    engine: read.choice("LEAK_AGENT_ENGINE", ["auto", "native", "pprof"], "auto"),
    cpuBudgetRatio: read.number("LEAK_AGENT_CPU_BUDGET", 0.05, 10, isLoadTest ? 2 : 0.5) / 100,
    pauseBudgetMillisPerMinute: read.number("LEAK_AGENT_PAUSE_BUDGET_MS", 0.1, 1_000, isLoadTest ? 100 : 20),
    memoryBudgetBytes:
      read.number("LEAK_AGENT_MEMORY_BUDGET_MB", 5, 1_000, (isExporting ? 45 : 25) * (isLoadTest ? 2 : 1)) *
      1024 *
      1024,
    samplingIntervalBytes: read.optionalNumber("LEAK_AGENT_SAMPLING_INTERVAL", 4_096, 16_777_216),
    maxRoutes: read.number("LEAK_AGENT_MAX_ROUTES", 10, 5_000, 5_000),
    offFile: resolve(nonEmpty(env["LEAK_AGENT_OFF_FILE"]) ?? join(directory, "off")),
    ignoreFile: ignoreFileOf(env),
    serviceName,
    serviceVersion: resource.get("service.version") ?? manifest?.version ?? null,
    buildId: nonEmpty(env["LEAK_AGENT_BUILD_ID"])?.slice(0, 64) ?? null,
    resourceAttributes: Object.fromEntries(resource),
    otlp,
  };
  return { settings, problems };
}

function ignoreFileOf(env: NodeJS.ProcessEnv): string | null {
  const given = nonEmpty(env["LEAK_AGENT_IGNORE_FILE"]);
  return given === undefined ? null : resolve(given);
}

/** Reports a value that is no truth value; such a one leaves the agent on. */
function isEnabled(read: SettingReader, env: NodeJS.ProcessEnv): boolean {
  read.choice("LEAK_AGENT_ENABLED", ["1", "0", "true", "false"], "1");
  return !isSwitchedOff(env);
}

/** What Node was started with, in its order: NODE_OPTIONS, then the command line. Null where quotes make that hard to read. */
export function nodeArguments(
  env: NodeJS.ProcessEnv = process.env,
  execArgv: readonly string[] = process.execArgv,
): string[] | null {
  const options = env["NODE_OPTIONS"] ?? "";
  return options.includes('"') ? null : [...options.split(" ").filter((option) => option !== ""), ...execArgv];
}

/** The environment of the agent's own worker: preloads would run again there, this agent's included. */
export function workerEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return { ...env, NODE_OPTIONS: "", LEAK_AGENT_ENABLED: "0" };
}

function describeFallback(name: string): string {
  const setting = SETTINGS.find((candidate) => candidate.name === name);
  return setting === undefined || setting.default === "" ? "the default" : `the default, ${setting.default}`;
}

function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = new Set(SETTINGS.map((setting) => setting.name));
  const problems: string[] = [];
  for (const name of Object.keys(env)) {
    if (!name.startsWith("LEAK_AGENT_") || known.has(name)) continue;
    const near = nearest(name, [...known]);
    problems.push(`${name} is not a setting of leak-agent: ${near === null ? "remove it" : `did you mean ${near}?`}`);
  }
  return problems;
}

function nearest(name: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = 5;
  for (const candidate of candidates) {
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitute, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/** An entry that cannot be read costs itself, not the others. */
function resourceAttributes(env: NodeJS.ProcessEnv, problems: string[]): Map<string, string> {
  const attributes = new Map<string, string>();
  const bad: string[] = [];
  for (const entry of (env["OTEL_RESOURCE_ATTRIBUTES"] ?? "").split(",")) {
    if (entry.trim() === "") continue;
    // As in W3C Baggage, a value may hold an equals sign.
    const at = entry.indexOf("=");
    const key = percentDecodedOrNull(entry.slice(0, Math.max(0, at)).trim());
    const value = percentDecodedOrNull(entry.slice(at + 1).trim());
    if (key === null || key === "" || value === null) bad.push(entry.trim());
    // `service.name=` is what a template with an unset variable leaves: nothing is said.
    else if (value !== "") attributes.set(key, value);
  }
  if (bad.length > 0) problems.push(badAttributes(bad));
  return attributes;
}

function badAttributes(bad: readonly string[]): string {
  const named = bad.slice(0, NAMED_ENTRIES).map((entry) => JSON.stringify(entry.slice(0, 80)));
  const more = bad.length > NAMED_ENTRIES ? ` and ${bad.length - NAMED_ENTRIES} more` : "";
  return (
    `OTEL_RESOURCE_ATTRIBUTES has entries that are not usable, ${named.join(", ")}${more}: ` +
    "write key=value,key=value, percent-encoded; the others are used"
  );
}

interface Manifest {
  readonly name?: string;
  readonly version?: string;
}

function nearestManifest(mainScript: string | null): Manifest | null {
  let folder = mainScript === null ? process.cwd() : dirname(resolve(mainScript));
  for (let depth = 0; depth < 16; depth++) {
    const file = join(folder, "package.json");
    if (existsSync(file)) return readManifest(file);
    const parent = dirname(folder);
    if (parent === folder) return null;
    folder = parent;
  }
  return null;
}

function readManifest(file: string): Manifest | null {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof value !== "object" || value === null) return null;
    const { name, version } = value as Record<string, unknown>;
    return {
      ...(typeof name === "string" && name !== "" ? { name } : {}),
      ...(typeof version === "string" && version !== "" ? { version } : {}),
    };
  } catch {
    return null; // The service's own manifest is not ours to judge; the name falls back.
  }
}

function userName(): string {
  try {
    return fileName(String(process.getuid?.() ?? userInfo().username));
  } catch {
    return "user"; // No entry in the user database, as in some containers.
  }
}

/** A name that cannot be a file's as it is gets a hash: two names never share a folder. */
function fileName(text: string): string {
  const safe = text
    .replace(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[-.]+/, "")
    .slice(0, LONGEST_FILE_NAME);
  return safe === text && safe !== "" ? safe : `${safe || "service"}-${shortHash(text)}`;
}

/** FNV-1a, 8 hex digits. node:crypto would cost the service 3 MB, and there are builds of Node without it. */
function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
