/** Pure. Owns the clocks that exposure is measured on: finished requests of a route, or hours for owners without one. */

/** Points kept per clock; when full, every second one goes, so resolution halves while the span doubles. */
const MAX_POINTS = 512;

/** A non-decreasing function of time, linear between its points. */
export class ExposureClock {
  private times: number[];
  private totals: number[];
  private spacingMillis: number;

  /** @param originMillis exposure is 0 here. @param spacingMillis initial distance of points. */
  constructor(originMillis: number, spacingMillis: number) {
    this.times = [originMillis];
    this.totals = [0];
    this.spacingMillis = spacingMillis;
  }

  /** Adds `amount` that happened in the window ending at `timeMillis`; times must not decrease. */
  add(timeMillis: number, amount: number): void {
    const last = this.times.length - 1;
    const total = (this.totals[last] ?? 0) + amount;
    const lastTime = this.times[last] ?? 0;
    const beforeLast = this.times[last - 1];
    if (timeMillis <= lastTime || (beforeLast !== undefined && timeMillis - beforeLast < this.spacingMillis)) {
      this.totals[last] = total;
      this.times[last] = Math.max(lastTime, timeMillis);
      return;
    }
    // A gap without requests is flat: mark where it ended.
    if (timeMillis - lastTime > 2 * this.spacingMillis) {
      this.times.push(timeMillis - this.spacingMillis);
      this.totals.push(this.totals[last] ?? 0);
    }
    this.times.push(timeMillis);
    this.totals.push(total);
    if (this.times.length > MAX_POINTS) this.thin();
  }

  /** Exposure accumulated up to `timeMillis`. */
  at(timeMillis: number): number {
    const index = upperBound(this.times, timeMillis);
    if (index === 0) return 0;
    const before = this.totals[index - 1] ?? 0;
    if (index === this.times.length) return before;
    const start = this.times[index - 1] ?? 0;
    const end = this.times[index] ?? start;
    const share = end === start ? 1 : (timeMillis - start) / (end - start);
    return before + share * ((this.totals[index] ?? before) - before);
  }

  total(): number {
    return this.totals[this.totals.length - 1] ?? 0;
  }

  /** When exposure reached `amount`: the earliest such time; the last known time where it has not. */
  timeOf(amount: number): number {
    let low = 0;
    let high = this.totals.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.totals[middle] ?? 0) < amount) low = middle + 1;
      else high = middle;
    }
    const last = this.times.length - 1;
    if (low > last) return this.times[last] ?? 0;
    const end = this.times[low] ?? 0;
    if (low === 0) return end;
    const start = this.times[low - 1] ?? end;
    const before = this.totals[low - 1] ?? 0;
    return start + ((amount - before) / ((this.totals[low] ?? before) - before)) * (end - start);
  }

  originMillis(): number {
    return this.times[0] ?? 0;
  }

  /** Adds everything another clock counted (a route that turned out to be the same route). */
  absorb(other: ExposureClock): void {
    const times = [...new Set([...this.times, ...other.times])].sort((a, b) => a - b);
    const totals = times.map((time) => this.at(time) + other.at(time));
    this.times = times;
    this.totals = totals;
    while (this.times.length > MAX_POINTS) this.thin();
  }

  private thin(): void {
    const last = this.times.length - 1;
    const keep = (_: number, index: number): boolean => index % 2 === 0 || index === last;
    this.times = this.times.filter(keep);
    this.totals = this.totals.filter(keep);
    this.spacingMillis *= 2;
  }
}

/** Time itself as exposure, in hours since the origin. */
export class HourClock {
  constructor(private readonly origin: number) {}
  at(timeMillis: number): number {
    return Math.max(0, timeMillis - this.origin) / 3_600_000;
  }
  originMillis(): number {
    return this.origin;
  }
  timeOf(hours: number): number {
    return this.origin + hours * 3_600_000;
  }
}

export interface Clock {
  at(timeMillis: number): number;
  originMillis(): number;
  /** Inverse of `at`. */
  timeOf(exposure: number): number;
}

/** First index whose value is greater than `value`, in an ascending array. */
export function upperBound(values: readonly number[], value: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** When half of the exposure so far had passed. */
export function halfExposureMillis(clock: Clock, now: number): number {
  return Math.min(now, clock.timeOf(clock.at(now) / 2));
}
