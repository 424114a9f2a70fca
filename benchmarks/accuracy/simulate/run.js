/** Owns one run: a family, a seed and a number of weeks through the product; what was said, when, and how right it was. */
"use strict";
const { toFinding } = require("../../../dist/detector/finding-record.js");
const { contextOf } = require("./finding-context.js");
const { HEALTHY } = require("./families-healthy.js");
const { LEAKING } = require("./families-leaking.js");
const { Lives } = require("./lives.js");
const { ProductLife } = require("./product.js");
const { Random } = require("./random.js");
const { ordinaryService, randomStart } = require("./scene.js");
const { SimulatedLife } = require("./service.js");
const { STORY } = require("./story.js");
const { DAY, HOUR, WEEK } = require("./traffic.js");

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
  const spans = livesOf(family, startMillis, endMillis);
  const lives = spans.length === 1 ? null : new Lives(DAY);
  for (const [index, { buildId, isFixed, ...span }] of spans.entries()) {
    // The same service in each life: only what happens in it differs.
    const scene = ordinaryService({ random: new Random(serviceSeed + 1), ...span, ...family.options, ...options });
    const truth = family.add(scene, { isFixed }) ?? null;
    result.gcMillis = scene.gcMillis;
    lives?.begin(span.startMillis, buildId);
    if (isFixed) result.fixedHours ??= (span.startMillis - startMillis) / HOUR;
    const life = new SimulatedLife(scene, random.fork(`life ${index}`));
    const product = new ProductLife(scene.horizonMillis, lives);
    for (const { report, capture } of life.captures()) {
      result.captures++;
      for (const said of product.take(report, capture)) book.note(lives === null ? said : saidOf(said), truth);
    }
    lives?.end();
    result.detectorMillis += Number(product.detectorNanos) / 1e6;
  }
  result.standing = book.open.size;
  result.totalMillis = Number(process.hrtime.bigint() - started) / 1e6;
  return result;
}

/** @returns one span a process life, with its build; `isFixed`: a build without the leak. */
function livesOf({ lifeHours, deploys, fixedAfterHours }, startMillis, endMillis) {
  const lives = [];
  const fixedMillis = startMillis + (fixedAfterHours ?? Number.POSITIVE_INFINITY) * HOUR;
  const lengthMillis = (lifeHours ?? Number.POSITIVE_INFINITY) * HOUR;
  for (let start = startMillis; start + HOUR < endMillis; ) {
    const isFixed = start >= fixedMillis;
    const end = Math.min(endMillis, start + lengthMillis, isFixed ? endMillis : fixedMillis);
    const build = deploys === true ? lives.length : Number(isFixed);
    lives.push({ startMillis: start, endMillis: end, buildId: `build ${build + 1}`, isFixed });
    start = end;
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
    /** What the product said of the build that has no leak any more; null: nothing, or there is no such build. */
    fix: null,
    fixedHours: null,
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
    const isChecked = this.result.fixedHours !== null && (transition.fix ?? null) !== null;
    if (isChecked) this.result.fix ??= { verdict: transition.fix.verdict, hours: hours - this.result.fixedHours };
    const isRight = truth !== null && isAt(truth, transition);
    if (isRight && transition.verdict === "watch") this.result.watchHours ??= hours;
    if (isAlarm(transition.verdict)) this.alarm(transition, hours, isRight, truth);
    else if (isChecked) this.open.delete(transition.key);
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
}

/** A finding in the words of a transition. An alarm stands through the lives to come, until something ends it. */
function saidOf(finding) {
  const { kind, name } = finding.route;
  const route = kind === "request" || kind === "background-of" ? { name } : null;
  return {
    ...finding,
    key: finding.id,
    timeMillis: Date.parse(finding.time),
    route,
    routeKind: kind,
    samplingIntervalBytes: finding.agent.samplingIntervalBytes,
  };
}

/** What people would read of the first right alarm. */
function firstOf(transition) {
  const { explained, evidence, impact, samplingIntervalBytes } = transition;
  const { text } = transition.schema === undefined ? toFinding(transition, contextOf(null)) : transition;
  return { explained, hypotheses: evidence.hypotheses, impact, samplingIntervalBytes, text };
}

function isAt(truth, { route, routeKind, site }) {
  return [truth.route].flat().includes(route?.name ?? routeKind) && truth.functions.includes(site.function);
}

function hashOf(text) {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) >>> 0;
  return hash;
}

module.exports = { ALL, isAlarm, run };
