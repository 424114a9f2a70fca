/**
 * Runs in the CLI process. Owns the checks of the sampling engine and the route labels: a child process becomes a service
 * with the agent preloaded, as the user's would, and tells its status.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Settings, workerEnvironment } from "../config";
import { AgentFolder } from "../export/folder";
import { type Check, ok, problem, warning } from "./doctor-check";

const PRELOAD = join(__dirname, "..", "preload.js");
const INDEX = join(__dirname, "..", "index.js");
/** An idle machine needs one second. */
const CHILD_MILLIS = 30_000;
/** The child waits for the agent until here and tells what it has. */
const WAKING_MILLIS = 15_000;

/** Listens, so that the agent takes it for a service; answers with the agent's status once it is awake, and leaves. */
const CHILD_PROGRAM = `
const { status } = require(process.argv[1]);
const server = require("node:http").createServer().listen(0, "127.0.0.1");
const end = Date.now() + ${WAKING_MILLIS};
const timer = setInterval(() => {
  const now = status();
  if (now !== null && now.state !== "awake" && Date.now() < end) return;
  clearInterval(timer);
  console.log(JSON.stringify(now));
  server.close();
}, 20);
`;

/** `ProbeStatus` of src/probe, which this room may not import. */
export interface ChildStatus {
  readonly state: string;
  readonly engine: string;
  readonly labels: string;
  readonly labelsReason: string;
  readonly samplingIntervalBytes: number;
}

export interface ChildOutcome {
  /** Null when the child told none. */
  readonly status: ChildStatus | null;
  /** How it ended, when that was not as it should be; empty otherwise. */
  readonly failure: string;
}

export async function checkEngine(
  settings: Pick<Settings, "engine" | "labels" | "directory" | "directoryLimitBytes">,
): Promise<Check[]> {
  const folder = folderIn(tmpdir()) ?? folderBelow(settings);
  if (folder === null) {
    return [
      problem(
        "engine",
        `not tried: the test service needs a folder, and neither ${tmpdir()} nor ${settings.directory} can be written`,
        "set LEAK_AGENT_DIR to a folder this user can write (in a container: a mounted volume)",
      ),
    ];
  }
  try {
    return engineChecks(await askChild(folder), settings);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Pure, for tests. */
export function engineChecks(outcome: ChildOutcome, settings: Pick<Settings, "engine" | "labels">): Check[] {
  const { status, failure } = outcome;
  if (failure !== "")
    return [
      problem(
        "engine",
        `a test service with the agent failed: ${failure}`,
        "please report this with the output of --json",
      ),
    ];
  if (status === null)
    return [
      problem(
        "engine",
        "the agent does not start in a test service",
        "run npm install again, then npm rebuild leak-agent",
      ),
    ];
  return [engineCheck(status, settings), labelCheck(status, settings)];
}

function engineCheck(status: ChildStatus, settings: Pick<Settings, "engine">): Check {
  const reason = status.labelsReason === "" ? "" : `: ${status.labelsReason}`;
  if (status.state !== "awake")
    return problem(
      "engine",
      `the agent did not wake up within ${WAKING_MILLIS / 1_000} s`,
      "try again on an idle machine",
    );
  if (status.engine === "native")
    return ok("engine", `native, at a start interval of ${status.samplingIntervalBytes} bytes`);
  if (status.engine !== "pprof")
    return problem(
      "engine",
      `no sampling engine works here${reason}`,
      "run npm rebuild leak-agent, or npm install pprof",
    );
  if (settings.engine === "pprof") return ok("engine", "pprof, as LEAK_AGENT_ENGINE says");
  return warning(
    "engine",
    `pprof instead of the own engine${reason}; its captures are rare and routes are unknown`,
    "run npm rebuild leak-agent on this platform (needs a C++ compiler)",
  );
}

function labelCheck(status: ChildStatus, settings: Pick<Settings, "labels">): Check {
  const { labels, labelsReason } = status;
  const reason = labelsReason === "" ? "" : ` (${labelsReason})`;
  if (labels !== "none") return ok("labels", `routes are exact through ${labels}; the self-test passed${reason}`);
  if (settings.labels === "off")
    return warning("labels", "off, as LEAK_AGENT_LABELS says: findings name no route", "unset LEAK_AGENT_LABELS");
  if (status.engine === "pprof")
    return warning("labels", `off${reason}: findings name no route`, "let the native engine work");
  return problem(
    "labels",
    `off: findings will name no route${reason}`,
    "please report the reason together with your Node version",
  );
}

/** In a container with a read-only root the agent's own folder is the only one that can be written. */
function folderBelow(settings: Pick<Settings, "directory" | "directoryLimitBytes">): string | null {
  const { directory, directoryLimitBytes } = settings;
  return new AgentFolder(directory, directoryLimitBytes, () => {}).open() ? folderIn(directory) : null;
}

function folderIn(parent: string): string | null {
  try {
    return mkdtempSync(join(parent, "leak-agent-doctor-"));
  } catch {
    return null;
  }
}

function askChild(folder: string): Promise<ChildOutcome> {
  return runChild({
    ...workerEnvironment(),
    LEAK_AGENT_ENABLED: "1",
    LEAK_AGENT_DIR: folder,
    LEAK_AGENT_LOG: "off",
    OTEL_SDK_DISABLED: "true",
  });
}

function runChild(env: NodeJS.ProcessEnv): Promise<ChildOutcome> {
  return new Promise((done) => {
    const args = ["-r", PRELOAD, "-e", CHILD_PROGRAM, INDEX];
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"], timeout: CHILD_MILLIS });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-4_096);
    });
    child.once("error", (error) => done({ status: null, failure: error.message }));
    child.once("close", (code, signal) => done(outcomeOf(stdout, stderr, code, signal)));
  });
}

function outcomeOf(stdout: string, stderr: string, code: number | null, signal: string | null): ChildOutcome {
  const said = stderr.split("\n").find((line) => line.trim() !== "") ?? "";
  const why = signal === null ? `exit code ${code}` : `ended by ${signal}`;
  const failure = code === 0 ? "" : `${why}${said === "" ? "" : `: ${said}`}`;
  try {
    return { status: JSON.parse(stdout) as ChildStatus | null, failure };
  } catch {
    return { status: null, failure: failure === "" ? "it told no status" : failure };
  }
}
