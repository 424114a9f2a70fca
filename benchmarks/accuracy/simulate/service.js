/**
 * Owns one life of a simulated service: from a scene (routes, populations of objects, containers, mark-compacts) it makes
 * what a probe would report at each capture. Event-driven: only sampled objects exist. Judges nothing.
 * Must not know the detector's rules: maturity, cohorts and verdicts are the product's own.
 */
"use strict";
const { Random } = require("./random.js");
const { Exposure, MINUTE, SECOND, WEEK } = require("./traffic.js");

const OWNER_BACKGROUND = 0;
const FOREVER = Number.POSITIVE_INFINITY;
/** Exposure is tabled this far beyond the end, for objects that die after it. */
const EXPOSURE_MARGIN = WEEK;
/** Post-GC levels of real services differ by about this much from one mark-compact to the next. */
const LEVEL_NOISE = 0.01;

/** What malloc keeps or gives back from one moment to the next. */
const NATIVE_NOISE_BYTES = 2e6;

/** V8 samples an object of z bytes with p = 1 - exp(-z/R). */
function inclusion(sizeBytes, intervalBytes) {
  return -Math.expm1(-sizeBytes / intervalBytes);
}

class SimulatedLife {
  /** @param scene see scene.js. @param random what is drawn here shifts nothing elsewhere. */
  constructor(scene, random) {
    this.scene = scene;
    this.random = random;
    const end = scene.endMillis + EXPOSURE_MARGIN;
    this.exposures = scene.routes.map((route) => new Exposure(scene.startMillis, end, route.rate));
    this.hours = new Exposure(scene.startMillis, end, () => 1 / 3_600);
    this.peakRate = peakOf(scene);
    this.tree = treeOf([...scene.populations, ...scene.containers]);
    this.populations = scene.populations.map((population, index) => this.prepare(population, index));
    this.containers = scene.containers.map((container, index) => ({
      ...container,
      elements: 0,
      capacity: container.firstCapacity ?? 16,
      sample: null,
      random: new Random(random.state ^ (0x51ed2701 + index)),
    }));
    this.live = { ordinals: [], sizes: [], nodes: [], deaths: [], weights: [] };
    this.ordinal = 0;
    this.recordId = 0;
    this.gcCount = 0;
    this.gcPhase = random.uniform();
    this.lastGcMillis = 0;
    this.postGcBytes = 0;
    /** Gcs since the last capture: [time, count after it]. */
    this.gcTimes = [];
  }

  /** @yields {{report: object, capture: object}} one per capture, as the worker of the agent would see them. */
  *captures() {
    const { scene } = this;
    let births = [];
    let requests = [];
    let isFirst = true;
    for (let minute = scene.startMillis; minute < scene.endMillis; minute += MINUTE) {
      const counts = this.requestsIn(minute, requests);
      this.collect(minute);
      this.bear(minute, counts, births);
      this.grow(minute, counts, births);
      if ((minute + MINUTE - scene.startMillis) % scene.captureMillis !== 0) continue;
      yield this.captureAt(minute + MINUTE, births, requests, isFirst);
      births = [];
      requests = [];
      isFirst = false;
    }
  }

  prepare(population, index) {
    const { intervalBytes } = this.scene;
    const weights = population.sizes.map((size) => inclusion(size, intervalBytes));
    const meanSize = population.sizes.reduce((sum, size) => sum + size, 0) / population.sizes.length;
    const sampledShare = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
    return {
      ...population,
      node: this.tree.nodeOf(population.path),
      weights,
      samplesPerUnit: (population.bytesPerUnit / meanSize) * sampledShare,
      random: new Random(this.random.state ^ (0x2545f491 + 7919 * index)),
      exposure: population.route === null ? this.hours : this.exposures[population.route],
    };
  }

  requestsIn(minute, rows) {
    return this.scene.routes.map((_, index) => {
      const exposure = this.exposures[index];
      const count = this.random.poisson(exposure.at(minute + MINUTE) - exposure.at(minute));
      if (count > 0) rows.push(minute + MINUTE, index + 1, count);
      return count;
    });
  }

  /** Mark-compacts come with allocation: `gcMillis` apart at the peak, hours apart at night. */
  collect(minute) {
    let rate = 0;
    for (const exposure of this.exposures) rate += exposure.at(minute + MINUTE) - exposure.at(minute);
    const step = ((rate / 60 / this.peakRate) * MINUTE) / this.scene.gcMillis;
    const before = this.gcPhase;
    this.gcPhase += step;
    for (let next = Math.floor(before) + 1; next <= this.gcPhase; next++) {
      this.gcCount++;
      this.lastGcMillis = minute + ((next - before) / step) * MINUTE;
      this.gcTimes.push([this.lastGcMillis, this.gcCount]);
    }
  }

