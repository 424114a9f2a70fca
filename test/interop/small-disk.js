/**
 * A disk that is really full for a while: a small tmpfs where mounting is permitted. Elsewhere no file of the program may
 * be longer than nothing, which a write tells with EFBIG in place of ENOSPC; both end by a call.
 */
"use strict";
const { execFileSync, spawnSync } = require("node:child_process");
const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");

class SmallDisk {
  /** @param sizeKilobytes of the tmpfs. */
  constructor(sizeKilobytes) {
    this.folder = mkdtempSync(join(tmpdir(), "leak-agent-disk-"));
    const options = `size=${sizeKilobytes}k,mode=700`;
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", this.folder], { stdio: "ignore" });
    this.isMounted = status === 0;
  }

  get description() {
    return this.isMounted ? "a full tmpfs (ENOSPC)" : "files limited to 0 bytes (EFBIG): mounting is not permitted";
  }

  /** Before the program is started: the command in front of it. */
  get prefix() {
    return this.isMounted ? [] : ["prlimit", "--fsize=0:"];
  }

  /** There is room again. */
  release(processId) {
    if (this.isMounted) execFileSync("mount", ["-o", "remount,size=64m", this.folder]);
    else execFileSync("prlimit", ["--pid", String(processId), "--fsize=unlimited:"]);
  }

  close() {
    if (this.isMounted) execFileSync("umount", ["--lazy", this.folder]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

module.exports = { SmallDisk };
