/** Runs on the agent's worker thread. Owns the agent's version, read from its own package.json. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The version of this package, such as `0.1.0`; `unknown` when its package.json is gone. */
export const AGENT_VERSION: string = readVersion();

function readVersion(): string {
  try {
    const manifest = JSON.parse(readFileSync(join(__dirname, "..", "..", "package.json"), "utf8")) as {
      version?: unknown;
    };
    return typeof manifest.version === "string" ? manifest.version : "unknown";
  } catch {
    return "unknown"; // Bundled or moved: the version is a nicety.
  }
}
