/** Owns one run: a family, a seed and a number of weeks through the product; what was said, when, and how right it was. */
"use strict";
const { toFinding } = require("../../../dist/detector/finding-record.js");
const { HEALTHY } = require("./families-healthy.js");
const { LEAKING } = require("./families-leaking.js");
const { ProductLife } = require("./product.js");
const { Random } = require("./random.js");
const { ordinaryService, randomStart } = require("./scene.js");
const { SimulatedLife } = require("./service.js");
const { STORY } = require("./story.js");
const { HOUR, WEEK } = require("./traffic.js");

const ALL = new Map([...HEALTHY, ...LEAKING, STORY].map((family) => [family.name, family]));

const isAlarm = (verdict) => verdict === "leak" || verdict === "urgent";

/** @param job {family, seed, weeks, options} @returns plain numbers, so that it can cross threads. */
function run({ family: familyName, seed, weeks, options = {} }) {
  const family = ALL.get(familyName);
  const serviceSeed = seed * 7_919 + hashOf(familyName);
  const random = new Random(serviceSeed);
  const startMillis = randomStart(random);
  const endMillis = startMillis + weeks * WEEK;
  const result = emptyResult(familyName, seed, weeks);
  const book = new Book(startMillis, result);
  const started = process.hrtime.bigint();
  for (const [index, span] of livesOf(family, startMillis, endMillis).entries()) {
    // The same service in each life: only what happens in it differs.
    const scene = ordinaryService({ random: new Random(serviceSeed + 1), ...span, ...family.options, ...options });
    const truth = family.add(scene) ?? null;
    result.gcMillis = scene.gcMillis;
    const life = new SimulatedLife(scene, random.fork(`life ${index}`));
    const product = new ProductLife(scene.horizonMillis);
    for (const { report, capture } of life.captures()) {
      result.captures++;
      for (const transition of product.take(report, capture)) book.note(transition, truth);
    }
    book.endLife();
    result.detectorMillis += Number(product.detectorNanos) / 1e6;
  }
  result.totalMillis = Number(process.hrtime.bigint() - started) / 1e6;
  return result;
}

function livesOf({ lifeHours }, startMillis, endMillis) {
  if (lifeHours === null) return [{ startMillis, endMillis }];
  const lives = [];
  for (let start = startMillis; start + HOUR < endMillis; start += lifeHours * HOUR) {
    lives.push({ startMillis: start, endMillis: Math.min(endMillis, start + lifeHours * HOUR) });
  }
  return lives;
}

function emptyResult(family, seed, weeks) {
  return {
    family,
    seed,
    weeks,
    captures: 0,
    watchHours: null,
    leakHours: null,
    alarms: [],
    wrong: [],
    interval: null,
    first: null,
    standing: 0,
    detectorMillis: 0,
    totalMillis: 0,
  };
}

/** What the detector said, against the truth. */
class Book {
  constructor(startMillis, result) {
    this.startMillis = startMillis;
    this.result = result;
    this.open = new Map();
  }

  note(transition, truth) {
    const hours = (transition.timeMillis - this.startMillis) / HOUR;
    // Something grows, and it is said that no site shows it: true of a leak, false of a healthy service.
    const isLevel = transition.evidence.method === "level";
    if (isLevel && truth !== null) return;
    const isRight = truth !== null && isAt(truth, transition);
    if (isRight && transition.verdict === "watch") this.result.watchHours ??= hours;
    if (isAlarm(transition.verdict)) this.alarm(transition, hours, isRight, truth);
    else this.withdraw(transition.key, hours);
  }

  alarm(transition, hours, isRight, truth) {
    if (this.open.has(transition.key)) return;
    const alarm = {
      hours,
      impact: transition.impact,
      isRight,
      route: transition.route?.name ?? transition.routeKind,
      function: transition.site.function,
      retractedAfterHours: null,
    };
    this.open.set(transition.key, alarm);
    (isRight ? this.result.alarms : this.result.wrong).push(alarm);
    if (!isRight) return;
    this.result.watchHours ??= hours;
    if (this.result.leakHours !== null) return;
    this.result.leakHours = hours;
    this.result.first = firstOf(transition);
    const { bytesPerRequest, bytesPerRequestLow: low, bytesPerRequestHigh: high } = transition.growth;
    const expected = truth.bytesPerRequest ?? null;
    if (expected === null || bytesPerRequest === null) return;
    this.result.interval = { covers: low <= expected && expected <= high, ratio: bytesPerRequest / expected };
  }

  withdraw(key, hours) {
    const alarm = this.open.get(key);
    if (alarm === undefined) return;
    alarm.retractedAfterHours = hours - alarm.hours;
    this.open.delete(key);
  }

  /** A new process forgets what stood: only alarms of the last life can still be withdrawn. */
  endLife() {
    this.result.standing = this.open.size;
    this.open.clear();
  }
}

/** What people would read of the first right alarm. */
function firstOf(transition) {
  const { explained, evidence, impact, samplingIntervalBytes } = transition;
  const { text } = toFinding(transition, CONTEXT);
  return { explained, hypotheses: evidence.hypotheses, impact, samplingIntervalBytes, text };
}

const CONTEXT = {
  service: {
    name: "simulated",
    version: null,
    buildId: null,
    firstBuildId: null,
    instanceId: "0",
    processId: 1,
    nodeVersion: process.versions.node,
    v8Version: process.versions.v8,
  },
  agent: { version: "0", engine: "native", attribution: "exact" },
  describe: ({ file }) => ({
    file: file.replace("/srv/app/", ""),
    package: file.includes("node_modules") ? "router@1.0.0" : "app",
    original: null,
    isApplication: !file.includes("node_modules"),
  }),
};

function isAt(truth, { route, routeKind, site }) {
  return [truth.route].flat().includes(route?.name ?? routeKind) && truth.functions.includes(site.function);
}

function hashOf(text) {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) >>> 0;
  return hash;
}

module.exports = { ALL, isAlarm, run };
