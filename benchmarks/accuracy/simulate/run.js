/** Owns one run: a family, a seed and a number of weeks through the product; what was said, when, and how right it was. */
"use strict";
const { HEALTHY } = require("./families-healthy.js");
const { LEAKING } = require("./families-leaking.js");
const { ProductLife } = require("./product.js");
const { Random } = require("./random.js");
const { ordinaryService, randomStart } = require("./scene.js");
const { SimulatedLife } = require("./service.js");
const { HOUR, WEEK } = require("./traffic.js");

const ALL = new Map([...HEALTHY, ...LEAKING].map((family) => [family.name, family]));

const isAlarm = (verdict) => verdict === "leak" || verdict === "urgent";

/** @param job {family, seed, weeks, options} @returns plain numbers, so that it can cross threads. */
function run({ family: familyName, seed, weeks, options = {} }) {
  const family = ALL.get(familyName);
  const random = new Random(seed * 7_919 + hashOf(familyName));
  const startMillis = randomStart(random);
  const endMillis = startMillis + weeks * WEEK;
  const result = emptyResult(familyName, seed, weeks);
  const started = process.hrtime.bigint();
  const scene = ordinaryService({ random, startMillis, endMillis, ...options });
  const truth = family.add(scene) ?? null;
  const book = new Book(truth, startMillis, result);
  const product = new ProductLife(scene.horizonMillis);
  const life = new SimulatedLife(scene, random.fork("life"));
  for (const { report, capture } of life.captures()) {
    result.captures++;
    for (const transition of product.take(report, capture)) book.note(transition);
  }
  book.close(endMillis);
  result.detectorMillis = Number(product.detectorNanos) / 1e6;
  result.totalMillis = Number(process.hrtime.bigint() - started) / 1e6;
  return result;
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
    standing: 0,
    detectorMillis: 0,
    totalMillis: 0,
  };
}

/** What the detector said, against the truth. */
class Book {
  constructor(truth, startMillis, result) {
    this.truth = truth;
    this.startMillis = startMillis;
    this.result = result;
    this.open = new Map();
  }

  note(transition) {
    const hours = (transition.timeMillis - this.startMillis) / HOUR;
    const isRight = this.truth !== null && this.isRight(transition);
    if (isRight && transition.verdict === "watch") this.result.watchHours ??= hours;
    if (isAlarm(transition.verdict)) this.alarm(transition, hours, isRight);
    else this.withdraw(transition.key, hours);
  }

  alarm(transition, hours, isRight) {
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
    const { bytesPerRequest, bytesPerRequestLow: low, bytesPerRequestHigh: high } = transition.growth;
    const expected = this.truth.bytesPerRequest ?? null;
    if (expected === null || bytesPerRequest === null) return;
    this.result.interval = { covers: low <= expected && expected <= high, ratio: bytesPerRequest / expected };
  }

  withdraw(key, hours) {
    const alarm = this.open.get(key);
    if (alarm === undefined) return;
    alarm.retractedAfterHours = hours - alarm.hours;
    this.open.delete(key);
  }

  close() {
    this.result.standing = this.open.size;
  }

  isRight({ route, routeKind, site }) {
    const { truth } = this;
    const owner = route?.name ?? routeKind;
    return [truth.route].flat().includes(owner) && truth.functions.includes(site.function);
  }
}

function hashOf(text) {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) >>> 0;
  return hash;
}

module.exports = { ALL, isAlarm, run };
