/**
 * `npm run prebuild [-- DIR...]`: builds the addon for several Node lines into prebuilds/, for `npm pack`.
 * DIR is a Node installation prefix (bin/, include/node/); default: the matrix packages in test/matrix, else this Node.
 */
"use strict";

const { spawnSync } = require("node:child_process");
const { existsSync, readdirSync, rmSync } = require("node:fs");
const { dirname, join, resolve } = require("node:path");
const { headersVersion } = require("./install-addon.js");

const ROOT = join(__dirname, "..");
const MATRIX = join(ROOT, "test", "matrix", "node_modules");

/** Every package of the matrix that carries headers. */
function matrixPrefixes() {
  if (!existsSync(MATRIX)) return [];
  return readdirSync(MATRIX)
    .map((name) => join(MATRIX, name))
    .filter((prefix) => headersVersion(prefix) !== null);
}

/** This Node's own headers complete the matrix when their major is not in it. */
function choosePrefixes(args) {
  if (args.length > 0) return args.map((arg) => resolve(arg));
  const prefixes = matrixPrefixes();
  const majors = new Set(prefixes.map((prefix) => headersVersion(prefix).split(".")[0]));
  const own = join(dirname(process.execPath), "..");
  const ownVersion = headersVersion(own);
  if (ownVersion !== null && !majors.has(ownVersion.split(".")[0])) prefixes.unshift(own);
  return prefixes;
}

function prebuild(prefix) {
  const version = headersVersion(prefix);
  if (version === null) {
    process.stderr.write(`prebuild: ${prefix} has no include/node/node_version.h\n`);
    return false;
  }
  const script = require.resolve("prebuildify/bin.js");
  const args = [script, `--target=${version}`, "--no-napi", "--tag-libc", "--strip", "--name=leak-agent"];
  const child = spawnSync(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, npm_config_nodedir: prefix },
    stdio: ["ignore", "ignore", "inherit"],
  });
  process.stdout.write(`prebuild: ${version} ${child.status === 0 ? "done" : "FAILED"}\n`);
  return child.status === 0;
}

const prefixes = choosePrefixes(process.argv.slice(2));
const built = prefixes.filter(prebuild);
// node-gyp-build prefers build/Release whatever ABI it was made for.
rmSync(join(ROOT, "build"), { recursive: true, force: true });
process.exitCode = prefixes.length > 0 && built.length === prefixes.length ? 0 : 1;