  bear(minute, counts, births) {
    const { scene } = this;
    for (const population of this.populations) {
      const units = population.route === null ? 1 / 60 : counts[population.route];
      if (units === 0) continue;
      const { random, exposure } = population;
      const keep = population.keep === undefined ? 1 : population.keep(minute, exposure, scene);
      const mean = units * population.samplesPerUnit * keep;
      if (mean === 0) continue;
      const batch = population.batch ?? 1;
      const events = random.poisson(mean / batch);
      for (let event = 0; event < events; event++) {
        const bornMillis = minute + random.uniform() * MINUTE;
        const inBatch = batch === 1 ? 1 : random.poisson(batch);
        for (let i = 0; i < inBatch; i++) {
          const sizeBytes = weightedPick(population.sizes, population.weights, random);
          const birth = { bornMillis, random, exposure, startMillis: scene.startMillis };
          births.push({
            bornMillis,
            sizeBytes,
            diesMillis: population.life(birth),
            node: population.node,
            route: population.route,
            isAfterResponse: population.isAfterResponse === true,
          });
        }
      }
    }
  }

  /** A container moves into a larger backing store: the new one is an allocation, the old one garbage. */
  grow(minute, counts, births) {
    const { intervalBytes } = this.scene;
    for (const container of this.containers) {
      const units = container.route === null ? 1 / 60 : counts[container.route];
      container.elements += container.random.poisson(units * container.elementsPerUnit);
      if (container.most !== undefined) container.elements = Math.min(container.most, container.elements);
      while (container.elements > container.capacity) {
        container.capacity = Math.floor(container.capacity * container.growthFactor) + container.growthExtra;
        const sizeBytes = container.capacity * container.elementBytes;
        const bornMillis = minute + container.random.uniform() * MINUTE;
        if (container.sample !== null) container.sample.diesMillis = Math.min(container.sample.diesMillis, bornMillis);
        container.sample = null;
        container.bytes = sizeBytes;
        if (container.random.uniform() >= inclusion(sizeBytes, intervalBytes)) continue;
        container.sample = {
          bornMillis,
          sizeBytes,
          diesMillis: FOREVER,
          node: this.tree.nodeOf(container.path),
          route: container.route,
          isAfterResponse: false,
        };
        births.push(container.sample);
      }
    }
  }

  captureAt(now, births, requests, isFirst) {
    const rows = this.admit(births);
    this.removeDead();
    const { live, scene } = this;
    const capture = {
      flags: 0,
      treeNodeCount: this.tree.nodes.length,
      newNodes: isFirst ? this.tree.nodes : [],
      sampleCount: live.ordinals.length,
      ordinals: Float64Array.from(live.ordinals),
      sizesBytes: Uint32Array.from(live.sizes),
      nodeIds: Uint32Array.from(live.nodes),
    };
    if (this.gcTimes.length > 0) this.postGcBytes = this.level();
    this.gcTimes = [];
    const report = {
      type: "report",
      thread: 0,
      epoch: 1,
      intervalBytes: scene.intervalBytes,
      timeMillis: now,
      capture: null,
      pauseMillis: 1,
      lastOrdinal: this.ordinal,
      labelsFromOrdinal: 0,
      ledger: Float64Array.from(rows.ledger),
      records: Float64Array.from(rows.records),
      windows: Float64Array.from(rows.windows),
      requests: Float64Array.from(requests),
      firstRouteIndex: 1,
      newRoutes: isFirst ? scene.routes.map(({ name }) => routeOf(name)) : [],
      routeAliases: [],
      gc: {
        majorCount: this.gcCount,
        minorCount: 0,
        majorPauseNanos: 0,
        minorPauseNanos: 0,
        postMajorHeapBytes: this.postGcBytes,
        requestedMajorCount: 0,
      },
      memory: {
        heapUsedBytes: this.postGcBytes,
        heapLimitBytes: scene.heapLimitBytes(now),
        externalBytes: 4e6,
        arrayBuffersBytes: 1e6,
        heapTotalBytes: Math.round(1.25 * this.postGcBytes) + 16e6,
        moduleCount: 300,
      },
      process: {
        nativeBytes: Math.round(50e6 + NATIVE_NOISE_BYTES * this.random.normal()),
        openFileCount: 20 + this.random.poisson(60 * scene.traffic(now)),
      },
      counts: NO_COUNTS,
    };
    return { report, capture };
  }

