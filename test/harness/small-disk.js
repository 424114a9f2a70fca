/**
 * A disk of one megabyte that a test can fill, empty and make read-only. A real one (tmpfs) where this user may mount;
 * elsewhere the calls below fs fail as they would on it, which the test says.
 */
"use strict";
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");

const FILLER = "filler";
/** What our code calls to put something on a disk. */
const WRITERS = ["writeSync", "writeFileSync", "mkdirSync", "openSync"];
const READ_ONLY_FLAG = "r";

function smallDisk(context) {
  const path = fs.mkdtempSync(join(tmpdir(), "small-disk-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", path]).status === 0;
  if (!mounted) {
    context.diagnostic("this user cannot mount: the disk's errors are injected below fs");
    return injectedDisk(context, path);
  }
  context.after(() => {
    spawnSync("umount", ["-l", path]);
    fs.rmSync(path, { recursive: true, force: true });
  });
  return {
    path,
    fill: () => {
      const descriptor = fs.openSync(join(path, FILLER), "a");
      try {
        for (;;) fs.writeSync(descriptor, Buffer.alloc(4_096));
      } catch (error) {
        if (error.code !== "ENOSPC") throw error;
      } finally {
        fs.closeSync(descriptor);
      }
    },
    empty: () => fs.rmSync(join(path, FILLER)),
    makeReadOnly: () => remount(path, "ro"),
    makeWritable: () => remount(path, "rw"),
  };
}

function remount(path, mode) {
  const { status, stderr } = spawnSync("mount", ["-o", `remount,${mode}`, path], { encoding: "utf8" });
  if (status !== 0) throw new Error(`remount: ${stderr}`);
}

function injectedDisk(context, path) {
  let failing = [];
  let code = "";
  const real = Object.fromEntries(WRITERS.map((name) => [name, fs[name]]));
  for (const name of WRITERS) {
    fs[name] = (...args) => {
      const isReading = name === "openSync" && args[1] === READ_ONLY_FLAG;
      if (!failing.includes(name) || isReading) return real[name](...args);
      throw Object.assign(new Error(`${code}: injected, ${name}`), { code });
    };
  }
  context.after(() => {
    Object.assign(fs, real);
    fs.rmSync(path, { recursive: true, force: true });
  });
  const fail = (newCode, names) => {
    code = newCode;
    failing = names;
  };
  return {
    path,
    fill: () => fail("ENOSPC", ["writeSync", "writeFileSync"]),
    empty: () => fail("", []),
    makeReadOnly: () => fail("EROFS", WRITERS),
    makeWritable: () => fail("", []),
  };
}

module.exports = { smallDisk };
