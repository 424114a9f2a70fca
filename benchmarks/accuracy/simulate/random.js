/** Pure. Owns the seeded random numbers of the simulator: the same seed gives the same service, on every machine. */
"use strict";

const TWO_TO_32 = 4_294_967_296;
/** Above this mean a Poisson count is drawn from the normal distribution, rounded: off by < 1 % in its quantiles. */
const NORMAL_FROM_MEAN = 64;

class Random {
  /** @param {number} seed any integer */
  constructor(seed) {
    this.state = seed >>> 0;
    for (let i = 0; i < 4; i++) this.uniform();
  }

  /** Uniform on [0, 1). Mulberry32. */
  uniform() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / TWO_TO_32;
  }

  /** Exponential with this mean. */
  exponential(mean) {
    return -mean * Math.log(1 - this.uniform());
  }

  /** Standard normal (Box and Muller). */
  normal() {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  poisson(mean) {
    if (mean <= 0) return 0;
    if (mean > NORMAL_FROM_MEAN) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.normal()));
    const limit = Math.exp(-mean);
    let product = this.uniform();
    let count = 0;
    while (product > limit) {
      product *= this.uniform();
      count++;
    }
    return count;
  }

  pick(values) {
    return values[Math.floor(this.uniform() * values.length)];
  }

  /** An independent stream for a part of the simulation: what one part draws does not shift the others. */
  fork(label) {
    let hash = this.state ^ 0x9e3779b9;
    for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193);
    return new Random(hash);
  }
}

module.exports = { Random };
