/** Pure. Owns how busy a simulated service is at each minute, and the cumulative requests of a route ("exposure"). */
"use strict";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
/** A Monday, 00:00 UTC: time of day and day of week are plain remainders. */
const MONDAY = Date.UTC(2026, 0, 5);

/** Same at all hours. */
const steady = () => 1;

/** Office hours: a hump by day, 3 % of the peak at night, 60 % at weekends. */
function office(millis) {
  const since = millis - MONDAY;
  const hour = (since % DAY) / HOUR;
  const isWeekend = (since % WEEK) / DAY >= 5;
  const hump = Math.max(0, Math.sin(((hour - 6) / 17) * Math.PI));
  return (0.03 + 0.97 * hump ** 1.5) * (isWeekend ? 0.6 : 1);
}

/** Doubles every `days` days from `fromMillis` on, up to `most` times. */
function growing(base, fromMillis, days, most) {
  return (millis) => base(millis) * Math.min(most, 2 ** (Math.max(0, millis - fromMillis) / (days * DAY)));
}

/** Expected requests since the start, and its inverse; linear within a minute. */
class Exposure {
  /** @param rate (millis) => requests a second */
  constructor(startMillis, endMillis, rate) {
    this.startMillis = startMillis;
    const minutes = Math.ceil((endMillis - startMillis) / MINUTE);
    this.totals = new Float64Array(minutes + 1);
    for (let i = 0; i < minutes; i++) {
      this.totals[i + 1] = this.totals[i] + 60 * Math.max(0, rate(startMillis + (i + 0.5) * MINUTE));
    }
  }

  at(millis) {
    const place = Math.min(this.totals.length - 1, Math.max(0, (millis - this.startMillis) / MINUTE));
    const index = Math.min(this.totals.length - 2, Math.floor(place));
    return this.totals[index] + (place - index) * (this.totals[index + 1] - this.totals[index]);
  }

  /** When exposure reaches `amount`; infinite beyond the table. */
  timeOf(amount) {
    const last = this.totals.length - 1;
    if (amount >= this.totals[last]) return Number.POSITIVE_INFINITY;
    let low = 0;
    let high = last;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.totals[middle] <= amount) low = middle;
      else high = middle;
    }
    const span = this.totals[high] - this.totals[low];
    return this.startMillis + (low + (span === 0 ? 1 : (amount - this.totals[low]) / span)) * MINUTE;
  }
}

module.exports = { DAY, Exposure, HOUR, MINUTE, MONDAY, SECOND, WEEK, growing, office, steady };
