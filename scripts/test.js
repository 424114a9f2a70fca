#!/usr/bin/env node
/**
 * `npm test`: builds, makes sure the addon for the Node that runs exists, and runs the tests from an explicit list
 * (Node 20 expands no globs). Options: --ci-only runs the tests that need more than Node and npm; --no-build skips the
 * compiler; further words keep only the files whose path contains one of them.
 */
"use strict";
const { spawnSync } = require("node:child_process");
const { existsSync, readdirSync } = require("node:fs");
const { join, relative, resolve } = require("node:path");
const { parseArgs } = require("node:util");

const ROOT = resolve(__dirname, "..");
/** Folders whose `*.test.js` files make up the suite. */
const SUITE_FOLDERS = ["test/unit", "test/integration"];
/** Needs the npm registry; the drivers PostgreSQL and Redis too. Deploys, urgent and inferred routes need minutes. */
const CI_ONLY = new Set([
  "test/integration/deploys.test.js",
  "test/integration/drivers.test.js",
  "test/integration/frameworks.test.js",
  "test/integration/inferred-route.test.js",
  "test/integration/installed-package.test.js",
  "test/integration/urgent.test.js",
]);
/** Two test files at once: the suite starts real services, which want a core each. */
const CONCURRENCY = 2;
/** Longest one test may take; a hang must not eat the run. */
const TEST_TIMEOUT_MILLIS = 180_000;

function testFiles(folder) {
  const path = join(ROOT, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".test.js"))
    .map((entry) => relative(ROOT, join(entry.parentPath ?? entry.path, entry.name)).replaceAll("\\", "/"))
    .filter((file) => !file.includes("node_modules/"))
    .sort();
}

/** Runs one command in the repository's folder; its failure ends this program with its code. */
function run(args) {
  const { status, signal, error } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    stdio: "inherit",
    env: environment(),
  });
  if (error !== undefined) throw error;
  if (status !== 0) {
    console.error(`failed: node ${args.slice(0, 3).join(" ")}${signal === null ? "" : ` (${signal})`}`);
    process.exit(status ?? 1);
  }
}

/** The tests start services: settings of the person who runs them must not reach these. */
function environment() {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(LEAK_AGENT_|OTEL_|NODE_OPTIONS$)/.test(name)),
  );
}

function main() {
  const started = Date.now();
  const { values, positionals } = parseArgs({
    options: { "ci-only": { type: "boolean", default: false }, "no-build": { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const files = SUITE_FOLDERS.flatMap(testFiles)
    .filter((file) => CI_ONLY.has(file) === values["ci-only"])
    .filter((file) => positionals.length === 0 || positionals.some((word) => file.includes(word)));
  if (files.length === 0) {
    console.error("no test file matches");
    process.exit(1);
  }
  if (!values["no-build"]) run(["scripts/build.js"]);
  run(["scripts/install-addon.js"]);
  const options = [
    `--test-concurrency=${CONCURRENCY}`,
    `--test-timeout=${TEST_TIMEOUT_MILLIS}`,
    "--test-reporter=spec",
  ];
  process.once("exit", () => {
    console.log(
      `${files.length} test files on Node ${process.version} in ${((Date.now() - started) / 1000).toFixed(0)} s`,
    );
  });
  run(["--test", ...options, ...files]);
}

main();
