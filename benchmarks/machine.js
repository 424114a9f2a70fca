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

module.exports = { loadAverage, machineFacts };
