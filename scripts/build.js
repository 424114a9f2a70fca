#!/usr/bin/env node
/**
 * `npm run compile`: src to dist, and what every process loads at its start into one file per entry. Finding, reading and
 * compiling forty small files was a third of what `-r leak-agent` added to a start. The bundles take the place of the files
 * that they are made from: without this step everything works as well, only slower.
 */
"use strict";
const { spawnSync } = require("node:child_process");
const { join, resolve } = require("node:path");
const { buildSync } = require("esbuild");

const ROOT = resolve(__dirname, "..");
const COMPILER = join(ROOT, "node_modules/typescript/bin/tsc");
/** What others load too stays a file of its own: one addon, one store of contexts and one configuration per thread. */
const BUNDLES = [
  { entry: "config", external: [] },
  { entry: "probe/probe", external: ["../config", "../native", "./request-context"] },
];

function compile() {
  const { status, error } = spawnSync(process.execPath, [COMPILER, "-p", "tsconfig.json"], {
    cwd: ROOT,
    stdio: "inherit",
  });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function bundle({ entry, external }) {
  buildSync({
    entryPoints: [join(ROOT, "src", `${entry}.ts`)],
    outfile: join(ROOT, "dist", `${entry}.js`),
    bundle: true,
    packages: "external",
    external,
    platform: "node",
    format: "cjs",
    target: "node20",
    sourcemap: true,
    sourcesContent: false,
    logLevel: "warning",
  });
}

compile();
BUNDLES.forEach(bundle);
