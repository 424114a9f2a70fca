"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { Governor } = require("../../../dist/probe/governor");

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MB = 1024 * 1024;

const SERVICE = {
  /** Allocation in bytes a second, at a time. */
  rate: () => 26e6,
  requests: 100,
  asyncIds: 0,
  activeRatio: 0.3,
  /** CPU time of one sample where one in 16 is timed; null where none is. */
  timedMicros: () => null,
  /** One capture of a tree. */
  pauseMillis: () => 2,
  nodes: () => 5_000,
  samples: () => 4_000,
  /** Worker CPU per capture, and its memory. */
  workerMillis: () => 20,
  memoryBytes: () => 18 * MB,
};

/** A service under a governor, on a clock of its own. */
class Simulation {
  constructor(options = {}, service = {}) {
    this.service = { ...SERVICE, ...service };
    this.intervalBytes = options.intervalBytes ?? 65_521;
    this.now = 0;
    this.governor = new Governor({
      horizonMillis: DAY,
      cpuBudgetRatio: 0.005,
      pauseBudgetMillisPerMinute: 20,
      memoryBudgetBytes: 25 * MB,
      intervalBytes: this.intervalBytes,
      isIntervalFixed: false,
      minimumCaptureSpacingMillis: 0,
      queueBytes: 900_000,
      startMillis: 0,
      ...options,
    });
    this.captures = [];
    this.restarts = [];
    this.events = [];
    this.workerMillis = 500;
    this.isStopped = false;
  }

  /** What src/probe/sampling.ts does, tick by tick. */
  run(untilMillis, stepMillis = SECOND) {
    const { governor } = this;
    for (; this.now < untilMillis; this.now += stepMillis) {
      if (governor.poll(this.now)) this.tryAgain();
      if (!this.isStopped) this.tick(stepMillis);
      if (governor.isSamplingOff) this.isStopped = true;
      for (const event of governor.takeEvents()) this.events.push({ ...event, atMillis: this.now });
    }
    return this;
  }

  tryAgain() {
    const coarser = this.governor.coarser(this.now);
    if (coarser !== null) this.restart(coarser);
    else if (this.isStopped) this.governor.restarted(this.now, this.intervalBytes, false);
    this.isStopped = false;
  }

  tick(stepMillis) {
    const { governor, service } = this;
    const samples = (service.rate(this.now) * stepMillis) / SECOND / this.intervalBytes;
    const micros = service.timedMicros(this.now);
    const timedSamples = micros === null ? 0 : samples / 16;
    const chosen = governor.windowClosed({
      nowMillis: this.now,
      windowMillis: stepMillis,
      activeMillis: stepMillis * service.activeRatio,
      samples,
      requests: (service.requests * stepMillis) / SECOND,
      asyncIds: (service.asyncIds * stepMillis) / SECOND,
      timedSamples,
      timedMillis: (timedSamples * micros) / 1e3,
      isBusy: true,
      labels: "hook",
    });
    if (chosen !== null) return this.restart(chosen);
    if (governor.decide(this.now, service.activeRatio, null) !== "capture") return;
    const pauseMillis = service.pauseMillis(this.now, this.intervalBytes);
    this.captures.push({ atMillis: this.now, pauseMillis });
    governor.captured(this.now, pauseMillis, service.nodes(this.now, this.intervalBytes), service.samples(this.now));
    governor.timerTook(pauseMillis);
    this.workerMillis += service.workerMillis(this.now);
    const memoryBytes = service.memoryBytes(this.now, this.intervalBytes);
    governor.workerUsed(this.now, { cpuMillis: this.workerMillis, memoryBytes, meanStackDepth: 30 });
  }

  restart(intervalBytes) {
    this.restarts.push({ atMillis: this.now, intervalBytes });
    this.intervalBytes = intervalBytes;
    this.governor.restarted(this.now, intervalBytes, true);
  }

  /** Share of one core from `from` on, the worker included. */
  costRatio(fromMillis, before) {
    const { samplingMillis, captureMillis, labelsMillis } = this.governor.reading().cost;
    const sum = samplingMillis + captureMillis + labelsMillis + this.workerMillis;
    return (sum - before) / (this.now - fromMillis);
  }

  costSum() {
    const { samplingMillis, captureMillis, labelsMillis } = this.governor.reading().cost;
    return samplingMillis + captureMillis + labelsMillis + this.workerMillis;
  }
}

test("an ordinary service for two days: one choice of the interval, a capture every ten minutes, within every budget", () => {
  const simulation = new Simulation().run(HOUR);
  const before = simulation.costSum();
  simulation.run(2 * DAY);
  assert.equal(simulation.restarts.length, 1);
  assert.deepEqual(simulation.events, []);
  assert.ok(simulation.captures.length > 2 * 24 * 6, `${simulation.captures.length} captures`);
  const ratio = simulation.costRatio(HOUR, before);
  assert.ok(ratio < 0.005 * 1.3 && ratio > 0.002, `${ratio} of a core at 0.3 busy`);
  const { openings, worstPauseMillisPerMinute } = simulation.governor.reading();
  assert.deepEqual(openings, { pause: 0, cpu: 0, memory: 0 });
  assert.ok(worstPauseMillisPerMinute <= 20);
});

