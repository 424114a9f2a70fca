/** What the addon writes when V8 asks it at the heap limit: each way in a program that dies of it. */
"use strict";
const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const { mkdtempSync, readFileSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { test } = require("node:test");

const NATIVE = join(__dirname, "../../../dist/native.js");

/** Runs `script`, which has `addon`, `fs`, `word` and `open(name)`, then fills the heap. @returns the content of both files. */
function die(context, script) {
  const folder = mkdtempSync(join(tmpdir(), "leak-agent-test-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const source = `
    const fs = require("node:fs");
    const { addon } = require(${JSON.stringify(NATIVE)}).loadNative();
    const word = Buffer.from("the end\\n");
    const open = (name) => fs.openSync(${JSON.stringify(folder)} + "/" + name, "a");
    ${script}
    const kept = [];
    for (;;) kept.push({ text: "x" + kept.length });
  `;
  const { signal, stderr } = spawnSync(process.execPath, ["--max-old-space-size=30", "-e", source], {
    encoding: "utf8",
    cwd: folder,
  });
  assert.equal(signal, "SIGABRT");
  assert.match(stderr, /FATAL ERROR: .* - JavaScript heap out of memory/);
  return ["a", "b"].map((name) => {
    try {
      return readFileSync(join(folder, name), "utf8");
    } catch {
      return null;
    }
  });
}

test("the word is written once, after what stands in the file", (context) => {
  const files = die(
    context,
    `
    const file = open("a");
    fs.writeSync(file, "before\\n");
    addon.watchHeapLimit();
    addon.setHeapLimitWord(file, word);
    `,
  );
  assert.deepEqual(files, ["before\nthe end\n", null]);
});

test("the newest file has the word", (context) => {
  const files = die(
    context,
    `
    addon.watchHeapLimit();
    addon.setHeapLimitWord(open("a"), Buffer.from("another"));
    addon.setHeapLimitWord(open("b"), word);
    `,
  );
  assert.deepEqual(files, ["", "the end\n"]);
});

test("a descriptor that has become another file's is left alone", (context) => {
  const files = die(
    context,
    `
    const file = open("a");
    addon.watchHeapLimit();
    addon.setHeapLimitWord(file, word);
    fs.closeSync(file);
    let other = open("b");
    while (other < file) other = open("b");
    require("node:assert").equal(other, file);
    `,
  );
  assert.deepEqual(files, ["", ""]);
});

test("without a word, a file or a place in line, nothing is written, and the process ends as it would", (context) => {
  const files = die(
    context,
    `
    require("node:assert").deepEqual([addon.watchHeapLimit(), addon.watchHeapLimit()], [true, false]);
    open("a");
    addon.setHeapLimitWord(999, word);
    addon.setHeapLimitWord("a", word);
    addon.setHeapLimitWord(1);
    `,
  );
  assert.deepEqual(files, ["", null]);
});
