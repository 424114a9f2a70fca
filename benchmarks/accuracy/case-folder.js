/**
 * Runs in the evaluation's process. Owns the folders: finds the cases of a corpus, copies one with its packages into a
 * cache keyed by content, Node ABI and checkout. Must never write into the corpus.
 */
"use strict";
const { spawnSync } = require("node:child_process");
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const REPOSITORY = path.resolve(__dirname, "..", "..");

/** A mistake of the person who called: bad folder, unknown case. */
class UsageError extends Error {}

/**
 * @param {string} corpus a folder with `cases/`, a folder of cases, or one case
 * @param {string[]} [names] only these; all when empty
 * @returns {string[]} absolute folders, one per case
 * @throws {UsageError} no such folder or case
 */
function findCases(corpus, names = []) {
  const root = path.resolve(corpus);
  const parent = isFolder(path.join(root, "cases")) ? path.join(root, "cases") : root;
  if (!isFolder(parent)) throw new UsageError(`${corpus} is not a folder`);
  if (isCase(parent)) return [parent];
  const found = fs
    .readdirSync(parent)
    .sort()
    .filter((name) => isCase(path.join(parent, name)));
  if (found.length === 0)
    throw new UsageError(`${corpus} holds no case (a folder with package.json, load.json, truth.json)`);
  for (const name of names) {
    if (!found.includes(name)) throw new UsageError(`no case ${name} in ${corpus}; there are ${found.join(", ")}`);
  }
  return (names.length === 0 ? found : names).map((name) => path.join(parent, name));
}

function isFolder(folder) {
  return fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
}

function isCase(folder) {
  return ["package.json", "load.json", "truth.json"].every((file) => fs.existsSync(path.join(folder, file)));
}

/** @returns {{name: string, folder: string, entry: string, nodeArgs: string[], mix: object[], truth: object}} */
function readCase(folder) {
  const manifest = readJson(path.join(folder, "package.json"));
  return {
    name: path.basename(folder),
    folder,
    entry: manifest.main ?? "server.js",
    nodeArgs: manifest.nodeArgs ?? [],
    mix: readJson(path.join(folder, "load.json")),
    truth: readJson(path.join(folder, "truth.json")),
  };
}

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8"));
  } catch (error) {
    throw new UsageError(`${file}: ${error.message}`);
  }
}

/**
 * Working copy of a case with its packages, and `node_modules/leak-agent` linked to this repository.
 * @param {ReturnType<typeof readCase>} service
 * @param {string} nodeBinary the Node that will run it
 * @returns {string} the folder to run in
 * @throws {Error} when npm fails; its last lines are in the message
 */
function prepareCase(service, nodeBinary) {
  const cache = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "leak-agent-corpus");
  fs.mkdirSync(cache, { recursive: true });
  const working = path.join(cache, `${service.name}-${cacheKey(service.folder, nodeBinary)}`);
  if (fs.existsSync(working)) return working;
  // Built beside and renamed, so that a run that is stopped half-way leaves nothing that looks finished.
  const building = fs.mkdtempSync(path.join(cache, `.${service.name}-`));
  try {
    copyFolder(service.folder, building);
    install(building, service.entry, nodeBinary);
    linkAgent(building);
    renameOnce(building, working);
  } finally {
    fs.rmSync(building, { recursive: true, force: true });
  }
  return working;
}

function renameOnce(from, to) {
  try {
    fs.renameSync(from, to);
  } catch (error) {
    if (!fs.existsSync(to)) throw error; // Otherwise another run was faster: same content, same folder.
  }
}

function cacheKey(folder, nodeBinary) {
  const hash = createHash("sha256");
  for (const file of listFiles(folder)) hash.update(`${file}\0`).update(fs.readFileSync(path.join(folder, file)));
  const abi = spawnSync(nodeBinary, ["-p", "process.versions.modules"], { encoding: "utf8", env: cleanEnvironment() });
  if (abi.status !== 0) throw new UsageError(`${nodeBinary} does not run: ${abi.error?.message ?? abi.stderr}`);
  return hash.update(`${abi.stdout.trim()}\0${REPOSITORY}`).digest("hex").slice(0, 12);
}

function listFiles(folder, prefix = "") {
  const files = [];
  for (const entry of fs.readdirSync(path.join(folder, prefix), { withFileTypes: true })) {
    if (entry.name === "node_modules") continue;
    const relative = path.join(prefix, entry.name);
    if (entry.isDirectory()) files.push(...listFiles(folder, relative));
    else files.push(relative);
  }
  return files.sort();
}

function copyFolder(from, to) {
  for (const file of listFiles(from)) {
    fs.mkdirSync(path.dirname(path.join(to, file)), { recursive: true });
    // Read and written, not copied: the corpus is read-only and its modes must not come along.
    fs.writeFileSync(path.join(to, file), fs.readFileSync(path.join(from, file)));
  }
}

function install(folder, entry, nodeBinary) {
  // The entry of a compiled case comes with it; only a case without one needs its build tools.
  const compiled = fs.existsSync(path.join(folder, entry));
  const { dependencies = {}, optionalDependencies = {} } = readJson(path.join(folder, "package.json"));
  if (compiled && Object.keys({ ...dependencies, ...optionalDependencies }).length === 0) return;
  const env = npmEnvironment();
  env.PATH = `${path.dirname(path.resolve(nodeBinary))}${path.delimiter}${env.PATH}`;
  const npm = (args) => {
    const run = spawnSync("npm", args, { cwd: folder, env, encoding: "utf8" });
    if (run.status !== 0) throw new Error(`npm ${args[0]} failed: ${(run.error?.message ?? run.stderr).slice(-800)}`);
  };
  npm(["i", "--no-audit", "--no-fund", "--ignore-scripts=false", ...(compiled ? ["--omit=dev"] : [])]);
  if (!compiled) npm(["run", "build"]);
}

function linkAgent(folder) {
  const link = path.join(folder, "node_modules", "leak-agent");
  fs.rmSync(link, { recursive: true, force: true });
  fs.mkdirSync(path.dirname(link), { recursive: true });
  fs.symlinkSync(REPOSITORY, link, "dir");
}

/** The caller's environment without what npm, Node and telemetry settings would add to a service. */
function cleanEnvironment() {
  return environmentWithout(/^(npm_|LEAK_AGENT_|OTEL_|NODE_)|^INIT_CWD$/i);
}

/** For npm itself: registry and certificate settings stay, what an outer `npm run` left does not. */
function npmEnvironment() {
  return environmentWithout(
    /^(npm_(?!config_)|npm_config_(local|global)?_?prefix$|LEAK_AGENT_|OTEL_|NODE_(OPTIONS|ENV|PATH)$)|^INIT_CWD$/i,
  );
}

function environmentWithout(pattern) {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !pattern.test(name)));
}

module.exports = { REPOSITORY, UsageError, cleanEnvironment, findCases, prepareCase, readCase };
