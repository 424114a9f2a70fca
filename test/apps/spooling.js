/**
 * Spools body after body into the folder it is given, until it is killed. Says "start n" before and "done n" after each,
 * with a blocking write, so that what was said before a kill is known.
 */
"use strict";
const { writeSync } = require("node:fs");
const { Spool } = require("../../dist/export/spool");
const { currentProcess } = require("../../dist/export/spool-lives");
const [path, sizeText] = process.argv.slice(2);

const spool = new Spool({
  signal: "profiles",
  folder: { path, open: () => true, worked: () => {}, fail: () => {} },
  limitBytes: 1 << 30,
  maxAgeMillis: 3_600_000,
  identity: currentProcess(Date.now()),
});

for (let number = 1; ; number++) {
  const body = Buffer.alloc(Number(sizeText), number % 251);
  body.writeUInt32LE(number);
  writeSync(1, `start ${number}\n`);
  spool.put(body);
  writeSync(1, `done ${number}\n`);
}
