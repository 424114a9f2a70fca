"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const { join } = require("node:path");
const { after, beforeEach, describe, it } = require("node:test");
const { spawnSync } = require("node:child_process");
const { AgentFolder, basicTime, listFolder, parseBasicTime } = require("../../../dist/export/folder.js");

const MIB = 1024 * 1024;
const base = fs.mkdtempSync(join(os.tmpdir(), "folder-test-"));
after(() => fs.rmSync(base, { recursive: true, force: true }));

let problems;
let now;
let place;
let count = 0;
beforeEach(() => {
  problems = [];
  now = 1_764_064_800_000;
  place = join(base, String(count++));
});
const open = (path, limit = 64 * MIB) =>
  new AgentFolder(
    path,
    limit,
    (problem) => problems.push(problem),
    () => now,
  );

describe("the agent's folder", () => {
  it("is made for its user alone, with files for its user alone", () => {
    const folder = open(join(place, "deep", "down"));
    assert.equal(folder.append("findings.jsonl", "{}\n"), "written");
    assert.equal(folder.write("profile-20261125T100000Z-1.pb.gz", Buffer.from("x")), "written");
    assert.equal(fs.statSync(folder.path).mode & 0o777, 0o700);
    for (const name of fs.readdirSync(folder.path))
      assert.equal(fs.statSync(join(folder.path, name)).mode & 0o777, 0o600);
    assert.deepEqual(problems, []);
  });

  it("tells once that a file stands in its place, retries later, and tells when it works", () => {
    fs.writeFileSync(place, "");
    const folder = open(place);
    assert.equal(folder.append("findings.jsonl", "1\n"), "unavailable");
    assert.equal(folder.append("findings.jsonl", "2\n"), "unavailable");
    assert.equal(problems.length, 1);
    assert.match(problems[0], /cannot be written \(a part of the path is not a folder\)/);
    fs.rmSync(place);
    assert.equal(folder.append("findings.jsonl", "3\n"), "unavailable", "not before the pause is over");
    now += 31_000;
    assert.equal(folder.append("findings.jsonl", "4\n"), "written");
    assert.deepEqual(problems.slice(1), [null]);
    assert.equal(folder.droppedWrites, 3);
    assert.equal(fs.readFileSync(join(place, "findings.jsonl"), "utf8"), "4\n");
  });

  it("comes back when somebody removes it", () => {
    const folder = open(place);
    folder.append("findings.jsonl", "1\n");
    fs.rmSync(place, { recursive: true });
    assert.equal(folder.append("findings.jsonl", "2\n"), "unavailable");
    now += 31_000;
    assert.equal(folder.append("findings.jsonl", "3\n"), "written");
  });

  it("does not append to a file that is not the one it knows", () => {
    const folder = open(place);
    assert.equal(folder.append("history-20261125T100000Z-1.jsonl", "abc\n", 0), "written");
    assert.equal(folder.append("history-20261125T100000Z-1.jsonl", "def\n", 4), "written");
    assert.equal(folder.append("history-20261125T100000Z-1.jsonl", "ghi\n", 4), "changed");
    assert.equal(fs.readFileSync(join(place, "history-20261125T100000Z-1.jsonl"), "utf8"), "abc\ndef\n");
  });
});

describe("the default folder under the shared temporary one", () => {
  const guarded = [];
  after(() => {
    for (const path of guarded) fs.rmSync(path, { recursive: true, force: true });
  });
  const shared = () => {
    const path = join(os.tmpdir(), `leak-agent-test-${process.pid}-${count++}`);
    guarded.push(path);
    return path;
  };

  it("is refused, for good, when it is a symbolic link", () => {
    const path = shared();
    fs.mkdirSync(place);
    fs.symlinkSync(place, path);
    const folder = open(join(path, "service"));
    assert.equal(folder.append("findings.jsonl", "1\n"), "unavailable");
    now += 1e9;
    assert.equal(folder.append("findings.jsonl", "1\n"), "unavailable");
    assert.equal(problems.length, 1);
    assert.match(problems[0], /symbolic link/);
    assert.deepEqual(fs.readdirSync(place), []);
  });

  it("is refused when it belongs to somebody else", {
    skip: process.getuid?.() !== 0 && "only root can give folders away",
  }, () => {
    const path = shared();
    fs.mkdirSync(path);
    fs.chownSync(path, 12_345, 12_345);
    assert.equal(open(join(path, "service")).open(), false);
    assert.match(problems[0], /belongs to somebody else \(uid 12345\)/);
  });

  it("is closed to others when it was open", () => {
    const path = shared();
    fs.mkdirSync(path);
    fs.chmodSync(path, 0o755);
    assert.equal(open(join(path, "service")).open(), true);
    assert.equal(fs.statSync(path).mode & 0o777, 0o700);
  });
});

