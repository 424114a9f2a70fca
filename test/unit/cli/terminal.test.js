"use strict";
const assert = require("node:assert/strict");
const { EventEmitter } = require("node:events");
const test = require("node:test");
const { startProgress } = require("../../../dist/cli/progress");
const { Terminal } = require("../../../dist/cli/terminal");

class Stream extends EventEmitter {
  text = "";
  constructor(isTTY, colours = isTTY) {
    super();
    this.isTTY = isTTY;
    this.colours = colours;
  }
  hasColors() {
    return this.colours;
  }
  write(text) {
    this.text += text;
    return true;
  }
}

/** Updates once per simulated 50 ms until the work is done. */
function work(stream, { seconds, plainLines }) {
  let nowMillis = 1_000_000;
  const progress = startProgress("Reading", stream, plainLines, () => nowMillis);
  const steps = seconds * 20;
  for (let step = 1; step <= steps; step++) {
    nowMillis += 50;
    progress.update(step / steps);
  }
  progress.clear();
  return stream.text;
}

test("a terminal gets one bar that is redrawn and removed, short work none", () => {
  const text = work(new Stream(true), { seconds: 10, plainLines: false });
  assert.match(text, /\rReading \[#{15}\.{15}\] 50 %\x1b\[K/);
  assert.ok(!text.includes("\n"));
  assert.ok(text.endsWith("\r\x1b[K"), "the line is empty again");
  assert.equal(work(new Stream(true), { seconds: 0.25, plainLines: false }), "");
});

test("a pipe gets nothing, or a line every five seconds when asked for", () => {
  assert.equal(work(new Stream(false), { seconds: 60, plainLines: false }), "");
  const text = work(new Stream(false), { seconds: 20, plainLines: true });
  assert.deepEqual(text.split("\n"), [
    "Reading: 25 % after 5 s",
    "Reading: 50 % after 10 s",
    "Reading: 75 % after 15 s",
    "Reading: 100 % after 20 s",
    "",
  ]);
});

test("colour only where stdout is a terminal that has it", () => {
  const styled = (stdout) => new Terminal(stdout, new Stream(false)).style("LEAK", "bold", "red");
  assert.equal(styled(new Stream(true)), "\x1b[31m\x1b[1mLEAK\x1b[0m\x1b[0m");
  assert.equal(styled(new Stream(true, false)), "LEAK");
  assert.equal(styled(new Stream(false)), "LEAK");
});

test("when the reader has left nothing more is written; another failure is told once on stderr", () => {
  const stdout = new Stream(false);
  const stderr = new Stream(false);
  const terminal = new Terminal(stdout, stderr);
  terminal.print("one");
  stdout.emit("error", Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  terminal.print("two");
  assert.equal(stdout.text, "one\n");
  assert.equal(stderr.text, "");
  assert.ok(terminal.readerLeft);
  const full = new Terminal(new Stream(false), stderr);
  full.stdout.emit("error", Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" }));
  assert.match(stderr.text, /^leak-agent: stdout cannot be written: ENOSPC/);
});
