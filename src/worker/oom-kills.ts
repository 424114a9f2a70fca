/**
 * Runs on the agent's worker thread. Owns the kernel's count of out-of-memory kills in this process's control group
 * (cgroup v2 `memory.events`, v1 `memory.oom_control`). Unknown is null.
 */
import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { OomKills } from "../model/life";

/** @param root replaced in tests: the folder that holds `proc` and `sys`. */
export function readOomKills(root = "/"): OomKills | null {
  const membership = readText(join(root, "proc/self/cgroup"));
  if (membership === null) return null;
  const memory = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(membership)?.[1];
  const unified = /^0::(.*)$/m.exec(membership)?.[1];
  return (
    (memory === undefined ? null : nearest(join(root, "sys/fs/cgroup/memory"), memory, "memory.oom_control")) ??
    (unified === undefined ? null : nearest(join(root, "sys/fs/cgroup"), unified, "memory.events"))
  );
}

/** The process's own group; inside a container the path may be the host's, and the group is the mount itself. */
function nearest(mount: string, path: string, file: string): OomKills | null {
  for (let group = join("/", path); ; group = dirname(group)) {
    const folder = join(mount, group);
    const count = /^oom_kill (\d+)$/m.exec(readText(join(folder, file)) ?? "")?.[1];
    if (count !== undefined) return { group: `${folder}#${inodeOf(folder)}`, count: Number(count) };
    if (group === "/" || group === ".") return null;
  }
}

function inodeOf(folder: string): number {
  try {
    return statSync(folder).ino;
  } catch {
    return 0; // It was there a moment ago: the group is being removed.
  }
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null; // Not Linux, or another version of control groups.
  }
}