test("sampling takes half of the CPU budget, however much the service allocates", () => {
  const simulation = new Simulation({}, { rate: () => 200e6 }).run(HOUR);
  const before = simulation.governor.reading().cost.samplingMillis;
  simulation.run(2 * HOUR);
  const ratio = (simulation.governor.reading().cost.samplingMillis - before) / HOUR;
  assert.ok(ratio <= 0.5 * 0.005 * 1.1 && ratio > 0.45 * 0.005, `${ratio} of a core`);
});

/** @returns the interval chosen on a machine where one sample takes so many microseconds. */
function intervalAt(timedMicros) {
  const simulation = new Simulation({}, { rate: () => 25e6, timedMicros }).run(HOUR);
  assert.equal(simulation.restarts.length, 1);
  return simulation.intervalBytes;
}

test("where samples are timed, a slow machine takes fewer of them and pays no more; a fast one does not take more", () => {
  const reckoned = intervalAt(() => null); // 8.5 microseconds at 30 frames.
  assert.equal(
    intervalAt(() => 3),
    reckoned,
  );
  assert.ok(Math.abs(intervalAt(() => 25.5) / reckoned - 3) < 0.01);
  const broken = intervalAt(() => 850);
  assert.ok(Math.abs(broken / reckoned - 10) < 0.01, "a clock that says too much is not believed in full");
});

test("what samples took in a service's first half minute does not decide on its interval", () => {
  const young = intervalAt((now) => (now < MINUTE / 2 ? 60 : 12.75));
  assert.ok(Math.abs(young / intervalAt(() => 12.75) - 1) < 0.01);
});

test("a load test chooses by the least price and for 0.65 of its budget: its service is young, and samples will come often", () => {
  const options = { horizonMillis: 30 * SECOND, cpuBudgetRatio: 0.02 };
  const simulation = new Simulation(options, { rate: () => 50e6, timedMicros: () => 30 }).run(MINUTE);
  const least = 0.004 + 0.00015 * 30;
  const expected = (50e3 * least) / (0.65 * 0.02);
  assert.ok(Math.abs(simulation.intervalBytes / expected - 1) < 0.01, `${simulation.intervalBytes}, not ${expected}`);
});

test("timed samples are billed at what they took", () => {
  const simulation = new Simulation({ isIntervalFixed: true }, { timedMicros: () => 25 }).run(HOUR);
  const { samplingMillis } = simulation.governor.reading().cost;
  const samples = (26e6 / 65_521) * 3_600;
  assert.ok(Math.abs(samplingMillis / (samples * 0.025) - 1) < 0.01, `${samplingMillis} ms for ${samples} samples`);
});

test("a tree that grows past the pause budget is not captured again: breaker, then half as many samples", () => {
  // 1 microsecond per node; the tree grows by 1,500 nodes an hour at the first interval, half as fast at twice that.
  let bornMillis = 0;
  let lastInterval = 0;
  const nodes = (now, interval) => {
    if (interval !== lastInterval) bornMillis = now;
    lastInterval = interval;
    return 1_000 + ((now - bornMillis) / HOUR) * 1_500 * (100_000 / interval);
  };
  const pauseMillis = (now, interval) => nodes(now, interval) / 1_000;
  const options = { memoryBudgetBytes: 100 * MB };
  const simulation = new Simulation(options, { nodes, pauseMillis, rate: () => 50e6 }).run(DAY * 2);
  const [opened, closed] = simulation.events;
  assert.deepEqual([opened.type, opened.cause, opened.coolDownMillis], ["opened", "pause", HOUR]);
  assert.deepEqual([closed.type, closed.cause], ["closed", "pause"]);
  assert.ok(closed.atMillis - opened.atMillis >= HOUR);
  const between = simulation.captures.filter(
    ({ atMillis }) => atMillis > opened.atMillis && atMillis < opened.atMillis + HOUR,
  );
  assert.deepEqual(between, []);
  assert.equal(simulation.restarts.at(-1).intervalBytes > simulation.restarts[0].intervalBytes, true);
  const tooLong = simulation.captures.filter((capture) => capture.pauseMillis > 20);
  assert.ok(tooLong.length <= 2, `${tooLong.length} captures above the budget`);
});

test("one preempted capture is no excess in a row", () => {
  const pauseMillis = (now) => (now > HOUR && now < HOUR + 10 * MINUTE ? 60 : 2);
  const simulation = new Simulation({}, { pauseMillis }).run(6 * HOUR);
  assert.deepEqual(simulation.events, []);
  assert.ok(simulation.captures.at(-1).atMillis > 5.5 * HOUR);
});

