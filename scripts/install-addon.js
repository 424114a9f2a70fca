/**
 * npm's `install` script: makes sure the C++ addon for the running Node is there (a prebuilt one, else built here).
 * Must not fail the install: without an addon the agent says so and the service runs. `--force` rebuilds, and may fail.
 */
"use strict";

const { spawnSync } = require("node:child_process");
const { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } = require("node:fs");
const { renameSync, rmSync, statSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { dirname, join } = require("node:path");

const ROOT = join(__dirname, "..");
const LOAD_TIMEOUT_MILLIS = 30_000;
const BUILD_TIMEOUT_MILLIS = 900_000;

/** Where node-gyp-build looks for the binary of the running Node (its naming: <name>.abi<ABI>.<libc>.node). */
function binaryPath() {
  const libc = process.platform !== "linux" ? "" : `.${process.env.LIBC || (isMusl() ? "musl" : "glibc")}`;
  return join(
    ROOT,
    "prebuilds",
    `${process.platform}-${process.arch}`,
    `leak-agent.abi${process.versions.modules}${libc}.node`,
  );
}

/** As node-gyp-build decides it. */
function isMusl() {
  return existsSync("/etc/alpine-release");
}

/** In a child process, since a binary that crashes must not take npm's install with it. */
function addonLoads() {
  const child = spawnSync(process.execPath, ["-e", `require("node-gyp-build")(${JSON.stringify(ROOT)})`], {
    cwd: ROOT,
    env: { ...process.env, NODE_OPTIONS: "" },
    timeout: LOAD_TIMEOUT_MILLIS,
  });
  return child.status === 0;
}

/** Only a checkout can have sources that are newer than the binary. */
function isStale() {
  const binary = binaryPath();
  if (!existsSync(join(ROOT, ".git")) || !existsSync(binary)) return false;
  const builtAt = statSync(binary).mtimeMs;
  const sources = readdirSync(join(ROOT, "native")).map((name) => join(ROOT, "native", name));
  return [join(ROOT, "binding.gyp"), ...sources].some((file) => statSync(file).mtimeMs > builtAt);
}

/** The header version in an installation prefix such as /usr, or null. */
function headersVersion(prefix) {
  const file = join(prefix, "include", "node", "node_version.h");
  if (!existsSync(file)) return null;
  const text = readFileSync(file, "utf8");
  const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1];
  return `v${part("MAJOR")}.${part("MINOR")}.${part("PATCH")}`;
}

/** Headers that came with this very Node; without any, node-gyp downloads them. */
function nodeDirectory() {
  const choices = [join(dirname(process.execPath), ".."), process.env.npm_config_nodedir];
  return choices.find((choice) => choice && headersVersion(choice) === process.version) ?? null;
}

/** Ours when it is installed (devDependency), else the one that npm brings. */
function nodeGypScript() {
  const npmFolder = process.env.npm_execpath ? join(dirname(process.env.npm_execpath), "..") : null;
  const choices = [
    join(ROOT, "node_modules", "node-gyp", "bin", "node-gyp.js"),
    process.env.npm_config_node_gyp,
    npmFolder && join(npmFolder, "node_modules", "node-gyp", "bin", "node-gyp.js"),
    join(
      dirname(process.execPath),
      "..",
      "lib",
      "node_modules",
      "npm",
      "node_modules",
      "node-gyp",
      "bin",
      "node-gyp.js",
    ),
  ];
  return choices.find((choice) => choice && existsSync(choice)) ?? null;
}

/** An `npm_config_nodedir` for another Node would silently build against the wrong headers. */
function buildEnvironment() {
  const env = { ...process.env, NODE_OPTIONS: "" };
  for (const name of Object.keys(env)) if (/^npm_config_nodedir$/i.test(name)) delete env[name];
  return env;
}

/**
 * Builds in a folder of its own, so that builds for several Nodes in one checkout never meet.
 * @returns {{ problem: string | null, log: string }}
 */
function build() {
  const script = nodeGypScript();
  if (script === null) return { problem: "node-gyp was not found", log: "" };
  const folder = mkdtempSync(join(tmpdir(), "leak-agent-build-"));
  try {
    copyFileSync(join(ROOT, "binding.gyp"), join(folder, "binding.gyp"));
    cpSync(join(ROOT, "native"), join(folder, "native"), { recursive: true });
    const nodedir = nodeDirectory();
    const child = spawnSync(
      process.execPath,
      [script, "rebuild", "-C", folder, ...(nodedir ? [`--nodedir=${nodedir}`] : [])],
      {
        env: buildEnvironment(),
        encoding: "utf8",
        maxBuffer: 1 << 26,
        timeout: BUILD_TIMEOUT_MILLIS,
      },
    );
    const log = `${child.stdout ?? ""}${child.stderr ?? ""}`;
    const built = join(folder, "build", "Release", "leak_agent.node");
    if (child.status !== 0 || !existsSync(built)) return { problem: firstError(log, child.error), log };
    place(built);
    return { problem: null, log };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Renamed into place: a running process may have the old file mapped. */
function place(built) {
  const target = binaryPath();
  mkdirSync(dirname(target), { recursive: true });
  const temporary = `${target}.${process.pid}`;
  copyFileSync(built, temporary);
  renameSync(temporary, target);
  // node-gyp-build prefers build/Release whatever ABI it was made for.
  rmSync(join(ROOT, "build"), { recursive: true, force: true });
}

function firstError(log, error) {
  if (error) return error.message;
  const line = log.split("\n").find((candidate) => /\berror\b|gyp ERR! (?:stack|find)/i.test(candidate));
  return (line ?? "node-gyp failed").trim().slice(0, 200);
}

function main() {
  const forced = process.argv.includes("--force");
  if (!forced && !isStale() && addonLoads()) return 0;
  let result;
  try {
    result = build();
  } catch (error) {
    result = { problem: error.message, log: error.stack };
  }
  if (result.problem === null && !addonLoads()) result.problem = "the addon was built but does not load";
  if (result.problem === null) return 0;
  if (forced) process.stderr.write(`${result.log}\n`);
  process.stderr.write(
    `leak-agent: no addon for Node ${process.version} (${result.problem}); ` +
      "the pprof package is used where it works, else the agent stays off. Try again: npm rebuild leak-agent\n",
  );
  return forced ? 1 : 0;
}

if (require.main === module) process.exitCode = main();

module.exports = { headersVersion };
