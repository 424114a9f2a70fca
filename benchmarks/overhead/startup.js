/**
 * Design 3: what `-r leak-agent` adds to the start of a program that does nothing. Owns the pairs and their clocks: CPU
 * time of the child from the shell's own `time`, which is the kernel's; wall time is shown beside it.
 */
"use strict";

const { spawnSync } = require("node:child_process");
const { pairedDifference } = require("../statistics");
const { judge } = require("../verdicts");
const { PRELOAD, cleanEnvironment } = require("./service-process");

const STARTUP_MILLIS = 60;
const OFF_MILLIS = 5;

const WAYS = {
  plain: { agent: false },
  plainAgain: { agent: false },
  agent: { agent: true },
  off: { agent: true, env: { LEAK_AGENT_ENABLED: "0" } },
};

function startOnce({ agent, env = {} }) {
  const words = ["$0", ...(agent ? ["-r", "$1"] : []), "-e", "0"].map((word) => `"${word}"`);
  const script = `TIMEFORMAT="%U %S"; time ${words.join(" ")}`;
  const start = process.hrtime.bigint();
  const { status, stderr } = spawnSync("bash", ["-c", script, process.execPath, PRELOAD], {
    env: cleanEnvironment(env),
    encoding: "utf8",
  });
  const wallMillis = Number(process.hrtime.bigint() - start) / 1e6;
  const [user, system] = stderr.trim().split(" ").map(Number);
  if (status !== 0 || !Number.isFinite(user + system)) throw new Error(`a start failed: ${stderr}`);
  return { cpuMillis: (user + system) * 1e3, wallMillis };
}

/** @returns name -> one { cpuMillis, wallMillis } per round; each round goes there and back (ABBA). */
function measureStartup(rounds, progress) {
  const rows = Object.fromEntries(Object.keys(WAYS).map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    if (round % 10 === 0) progress(`start-up: round ${round + 1} of ${rounds}`);
    const there = Object.keys(WAYS);
    const sums = Object.fromEntries(there.map((name) => [name, { cpuMillis: 0, wallMillis: 0 }]));
    for (const name of [...there, ...there.toReversed()]) {
      const { cpuMillis, wallMillis } = startOnce(WAYS[name]);
      sums[name].cpuMillis += cpuMillis / 2;
      sums[name].wallMillis += wallMillis / 2;
    }
    if (round >= 0) for (const name of there) rows[name].push(sums[name]);
  }
  return rows;
}

function startupBudgets(rows) {
  const series = (name, clock) => rows[name].map((row) => row[clock]);
  const added = (name, clock) => pairedDifference(series(name, clock), series("plain", clock));
  const row = (id, what, name, clock, limit) =>
    judge({
      id,
      what,
      estimate: added(name, clock),
      resolution: added("plainAgain", clock),
      limit,
      unit: "ms",
      design: 3,
      isWallClock: clock === "wallMillis",
    });
  return [
    row("startup-cpu", "CPU time added to `node -r leak-agent -e 0`", "agent", "cpuMillis", STARTUP_MILLIS),
    row("startup-wall", "wall time added to `node -r leak-agent -e 0`", "agent", "wallMillis", STARTUP_MILLIS),
    row("startup-off", "CPU time added with LEAK_AGENT_ENABLED=0", "off", "cpuMillis", OFF_MILLIS),
  ];
}

module.exports = { measureStartup, startupBudgets };
