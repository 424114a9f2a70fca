/**
 * `npm run prebuild [-- DIR...]`: builds the addon for several Node lines into prebuilds/, for `npm pack`.
 * DIR is a Node installation prefix (bin/, include/node/); default: the matrix packages in test/matrix, else this Node.
 */
"use strict";

const { spawnSync } = require("node:child_process");
const { copyFileSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { delimiter, dirname, join, resolve } = require("node:path");
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

/** Built in a folder of its own: a build/Release in the checkout would win over every prebuild, whatever its ABI. */
function prebuild(prefix) {
  const version = headersVersion(prefix);
  if (version === null) {
    process.stderr.write(`prebuild: ${prefix} has no include/node/node_version.h\n`);
    return false;
  }
  const folder = mkdtempSync(join(tmpdir(), "leak-agent-prebuild-"));
  try {
    for (const file of ["package.json", "binding.gyp"]) copyFileSync(join(ROOT, file), join(folder, file));
    cpSync(join(ROOT, "native"), join(folder, "native"), { recursive: true });
    const script = require.resolve("prebuildify/bin.js");
    // prebuildify looks for node-gyp there.
    const programs = [join(ROOT, "node_modules", ".bin"), dirname(process.execPath), process.env.PATH].join(delimiter);
    const options = ["--no-napi", "--tag-libc", "--strip", "--name=leak-agent", `--out=${ROOT}`];
    const child = spawnSync(process.execPath, [script, `--target=${version}`, ...options], {
      cwd: folder,
      env: { ...process.env, npm_config_nodedir: prefix, PATH: programs },
      encoding: "utf8",
      maxBuffer: 1 << 26,
    });
    if (child.status !== 0) process.stderr.write(`${child.stdout}${child.stderr}\n`);
    process.stdout.write(`prebuild: ${version} ${child.status === 0 ? "done" : "FAILED"}\n`);
    return child.status === 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const prefixes = choosePrefixes(process.argv.slice(2));
const built = prefixes.filter(prebuild);
process.exitCode = prefixes.length > 0 && built.length === prefixes.length ? 0 : 1;
