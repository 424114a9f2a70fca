/**
 * Runs on the agent's worker thread. Owns the memory level and limit of the container (cgroup v1, v2, or both at once).
 * Unknown is null, never 0. Limits are read anew each time: an orchestrator may change them while the process runs.
 */
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** cgroup v1 writes "no limit" as the greatest multiple of a page below 2^63. */
const NO_LIMIT_BYTES = 2 ** 60;
/** Groups above the process's own that are looked at. */
const MAX_DEPTH = 16;

export interface CgroupReading {
  /** `current - inactive_file` of the group that is nearest its limit; of the own group when none has a limit. */
  readonly usedBytes: number;
  readonly limitBytes: number | null;
}

interface CgroupNames {
  readonly current: string;
  /** The kernel reclaims or kills at the first of these. */
  readonly limits: readonly string[];
  readonly inactiveKey: RegExp;
}

const V1: CgroupNames = {
  current: "memory.usage_in_bytes",
  limits: ["memory.limit_in_bytes"],
  inactiveKey: /^total_inactive_file (\d+)$/m,
};
/** Above `memory.high` the kernel throttles the process until it hardly runs, which ends a service as well. */
const V2: CgroupNames = {
  current: "memory.current",
  limits: ["memory.max", "memory.high"],
  inactiveKey: /^inactive_file (\d+)$/m,
};

/** Reads the groups of this process, from its own up to the root of what is mounted here. */
export class Cgroup {
  private readonly folders: readonly string[];
  private readonly names: CgroupNames;

  /** @param root replaced in tests: the folder that holds `proc` and `sys`. */
  constructor(root = "/") {
    const found = findFolders(root);
    this.folders = found?.folders ?? [];
    this.names = found?.names ?? V2;
  }

  read(): CgroupReading | null {
    let nearest: CgroupReading | null = null;
    for (const folder of this.folders) {
      const reading = this.readGroup(folder);
      if (reading !== null && (nearest === null || headroom(reading) < headroom(nearest))) nearest = reading;
    }
    return nearest;
  }

  private readGroup(folder: string): CgroupReading | null {
    const current = readNumber(join(folder, this.names.current));
    if (current === null) return null;
    const stat = readText(join(folder, "memory.stat"));
    const inactive = stat === null ? undefined : this.names.inactiveKey.exec(stat)?.[1];
    const limits = this.names.limits
      .map((name) => readNumber(join(folder, name)))
      .filter((limit): limit is number => limit !== null && limit < NO_LIMIT_BYTES);
    return {
      usedBytes: Math.max(0, current - Number(inactive ?? 0)),
      limitBytes: limits.length === 0 ? null : Math.min(...limits),
    };
  }
}

function headroom({ usedBytes, limitBytes }: CgroupReading): number {
  return limitBytes === null ? Number.POSITIVE_INFINITY : limitBytes - usedBytes;
}

interface Hierarchy {
  readonly mount: string;
  /** Which folder of the hierarchy is mounted there: `/`, or the container's own on cgroup v1 without a namespace. */
  readonly mounted: string;
}

function findFolders(root: string): { folders: string[]; names: CgroupNames } | null {
  const membership = readText(join(root, "proc/self/cgroup"));
  if (membership === null) return null;
  const mounts = readText(join(root, "proc/self/mountinfo")) ?? "";
  // In a hybrid setup the memory controller belongs to one of the two only: the other's files are not there.
  const candidates = [
    {
      names: V1,
      path: /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(membership)?.[1],
      mount: /^\S+ \S+ \S+ (\S+) (\S+) .* - cgroup \S+ (?:\S*,)?memory(?:,\S*)?$/m.exec(mounts),
      usual: "/sys/fs/cgroup/memory",
    },
    {
      names: V2,
      path: /^0::(.*)$/m.exec(membership)?.[1],
      mount: /^\S+ \S+ \S+ (\S+) (\S+) .* - cgroup2 /m.exec(mounts),
      usual: "/sys/fs/cgroup",
    },
  ];
  for (const { names, path, mount, usual } of candidates) {
    if (path === undefined) continue;
    const hierarchy: Hierarchy = { mount: join(root, mount?.[2] ?? usual), mounted: mount?.[1] ?? "/" };
    const folders = foldersOf(hierarchy, path).filter((folder) => readNumber(join(folder, names.current)) !== null);
    if (folders.length > 0) return { folders, names };
  }
  return null;
}

/** Inside a container the path may be the host's, which does not exist there: then only the mount's root is left. */
function foldersOf({ mount, mounted }: Hierarchy, path: string): string[] {
  const inside = relative(mounted, path);
  const folders: string[] = [];
  let group = join("/", inside.startsWith("..") ? "" : inside);
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    folders.push(join(mount, group));
    if (group === "/") break;
    group = dirname(group);
  }
  return folders;
}

function readNumber(file: string): number | null {
  const text = readText(file)?.trim();
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null; // `max` is no number: no limit.
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null; // Not Linux, no such controller, or not allowed: the level is unknown.
  }
}
