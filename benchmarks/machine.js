/** Owns what is said about the machine of a measurement: a number without it means nothing. */
"use strict";

const { cpus, loadavg, release, totalmem } = require("node:os");

/** Facts that stay the same during a run. */
function machineFacts() {
  const all = cpus();
  return {
    cpuModel: all[0]?.model.trim() || "unknown",
    cores: all.length,
    memoryBytes: totalmem(),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    v8: process.versions.v8,
  };
}

/** One-minute load average: more than what the run itself makes means that somebody else measured too. */
function loadAverage() {
  return Number(loadavg()[0].toFixed(2));
}

function cpuTimes() {
  let idle = 0;
  let total = 0;
  for (const { times } of cpus()) {
    idle += times.idle;
    total += times.user + times.nice + times.sys + times.irq + times.idle;
  }
  return { idle, total };
}

/** Part of all CPUs, 0..1, that others use while this program waits: now, where a load average looks back a minute. */
async function busyRatio(millis = 3_000) {
  const before = cpuTimes();
  await new Promise((resolve) => setTimeout(resolve, millis));
  const after = cpuTimes();
  return 1 - (after.idle - before.idle) / Math.max(1, after.total - before.total);
}

module.exports = { busyRatio, loadAverage, machineFacts };
