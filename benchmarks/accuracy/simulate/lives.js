/**
 * Owns what outlives a process of a simulated service, as the agent's folder does, and one life's use of it: the product's
 * own rule across lives, fix check and carried findings from dist/, in the order in which src/worker/pipeline.ts calls them.
 * Kept in memory, through JSON and back as through the life file.
 */
"use strict";
const { seriesKey } = require("../../../dist/model/life.js");
const { Findings } = require("../../../dist/worker/findings.js");
const { LifeWatch } = require("../../../dist/worker/life-watch.js");
const { contextOf, describe } = require("./finding-context.js");

/** As src/export/life-file.ts. */
const MAX_LIVES = 64;

class Lives {
  constructor(horizonMillis) {
    this.horizonMillis = horizonMillis;
    this.past = [];
  }

  /** Begins a life of a build. */
  begin(startTimeMillis, buildId) {
    const service = contextOf(buildId).service.name;
    const opening = {
      type: "open",
      startTimeMillis,
      processId: 1,
      service,
      buildId,
      horizonMillis: this.horizonMillis,
    };
    this.current = { opening, series: new Map(), findings: new Map() };
  }

  /** The process ends: what it wrote down is all that the next one has. */
  end() {
    const { opening, series, findings } = this.current;
    this.past.push(
      JSON.parse(JSON.stringify({ opening, series: [...series.values()], findings: [...findings.values()] })),
    );
    this.past = this.past.slice(-MAX_LIVES);
  }

  /** The current life's watch over a detector. */
  watch(detector) {
    return new WatchedLife(detector, this.past, this.current);
  }
}

class WatchedLife {
  constructor(detector, past, current) {
    this.current = current;
    const context = () => contextOf(current.opening.buildId);
    this.findings = new Findings(null, SILENT, context);
    const journal = {
      past,
      opening: current.opening,
      findings: [],
      noteSeries: (series) => {
        for (const one of series) current.series.set(seriesKey(one), one);
      },
    };
    this.lives = new LifeWatch({ journal, detector, describe, context });
    for (const finding of this.lives.standing) this.findings.carry(finding);
  }

  functionsOf(site, route) {
    return this.lives.functionsOf(site, route);
  }

  /** @returns the findings that people are told. */
  look(transitions, nowMillis) {
    const decided = this.lives.look(nowMillis) ?? [];
    const told = [...this.findings.record(transitions), ...decided.flatMap((finding) => this.findings.change(finding))];
    for (const finding of told) this.current.findings.set(finding.id, finding);
    return told;
  }
}

const SILENT = { info: () => {}, warn: () => {} };

module.exports = { Lives };
