/**
 * Runs on the agent's worker thread, once. Owns what a build is: the same code and version give the same id on every
 * machine. Reads the service's own source files; never node_modules, whose versions the lock file tells.
 */
import { createHash, type Hash } from "node:crypto";
import { closeSync, fstatSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";

const SOURCE_NAME = /\.(?:[cm]?[jt]sx?|node|wasm)$/;
const MANIFESTS = ["package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml"];
/** Beyond these the size of a file stands for its content: a build id must not cost seconds. */
const MAX_FILES = 5_000;
const MAX_HASHED_BYTES = 16 * 1024 * 1024;
const MAX_DEPTH = 12;
const ID_DIGITS = 12;

/**
 * First 12 hex digits of a hash over the service's version, its manifests and its own code files (path and content).
 * @param given LEAK_AGENT_BUILD_ID, which is used as it is.
 */
export function buildIdOf(given: string | null, serviceVersion: string | null, applicationRoot: string): string {
  if (given !== null) return given;
  const hash = createHash("sha256").update(serviceVersion ?? "");
  const files = [...MANIFESTS.map((name) => join(applicationRoot, name)), ...sourceFiles(applicationRoot)];
  let hashedBytes = 0;
  for (const file of files) hashedBytes += addFile(hash, applicationRoot, file, hashedBytes < MAX_HASHED_BYTES);
  return hash.digest("hex").slice(0, ID_DIGITS);
}

/** @returns the bytes read. */
function addFile(hash: Hash, root: string, file: string, isRead: boolean): number {
  const name = relative(root, file).replaceAll(sep, "/");
  try {
    const descriptor = openSync(file, "r");
    try {
      const { size } = fstatSync(descriptor);
      hash.update(`\0${name}\0${size}\0`);
      if (!isRead || size > MAX_HASHED_BYTES) return 0;
      hash.update(readFileSync(descriptor));
      return size;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return 0; // No such manifest, or not ours to read: it says nothing about the build.
  }
}

/** Sorted by path, so that the order of a folder's entries does not matter. */
function sourceFiles(root: string): string[] {
  const files: string[] = [];
  const waiting: { folder: string; depth: number }[] = [{ folder: root, depth: 0 }];
  for (let next = waiting.shift(); next !== undefined && files.length < MAX_FILES; next = waiting.shift()) {
    const { folder, depth } = next;
    for (const entry of entriesOf(folder)) {
      const path = join(folder, entry.name);
      if (entry.isFile() && SOURCE_NAME.test(entry.name) && files.length < MAX_FILES) files.push(path);
      const isOwn = entry.isDirectory() && entry.name !== "node_modules" && !entry.name.startsWith(".");
      if (isOwn && depth < MAX_DEPTH) waiting.push({ folder: path, depth: depth + 1 });
    }
  }
  return files.sort();
}

function entriesOf(folder: string): { name: string; isFile(): boolean; isDirectory(): boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return []; // Not ours to read.
  }
}
