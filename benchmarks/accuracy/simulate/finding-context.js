/** Pure. Owns the names that the simulated service has in findings: its builds, and its files as people see them. */
"use strict";

function contextOf(buildId) {
  return {
    service: {
      name: "simulated",
      version: null,
      buildId,
      firstBuildId: null,
      instanceId: "0",
      processId: 1,
      nodeVersion: process.versions.node,
      v8Version: process.versions.v8,
    },
    agent: { version: "0", engine: "native", attribution: "exact" },
    describe,
  };
}

function describe({ file }) {
  const isApplication = !file.includes("node_modules");
  return {
    file: file.replace("/srv/app/", ""),
    package: isApplication ? "app" : "router@1.0.0",
    original: null,
    isApplication,
  };
}

module.exports = { contextOf, describe };
