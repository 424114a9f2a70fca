/** Real control groups with a memory limit, where this machine lets us make them (root, cgroup v1 or v2 not read-only). */
"use strict";
const { existsSync, mkdirSync, rmdirSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");

const V1 = "/sys/fs/cgroup/memory";
const V2 = "/sys/fs/cgroup";

/**
 * A new group below the root of the hierarchy; removed when the test ends.
 * @returns null where none can be made; else `path`, and `args` that start a program inside of it with `/bin/sh`.
 */
function controlGroup(context, limitBytes) {
  const isV1 = existsSync(join(V1, "memory.limit_in_bytes"));
  const path = join(isV1 ? V1 : V2, `leak-agent-test-${process.pid}-${Date.now()}`);
  try {
    mkdirSync(path);
    context.after(() => rmdirSync(path));
    writeFileSync(join(path, isV1 ? "memory.limit_in_bytes" : "memory.max"), String(limitBytes));
  } catch {
    return null;
  }
  return {
    path,
    args: (command) => ["-c", 'echo $$ > "$0" && exec "$@"', join(path, "cgroup.procs"), ...command],
  };
}

module.exports = { controlGroup };
