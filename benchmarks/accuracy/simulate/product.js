/**
 * Owns one life of the agent's worker as seen by the simulator: the product's own live samples, dictionary and detector
 * from dist/, in the order in which src/worker/pipeline.ts calls them. Every observation goes through JSON and back, as it
 * does on its way through the history file.
 */
"use strict";
const { Detector } = require("../../../dist/detector/detector.js");
const { Dictionary } = require("../../../dist/worker/dictionary.js");
const { ServiceThread } = require("../../../dist/worker/service-thread.js");

/** As src/worker/pipeline.ts: a minute in production, finer in a load test. */
function windowMillisOf(horizonMillis) {
  return Math.min(60_000, Math.max(1_000, horizonMillis / 30));
}

class ProductLife {
  /** @param lives what outlives the process (lives.js); null: this life is judged alone. */
  constructor(horizonMillis, lives = null) {
    this.windowMillis = windowMillisOf(horizonMillis);
    this.dictionary = new Dictionary();
    this.thread = new ServiceThread(0, this.dictionary, undefined);
    this.thread.hello = HELLO;
    this.detector = new Detector({
      horizonMillis,
      windowMillis: this.windowMillis,
      applicationRoot: "/srv/app",
      knownSiteFunctions: (site, route) => this.life?.functionsOf(site, route) ?? null,
    });
    this.life = lives?.watch(this.detector) ?? null;
    this.detectorNanos = 0n;
  }

  /** @returns the detector's transitions; with lives, the findings that people are told. */
  take(report, capture) {
    return this.observe(JSON.parse(JSON.stringify(this.observationOf(report, capture))));
  }

  observe(observation) {
    const started = process.hrtime.bigint();
    const transitions = this.detector.observe(observation);
    const said = this.life === null ? transitions : this.life.look(transitions, observation.timeMillis);
    this.detectorNanos += process.hrtime.bigint() - started;
    return said;
  }

  observationOf(report, capture) {
    const { live, restarted } = this.thread.lifeOf(report);
    this.thread.absorbRoutes(report);
    const outcome = live.absorb(report, capture, true);
    if (outcome.labelProblem !== null) throw new Error(`the simulated capture is impossible: ${outcome.labelProblem}`);
    if (outcome.needsNames) throw new Error("the simulated capture lacks names");
    return {
      timeMillis: report.timeMillis,
      thread: report.thread,
      epoch: report.epoch,
      intervalBytes: report.intervalBytes,
      majorGcCount: report.gc.majorCount,
      requestedGcCount: 0,
      level: levelOf(report),
      ...(restarted ? { restarted: true } : {}),
      ...this.dictionary.takeNews(),
      requests: this.thread.requestRows(report, this.windowMillis),
      matured: outcome.matured,
      freed: outcome.freed,
      liveSampleCount: outcome.liveSampleCount,
      liveBytes: outcome.liveBytes,
      labelledRatio: outcome.labelledRatio,
    };
  }
}

/** As src/worker/level.ts, of a process with one thread and no container limit. */
function levelOf({ gc, memory, process: own }) {
  const postGcHeapBytes = gc.postMajorHeapBytes === 0 ? null : gc.postMajorHeapBytes;
  const { heapLimitBytes, externalBytes, arrayBuffersBytes, heapTotalBytes, moduleCount } = memory;
  return {
    postGcHeapBytes,
    heapLimitBytes,
    externalBytes,
    rssBytes: heapTotalBytes + externalBytes + own.nativeBytes,
    cgroupBytes: null,
    cgroupLimitBytes: null,
    fullestHeapBytes: postGcHeapBytes,
    fullestHeapLimitBytes: heapLimitBytes,
    arrayBuffersBytes,
    heapTotalBytes,
    moduleCount,
    openFileCount: own.openFileCount,
  };
}

const HELLO = { type: "hello", thread: 0, engine: "native", labels: "interpose", labelsReason: "", startTimeMillis: 0 };

module.exports = { ProductLife };
