/** Runs in the CLI process. Owns the check of the files in which people acknowledge findings. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Settings } from "../config";
import { ACKNOWLEDGED_FILE, IGNORE_FILE, isActive, readIgnoreFile } from "../export/ignore-file";
import { type Check, ok, problem, warning } from "./doctor-check";

/** Nothing where there is no such file; each bad entry is a problem of its own. */
export function checkAcknowledgements(
  { directory, ignoreFile }: Pick<Settings, "directory" | "ignoreFile">,
  workingDirectory: string,
  nowMillis: number,
): Check[] {
  if (ignoreFile !== null && !existsSync(ignoreFile)) {
    const fix = "write that file, or unset LEAK_AGENT_IGNORE_FILE";
    return [problem("acknowledgements", `LEAK_AGENT_IGNORE_FILE names ${ignoreFile}, which is not there`, fix)];
  }
  const files = [ignoreFile ?? join(workingDirectory, IGNORE_FILE), join(directory, ACKNOWLEDGED_FILE)];
  return files.filter((file) => existsSync(file)).flatMap((file) => checkFile(file, nowMillis));
}

function checkFile(file: string, nowMillis: number): Check[] {
  const { entries, problems } = readIgnoreFile(file);
  if (problems.length > 0) {
    return problems.map((line) => {
      const at = line.lastIndexOf(": ");
      return problem("acknowledgements", line.slice(0, at), line.slice(at + 2));
    });
  }
  const over = entries.filter((entry) => !isActive(entry, nowMillis));
  if (over.length > 0) {
    const ids = over.map(({ id, until }) => `${id} (until ${until})`).join(", ");
    return [
      warning("acknowledgements", `${file} has entries that are over: ${ids}`, "remove them, or give a new time"),
    ];
  }
  return [ok("acknowledgements", `${entries.length} in ${file}`)];
}