  /** Gives ordinals in order of allocation, with gaps for all that died young. A record per birth: one request each. */
  admit(births) {
    const rows = { ledger: [], records: [], windows: [] };
    births.sort((a, b) => a.bornMillis - b.bornMillis);
    let gc = 0;
    let window = 0;
    for (const birth of births) {
      const endMillis = Math.ceil((birth.bornMillis + 1) / SECOND) * SECOND;
      if (endMillis !== window && window !== 0) rows.windows.push(window, this.ordinal, this.gcsAt(window));
      window = endMillis;
      this.ordinal += 2;
      while (gc < this.gcTimes.length && this.gcTimes[gc][0] < birth.bornMillis) gc++;
      const isRequest = birth.route !== null;
      if (isRequest) this.recordId++;
      rows.ledger.push(this.ordinal, this.ordinal, isRequest ? this.recordId : OWNER_BACKGROUND);
      // A request that ended at an earlier ordinal allocated this in the background.
      if (isRequest)
        rows.records.push(this.recordId, birth.route + 1, birth.isAfterResponse ? this.ordinal - 1 : this.ordinal);
      birth.ordinal = this.ordinal;
      this.live.ordinals.push(this.ordinal);
      this.live.sizes.push(birth.sizeBytes);
      this.live.nodes.push(birth.node);
      this.live.deaths.push(birth);
      this.live.weights.push(birth.sizeBytes / inclusion(birth.sizeBytes, this.scene.intervalBytes));
    }
    if (window !== 0) rows.windows.push(window, this.ordinal, this.gcsAt(window));
    return rows;
  }

  gcsAt(millis) {
    let count = this.gcTimes.length > 0 ? this.gcTimes[0][1] - 1 : this.gcCount;
    for (const [time, after] of this.gcTimes) if (time <= millis) count = after;
    return count;
  }

  /** What is unreachable goes at the next mark-compact, not before. */
  removeDead() {
    const { ordinals, sizes, nodes, deaths, weights } = this.live;
    let kept = 0;
    for (let i = 0; i < ordinals.length; i++) {
      if (deaths[i].diesMillis <= this.lastGcMillis) continue;
      ordinals[kept] = ordinals[i];
      sizes[kept] = sizes[i];
      nodes[kept] = nodes[i];
      deaths[kept] = deaths[i];
      weights[kept] = weights[i];
      kept++;
    }
    for (const column of [ordinals, sizes, nodes, deaths, weights]) column.length = kept;
  }

  level() {
    const { scene, live } = this;
    let bytes = scene.baseHeapBytes * (1 + LEVEL_NOISE * this.random.normal());
    for (const weight of live.weights) bytes += weight;
    for (const { sample, bytes: own } of this.containers) if (sample === null) bytes += own ?? 0;
    return Math.round(bytes + (scene.otherGrowthBytes?.(this.lastGcMillis) ?? 0));
  }
}

const NO_COUNTS = {
  samples: 0,
  captures: 0,
  capturesSkipped: 0,
  droppedLedgerRanges: 0,
  droppedRecords: 0,
  ringOverflows: 0,
  hookErrors: 0,
};

function peakOf(scene) {
  let peak = 1e-9;
  for (let minute = 0; minute < 7 * 24 * 60; minute += 15) {
    let rate = 0;
    for (const route of scene.routes) rate += route.rate(scene.startMillis + minute * MINUTE);
    peak = Math.max(peak, rate);
  }
  return peak;
}

function routeOf(name) {
  const [method, template] = name.split(" ");
  return { name, method, template };
}

function weightedPick(values, weights, random) {
  if (values.length === 1) return values[0];
  let left = random.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
  for (let i = 0; i < values.length; i++) {
    left -= weights[i];
    if (left < 0) return values[i];
  }
  return values[values.length - 1];
}

/** V8's allocation tree over all call paths: node 1 is the root. A frame is "function file". */
function treeOf(owners) {
  const nodes = [{ id: 1, parentId: 0, functionName: "(root)", scriptName: "", scriptId: 0, line: 0, column: 0 }];
  const idByPath = new Map();
  const add = (path) => {
    let parentId = 1;
    let key = "";
    for (const frame of path) {
      key += `\n${frame}`;
      let id = idByPath.get(key);
      if (id === undefined) {
        const [functionName, scriptName] = frame.split(" ");
        id = nodes.length + 1;
        nodes.push({ id, parentId, functionName, scriptName, scriptId: 1, line: 1, column: 1 });
        idByPath.set(key, id);
      }
      parentId = id;
    }
  };
  for (const { path } of owners) add(path);
  return { nodes, nodeOf: (path) => idByPath.get(`\n${path.join("\n")}`) };
}

module.exports = { SimulatedLife, inclusion };
