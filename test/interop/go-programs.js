/**
 * Builds the Go programs that the interop run needs, each once: the binary lies in the user's cache folder, under a key of
 * its sources, its pinned modules and the compiler. Needs Go and, the first time, its module proxy; throws without them.
 */
"use strict";
const { execFileSync, spawnSync } = require("node:child_process");
const { createHash } = require("node:crypto");
const { existsSync, mkdirSync, readFileSync, readdirSync, renameSync } = require("node:fs");
const { homedir } = require("node:os");
const { join, resolve } = require("node:path");

const ROOT = resolve(__dirname, "../..");

/** `source`: the folder with go.mod. Stripped and without cgo: the first is smaller, the second needs no C library. */
const PROGRAMS = {
  collector: { source: "test/interop/collector", package: ".", tags: [] },
  // Without this tag discovery of every cloud is compiled in, which takes more than twice as long.
  prometheus: {
    source: "test/interop/prometheus",
    package: "github.com/prometheus/prometheus/cmd/prometheus",
    tags: ["remove_all_sd"],
  },
  promtool: {
    source: "test/interop/prometheus",
    package: "github.com/prometheus/prometheus/cmd/promtool",
    tags: ["remove_all_sd"],
  },
  pprof: { source: "test/tools/pprof", package: "github.com/google/pprof", tags: [] },
};

function run(args, cwd) {
  return execFileSync("go", args, { cwd, encoding: "utf8" });
}

function cacheFolder(name, { source, package: target, tags }) {
  const folder = join(ROOT, source);
  const hash = createHash("sha256")
    .update(run(["version"], folder))
    .update(`${target} ${tags}`);
  for (const file of readdirSync(folder).sort()) {
    if (/\.go$|^go\.(mod|sum)$/.test(file)) hash.update(file).update(readFileSync(join(folder, file)));
  }
  const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  return join(caches, "leak-agent", `go-${name}-${hash.digest("hex").slice(0, 12)}`);
}

const built = new Map();

/** @param name one of `programNames`. @returns the path of its binary, which is built when there is none yet. */
function goProgram(name) {
  if (!built.has(name)) built.set(name, binaryOf(name));
  return built.get(name);
}

function binaryOf(name) {
  const program = PROGRAMS[name];
  const folder = cacheFolder(name, program);
  const binary = join(folder, name);
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  const unfinished = `${binary}.${process.pid}`;
  const args = ["build", "-mod=readonly", "-p", "2", "-trimpath", "-ldflags=-s -w", `-tags=${program.tags}`];
  const { status, error } = spawnSync("go", [...args, "-o", unfinished, program.package], {
    cwd: join(ROOT, program.source),
    env: { ...process.env, CGO_ENABLED: "0" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`go build of ${name} ended with ${status}`);
  renameSync(unfinished, binary);
  return binary;
}

const programNames = Object.keys(PROGRAMS);

module.exports = { goProgram, programNames };