describe("a full disk", () => {
  it("leaves whole lines only, is told once, and is written again when there is room", (context) => {
    fs.mkdirSync(place);
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", place]).status === 0;
    if (!mounted) {
      // No permission to mount: a limit on file size fails writes in the same way, in a process of its own.
      context.diagnostic("no tmpfs here; tested with a file size limit");
      return limitedBySize(place);
    }
    try {
      fs.writeFileSync(join(place, "filler"), Buffer.alloc(40 * 1024));
      const folder = open(place);
      const line = `${"x".repeat(5_000)}\n`;
      const outcomes = Array.from({ length: 8 }, () => folder.append("findings.jsonl", line));
      assert.ok(outcomes.includes("unavailable"));
      assert.equal(problems.length, 1);
      assert.match(problems[0], /the disk is full/);
      assert.equal(fs.statSync(join(place, "findings.jsonl")).size % line.length, 0);
      assert.equal(folder.write("profile-20261125T100000Z-1.pb.gz", Buffer.alloc(60 * 1024)), "unavailable");
      fs.rmSync(join(place, "filler"));
      now += 31_000;
      assert.equal(folder.append("findings.jsonl", line), "written");
      assert.deepEqual(problems.slice(1), [null]);
      assert.deepEqual(fs.readdirSync(place), ["findings.jsonl"], "no half profile, no temporary file");
    } finally {
      spawnSync("umount", [place]);
    }
  });

  function limitedBySize(path) {
    const program = `
      const { AgentFolder } = require(${JSON.stringify(require.resolve("../../../dist/export/folder.js"))});
      const folder = new AgentFolder(${JSON.stringify(path)}, 1e9, () => {});
      process.on("SIGXFSZ", () => {});
      const line = "x".repeat(3000) + "\\n";
      console.log(JSON.stringify([1, 2, 3].map(() => folder.append("findings.jsonl", line))));`;
    const { stdout } = spawnSync("sh", ["-c", `ulimit -f 8; exec "$0" -e "$1"`, process.execPath, program], {
      encoding: "utf8",
    });
    assert.ok(JSON.parse(stdout).includes("unavailable"));
    assert.equal(fs.statSync(join(path, "findings.jsonl")).size % 3_001, 0);
  }
});

describe("the limit of the folder", () => {
  const profile = (hour, processId) => `profile-${basicTime(Date.UTC(2026, 10, 25, hour))}-${processId}.pb.gz`;
  const DEAD = 2 ** 22 + 1; // Above Linux's greatest pid.

  function fill(folder, name, mebibytes, ageMinutes) {
    fs.mkdirSync(folder.path, { recursive: true });
    const path = join(folder.path, name);
    fs.writeFileSync(path, Buffer.alloc(mebibytes * MIB));
    const time = now / 1_000 - ageMinutes * 60;
    fs.utimesSync(path, time, time);
  }

  it("takes the oldest files of dead processes first, then the oldest profiles, and never a stranger's file", () => {
    const folder = open(place, 8 * MIB);
    const deadHistory = `history-${basicTime(Date.UTC(2026, 10, 24))}-${DEAD}.jsonl`;
    const liveHistory = `history-${basicTime(Date.UTC(2026, 10, 23))}-${process.pid}.jsonl`;
    fill(folder, deadHistory, 1, 60);
    fill(folder, liveHistory, 1, 60);
    fill(folder, profile(1, DEAD), 1, 60);
    for (const hour of [2, 3, 4, 5]) fill(folder, profile(hour, process.pid), 2, 60);
    fill(folder, "notes.txt", 3, 60);
    folder.open();
    folder.sweep(true);
    assert.deepEqual(fs.readdirSync(place).sort(), [
      liveHistory,
      "notes.txt",
      profile(3, process.pid),
      profile(4, process.pid),
      profile(5, process.pid),
    ]);
  });

  it("takes files that nobody touched for a day, whoever has their process id now", () => {
    const folder = open(place, 1 * MIB);
    fill(folder, `history-${basicTime(Date.UTC(2026, 10, 20))}-${process.pid}.jsonl`, 2, 25 * 60);
    folder.open();
    folder.sweep(true);
    assert.deepEqual(fs.readdirSync(place), []);
  });

  it("takes finished segments of live processes last, never the one being written", () => {
    const folder = open(place, 3 * MIB);
    const stem = `history-${basicTime(Date.UTC(2026, 10, 25))}-${process.pid}`;
    for (const name of [`${stem}.jsonl`, ...[1, 2, 10].map((segment) => `${stem}.${segment}.jsonl`)])
      fill(folder, name, 2, 0);
    folder.open();
    folder.sweep(true);
    assert.deepEqual(fs.readdirSync(place), [`${stem}.10.jsonl`]);
  });

  it("removes what a killed process left half written", () => {
    const folder = open(place);
    fill(folder, `.write-${DEAD}-${profile(1, DEAD)}.tmp`, 1, 60);
    fill(folder, `.write-${DEAD}-${profile(2, DEAD)}.tmp`, 1, 0);
    folder.open();
    folder.sweep(true);
    assert.deepEqual(fs.readdirSync(place), [`.write-${DEAD}-${profile(2, DEAD)}.tmp`]);
  });

  it("leaves the files of a process alone that may live in another container", () => {
    const folder = open(place, 1 * MIB);
    const fresh = `history-${basicTime(Date.UTC(2026, 10, 24))}-${DEAD}.jsonl`;
    fill(folder, fresh, 2, 1);
    folder.open();
    folder.sweep(true);
    assert.deepEqual(fs.readdirSync(place), [fresh]);
  });

  it("removes nothing that it did not make", () => {
    const folder = open(place);
    fill(folder, "precious.db", 1, 0);
    folder.remove("precious.db");
    assert.deepEqual(fs.readdirSync(place), ["precious.db"]);
  });
});

describe("names", () => {
  it("sort by time and are read back", () => {
    const time = Date.UTC(2026, 10, 25, 10, 11, 12, 345);
    assert.equal(basicTime(time), "20261125T101112345Z");
    assert.equal(parseBasicTime("20261125T101112345Z"), time);
    assert.equal(parseBasicTime("20261125T101112Z"), time - 345);
    assert.ok(Number.isNaN(parseBasicTime("yesterday")));
  });

  it("in a folder that is not there are none", () => {
    assert.deepEqual(listFolder(join(place, "nowhere")), []);
  });
});
