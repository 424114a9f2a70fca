/**
 * Runs the validator: a virtual environment of the pinned packages in the user's cache folder, made once. Needs Python
 * 3.10 or newer with venv, and PyPI the first time; throws without them.
 */
"use strict";
const { execFile, execFileSync, spawnSync } = require("node:child_process");
const { createHash } = require("node:crypto");
const { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require("node:fs");
const { homedir } = require("node:os");
const { join } = require("node:path");

const REQUIREMENTS = join(__dirname, "requirements.txt");
const PYTHON = process.env.PYTHON ?? "python3";
/** Written last: an environment without it was interrupted. */
const COMPLETE = "complete";

function cacheFolder() {
  const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const version = execFileSync(PYTHON, ["-c", "import sys; print(sys.version)"]);
  const key = createHash("sha256").update(readFileSync(REQUIREMENTS)).update(version).digest("hex").slice(0, 12);
  return join(caches, "leak-agent", `conformance-${key}`);
}

let knownFolder;

/** @returns the environment's Python. */
function python() {
  knownFolder ??= cacheFolder();
  const folder = knownFolder;
  const binary = join(folder, "bin", "python");
  if (existsSync(join(folder, COMPLETE))) return binary;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const options = { stdio: ["ignore", "ignore", "inherit"] };
  execFileSync(PYTHON, ["-m", "venv", folder], options);
  execFileSync(binary, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS], options);
  writeFileSync(join(folder, COMPLETE), "");
  return binary;
}

/** @returns { status, stdout } of a script in this folder. @throws when it ends by itself with a stack trace. */
function runScript(script, args) {
  const { status, stdout, stderr, error } = spawnSync(python(), ["-B", join(__dirname, script), ...args], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error !== undefined) throw error;
  if (stderr.includes("Traceback")) throw new Error(stderr);
  return { status, stdout };
}

/** The same without standing still: this process may be somebody's backend meanwhile. @returns what the script printed. */
function scriptOutput(script, args) {
  return new Promise((resolve, reject) => {
    const options = { encoding: "utf8", maxBuffer: 256 * 1024 * 1024 };
    execFile(python(), ["-B", join(__dirname, script), ...args], options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(error);
    });
  });
}

/**
 * @param files uncompressed request bodies. @param leakAgent whether they came straight from the agent.
 * @returns { status, broken }: exit code, and per file the names of the rules it breaks.
 */
function validate(files, { leakAgent }) {
  const { status, stdout } = runScript("validate.py", [...(leakAgent ? ["--leak-agent"] : []), ...files]);
  const broken = new Map(files.map((file) => [file, new Set()]));
  for (const line of stdout.split("\n").filter((text) => text !== "")) {
    const file = files.find((name) => line.startsWith(`${name}: `));
    broken.get(file).add(line.slice(file.length + 2).split(": ")[0]);
  }
  return { status, broken };
}

/** Names of the rules. */
function ruleNames({ leakAgent }) {
  const { stdout } = runScript("validate.py", ["--rules", ...(leakAgent ? ["--leak-agent"] : [])]);
  return stdout
    .trim()
    .split("\n")
    .map((line) => line.split(": ")[0]);
}

/** Writes every broken twin of a good body. @returns [{ file, rule, what, also, agent }]. */
function breakBody(good, folder) {
  const { status, stdout } = runScript("break_body.py", [good, folder]);
  if (status !== 0) throw new Error(`break_body.py ended with ${status}`);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

module.exports = { breakBody, ruleNames, runScript, scriptOutput, validate };
