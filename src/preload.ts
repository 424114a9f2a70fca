/**
 * The -r / --import entry; runs on the service's main thread and again on each of its worker threads. Owns that there is
 * one probe per thread. Must never throw.
 */
import { realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { isSwitchedOff } from "./off-switch";
import type { Probe } from "./probe/probe";

/** Shared by every copy of this package in the thread: two agents would fight for V8's one sampler. */
const PROBE: unique symbol = Symbol.for("leak-agent.probe") as never;
const global = globalThis as unknown as { [PROBE]?: Probe | null };

/** As their bin links and as the files behind them are called. */
const PACKAGE_MANAGER = /[\\/](?:(?:npm|npx|pnpm|pnpx|yarn|yarnpkg|corepack)(?:-cli|-\d[\w.-]*?)?)(?:\.[cm]?js)?$/;

/** The thread's probe; null when the agent is off or could not start. */
export function currentProbe(): Probe | null {
  return global[PROBE] ?? null;
}

function start(): Probe | null {
  try {
    if (isSwitchedOff() || isPackageManager(process.argv[1]) || isOwnCommandLine(process.argv[1])) return null;
    // Loaded here, so that a process without the agent does not pay for its modules.
    const { readConfiguration } = require("./config") as typeof import("./config");
    const configuration = readConfiguration(undefined, process.argv[1] ?? null);
    const { Probe: ThreadProbe } = require("./probe/probe") as typeof import("./probe/probe");
    return new ThreadProbe(configuration);
  } catch {
    return null; // Nobody to tell: the agent's log is behind what failed, and the service's streams are not ours.
  }
}

/** `NODE_OPTIONS="-r leak-agent" npm start` reaches npm as well, which lives as long as the service it starts. */
function isPackageManager(script: string | undefined): boolean {
  return script !== undefined && PACKAGE_MANAGER.test(script);
}

/** NODE_OPTIONS reaches `leak-agent report` too, by its own path or through node_modules/.bin: it is no service. */
function isOwnCommandLine(script: string | undefined): boolean {
  if (script === undefined || !["leak-agent", "main.js"].includes(basename(script))) return false;
  try {
    return realpathSync(script) === join(__dirname, "cli", "main.js");
  } catch {
    return false; // Node itself is about to say that there is no such script.
  }
}

if (global[PROBE] === undefined) global[PROBE] = start();
