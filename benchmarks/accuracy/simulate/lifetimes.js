/**
 * Pure. Owns how long objects live in the structures that services have. Each is a function of
 * ({ bornMillis, random, exposure, startMillis }) that gives the moment from which nothing refers to the object any more.
 */
"use strict";

const FOREVER = Number.POSITIVE_INFINITY;

const forever = () => FOREVER;

/** A fixed time to live, swept every `sweepMillis`. */
function timeToLive(millis, sweepMillis = millis / 50) {
  return ({ bornMillis }) => Math.ceil((bornMillis + millis) / sweepMillis) * sweepMillis;
}

function exponentialLife(meanMillis) {
  return ({ bornMillis, random }) => bornMillis + random.exponential(meanMillis);
}

/** Each visit prolongs the session: mostly short, a tail of hours, at most a day. */
function rollingSession(shortMillis, longMillis, mostMillis) {
  return ({ bornMillis, random }) =>
    bornMillis + Math.min(mostMillis, random.exponential(random.uniform() < 0.8 ? shortMillis : longMillis));
}

/** First in, first out; full after `fillMillis` of this route's traffic. */
function firstInFirstOut(fillMillis) {
  return ({ bornMillis, exposure, startMillis }) =>
    exposure.timeOf(exposure.at(bornMillis) + capacity(exposure, startMillis, fillMillis));
}

/** Replaces a random entry once it is full. */
function randomEviction(fillMillis) {
  return ({ bornMillis, random, exposure, startMillis }) => {
    const room = capacity(exposure, startMillis, fillMillis);
    return exposure.timeOf(Math.max(room, exposure.at(bornMillis)) + random.exponential(room));
  };
}

/** Least recently used goes first: most entries leave at about one capacity, popular ones stay several times as long. */
function leastRecentlyUsed(fillMillis) {
  return ({ bornMillis, random, exposure, startMillis }) => {
    const room = capacity(exposure, startMillis, fillMillis);
    const renewals = random.uniform() < 0.7 ? 0 : random.exponential(1.5 * room);
    return exposure.timeOf(exposure.at(bornMillis) + room + renewals);
  };
}

/** Everything goes at once, every `everyMillis`, as a cache that is cleared or a buffer that is flushed. */
function clearedEvery(everyMillis, phaseMillis = 0) {
  return ({ bornMillis }) => Math.ceil((bornMillis - phaseMillis + 1) / everyMillis) * everyMillis + phaseMillis;
}

/** A share of the objects follows one rule, the rest the other. */
function mixed(share, first, rest) {
  return (birth) => (birth.random.uniform() < share ? first : rest)(birth);
}

/** Requests in `fillMillis` at the mean rate of the first week. */
function capacity(exposure, startMillis, fillMillis) {
  const week = 7 * 24 * 3_600_000;
  return (exposure.at(startMillis + week) * fillMillis) / week;
}

module.exports = {
  capacity,
  clearedEvery,
  exponentialLife,
  firstInFirstOut,
  forever,
  leastRecentlyUsed,
  mixed,
  randomEviction,
  rollingSession,
  timeToLive,
};
