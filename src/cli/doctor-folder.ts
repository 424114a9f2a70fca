/** Runs in the CLI process. Owns the checks of configuration and folder. Writes one file into the folder and removes it. */
import { existsSync, statfsSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import type { Configuration, Settings } from "../config";
import { AgentFolder } from "../export/folder";
import { type Check, ok, problem, warning } from "./doctor-check";
import { bytes } from "./quantities";

/** `engines` of package.json. */
const OLDEST_NODE = [20, 20] as const;

export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isOldEnough = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  if (isOldEnough) return ok("node", `Node ${version}`);
  return problem("node", `Node ${version} is too old`, `use Node ${OLDEST_NODE.join(".")} or newer`);
}

/** Each line of `problems` says itself what to write instead. */
export function checkConfiguration({ settings, problems }: Configuration): Check[] {
  const checks = problems.map((line) => {
    const [what = line, ...fix] = line.split(": ");
    return problem("configuration", what, fix.join(": ") || "correct it");
  });
  if (!settings.enabled)
    checks.push(warning("configuration", "the agent is switched off by LEAK_AGENT_ENABLED", "unset it or set it to 1"));
  if (existsSync(settings.offFile))
    checks.push(warning("configuration", `the agent is off while ${settings.offFile} exists`, `remove that file`));
  if (checks.length === 0)
    checks.push(ok("configuration", `settings are fine; the service is ${settings.serviceName}`));
  return checks;
}

export function checkFolder(settings: Pick<Settings, "directory" | "directoryLimitBytes">): Check {
  const { directory, directoryLimitBytes } = settings;
  let complaint = "";
  let fix = "set LEAK_AGENT_DIR to another folder";
  const folder = new AgentFolder(directory, directoryLimitBytes, (line, wayOut) => {
    complaint = line ?? "";
    fix = wayOut;
  });
  const name = `doctor-${process.pid}.tmp`;
  if (folder.write(name, Buffer.from("leak-agent doctor\n")) !== "written") {
    return problem("folder", complaint === "" ? `${directory} cannot be written` : complaint, fix);
  }
  unlinkSync(join(directory, name));
  const free = freeBytes(directory);
  if (free !== null && free < directoryLimitBytes) {
    return warning(
      "folder",
      `${directory} can be written, but its disk has only ${bytes(free)} left of the ${bytes(directoryLimitBytes)} that the agent may use`,
      "free some space or lower LEAK_AGENT_DIR_MAX_MB",
    );
  }
  return ok("folder", `${directory} can be written`);
}

function freeBytes(path: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return null; // Some file systems do not say.
  }
}
