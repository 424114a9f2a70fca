/** What npm, tsc and other tools are to the agent: no server, soon over. Prints how many threads its process has. */
"use strict";
const { readdirSync } = require("node:fs");
const { Worker } = require("node:worker_threads");

const [what = "plain"] = process.argv.slice(2);
const threads = readdirSync("/proc/self/task").length;
if (what === "throw") throw new Error("own error");
function count() {
  setTimeout(() => {
    console.log(`more threads: ${readdirSync("/proc/self/task").length - threads}`);
    process.exitCode = 5;
  }, 200);
}
if (what === "worker") {
  new Worker("process.exit(3)", { eval: true }).once("exit", (code) => {
    console.log(`own worker ${code}`);
    count();
  });
} else {
  count();
}