test("a slow machine: captures take ten times as long, and pauses still keep to the budget", () => {
  const simulation = new Simulation({}, { pauseMillis: () => 15, workerMillis: () => 150 }).run(DAY);
  const { captures } = simulation;
  for (const { atMillis } of captures) {
    const sum = captures
      .filter((other) => other.atMillis > atMillis - MINUTE && other.atMillis <= atMillis)
      .reduce((total, { pauseMillis }) => total + pauseMillis, 0);
    assert.ok(sum <= 35, `${sum} ms in the minute before ${atMillis}`); // A full bucket, and one pause paid off afterwards.
  }
  assert.ok(captures.length > 24 * 5);
});

test("a process that was suspended for hours goes on as before", () => {
  const simulation = new Simulation().run(2 * HOUR);
  const before = simulation.captures.length;
  simulation.now += 9 * HOUR;
  simulation.tick(9 * HOUR);
  simulation.run(12 * HOUR);
  assert.equal(simulation.restarts.length, 1);
  assert.deepEqual(simulation.events, []);
  const after = simulation.captures.slice(before);
  const inFirstMinute = after.filter(({ atMillis }) => atMillis < 11 * HOUR + MINUTE).length;
  assert.ok(inFirstMinute <= 2, `${inFirstMinute} captures at once`);
  assert.ok(after.length >= 5);
});

test("a worker that costs too much is given fewer captures, and more again when it is cheap", () => {
  const workerMillis = (now) => (now < 6 * HOUR ? 20_000 : 20);
  const simulation = new Simulation({ intervalBytes: 524_287 }, { workerMillis, rate: () => 5e6 }).run(6 * HOUR);
  assert.ok(simulation.governor.spacingFactor >= 8, `${simulation.governor.spacingFactor} times the spacing`);
  const early = simulation.captures.length;
  simulation.run(DAY);
  assert.equal(simulation.governor.spacingFactor, 1);
  assert.ok(simulation.captures.length - early > 60, `${simulation.captures.length - early} captures in 18 hours`);
});

test("labels alone over the CPU budget: nothing is left to save, so everything is switched off, ever longer", () => {
  const simulation = new Simulation({}, { asyncIds: 500_000 }).run(DAY);
  assert.deepEqual(simulation.events.filter(({ type }) => type === "opened").map(({ cause }) => cause)[0], "cpu");
  const { openings, cost } = simulation.governor.reading();
  assert.ok(openings.cpu >= 3 && openings.cpu <= 12, `${openings.cpu} openings`);
  assert.ok(cost.labelsMillis / DAY < 0.005, `${cost.labelsMillis / DAY} of a core`);
});

test("a fixed interval is the user's own choice: what it costs is told and stops nothing", () => {
  const simulation = new Simulation({ isIntervalFixed: true, intervalBytes: 8_191 }, { rate: () => 200e6 }).run(DAY);
  assert.deepEqual(simulation.events, []);
  assert.deepEqual(simulation.restarts, []);
  assert.ok(simulation.governor.reading().cost.samplingMillis / DAY > 0.1);
});

test("memory over the budget: fewer samples first, at most two restarts an hour", () => {
  const memoryBytes = (_now, interval) => (12 + (200_000 / interval) * 10) * MB;
  const nodes = (_now, interval) => (200_000 / interval) * 8_000;
  const simulation = new Simulation({}, { memoryBytes, nodes, rate: () => 20e6 }).run(DAY);
  assert.deepEqual(simulation.events, []);
  assert.ok(simulation.restarts.length >= 2, JSON.stringify(simulation.restarts));
  assert.ok(memoryBytes(0, simulation.intervalBytes) + 3 * MB < 25 * MB, `${simulation.intervalBytes} bytes`);
});

test("memory that is not the samples' costs no evidence, and does not switch off what would free none", () => {
  const simulation = new Simulation({}, { memoryBytes: () => 30 * MB }).run(DAY);
  assert.deepEqual(simulation.events, []);
  assert.equal(simulation.restarts.length, 1, "the first choice");
});

test("memory that no interval brings down opens the breaker and stops the sampler", () => {
  const simulation = new Simulation({ isIntervalFixed: true }, { memoryBytes: () => 80 * MB }).run(3 * HOUR);
  assert.deepEqual(
    simulation.events.map(({ type, cause }) => [type, cause]),
    [["opened", "memory"]],
  );
  assert.ok(simulation.isStopped);
  assert.ok(simulation.captures.length <= 12, `${simulation.captures.length} captures`);
});

test("skipped captures and the breaker's state are told", () => {
  const simulation = new Simulation({}, { pauseMillis: () => 50, nodes: () => 50_000 }).run(2 * HOUR);
  const { breaker, openings, skipped } = simulation.governor.reading();
  assert.notEqual(breaker, "closed");
  assert.ok(openings.pause >= 1);
  assert.ok(skipped.breaker >= 1, JSON.stringify(skipped));
});
