/**
 * Preloaded into the measured service BEFORE the agent. Owns a switch in front of the agent's parts, and clocks around
 * them: it wraps what the agent is about to call and leaves the agent itself as shipped. Must cost the same on and off.
 */
"use strict";

const channels = require("node:diagnostics_channel");
const { readdirSync } = require("node:fs");
const { join } = require("node:path");
const { threadMicros } = require("../thread-clock");

const AGENT = join(__dirname, "../../dist");
const OLD_ASYNC_STORAGE = Number(process.versions.node.split(".")[0]) < 24;

/** What runs of the agent. `interval`: null for the agent's own choice. */
const state = { subscribers: true, interval: null };
/** Totals since the start of the process. */
const clocks = { ticks: 0, tickMicros: 0, captures: [], lastTreeNodes: 0 };
/** Thread ids of what the agent has started. */
const agentThreads = [];
let agentWorker = null;
let addon = null;

function gateSubscribers() {
  const original = channels.subscribe;
  channels.subscribe = function subscribe(name, listener) {
    if (!String(name).startsWith("http.server.")) return original.call(this, name, listener);
    return original.call(this, name, (message, channel) => {
      if (state.subscribers) listener(message, channel);
    });
  };
  process.nextTick(() => {
    channels.subscribe = original;
  });
}

function threadIds() {
  try {
    return readdirSync("/proc/self/task");
  } catch {
    return []; // Not Linux: worker CPU is not measured there.
  }
}

/** The agent's timers are told from the service's by who makes them. */
function clockTimers() {
  const original = globalThis.setInterval;
  globalThis.setInterval = function setInterval(callback, ...rest) {
    if (!new Error().stack.includes(join(AGENT, "probe"))) return original(callback, ...rest);
    return original(
      () => {
        const before = agentThreads.length === 0 ? threadIds() : null;
        const start = threadMicros();
        callback();
        clocks.tickMicros += threadMicros() - start;
        clocks.ticks++;
        if (before !== null) agentThreads.push(...threadIds().filter((id) => !before.includes(id)));
      },
      ...rest,
    );
  };
}

/** The addon object is one per process: what the agent calls later is what is wrapped here. */
function clockAddon() {
  const native = require(join(AGENT, "native.js")).loadNative();
  if (!native.ok) throw new Error(`the addon does not load: ${native.reason}`);
  addon = native.addon;
  const { capture, startSampler } = addon;
  addon.capture = () => {
    const start = process.hrtime.bigint();
    const startMicros = threadMicros();
    const buffer = capture();
    if (buffer !== null) {
      const words = new Uint32Array(buffer, 0, 16);
      const millis = Number(process.hrtime.bigint() - start) / 1e6;
      clocks.lastTreeNodes = words[12];
      if (clocks.captures.length < 10_000) {
        const cpuMicros = threadMicros() - startMicros;
        const atMillis = performance.now();
        clocks.captures.push({ atMillis, millis, cpuMicros, samples: words[6], treeNodes: words[12] });
      }
    }
    return buffer;
  };
  addon.startSampler = (bytes, depth) => startSampler(state.interval ?? bytes, depth);
}

/**
 * @param wanted.subscribers whether the agent sees requests.
 * @param wanted.agent whether its sampler and labels run, through the product's own off switch.
 * @param wanted.interval bytes; null for the agent's own.
 * @param wanted.bareSampler V8's sampler alone at `interval`, never read; only without the agent.
 */
function apply({ subscribers, agent, interval = null, bareSampler = false }) {
  addon?.stopSampler();
  agentWorker?.emit("message", { type: "enabled", enabled: false });
  state.subscribers = subscribers;
  state.interval = interval;
  if (!subscribers && OLD_ASYNC_STORAGE) require(join(AGENT, "probe/request-context.js")).storage.disable();
  if (agent) agentWorker.emit("message", { type: "enabled", enabled: true });
  if (bareSampler) addon.startSampler(interval, 64);
}

if (require.main !== module) {
  gateSubscribers();
  clockTimers();
  process.on("worker", (worker) => {
    agentWorker ??= worker;
  });
}

module.exports = {
  agentThreads,
  state,
  apply,
  clocks,
  clockAddon,
  addon: () => addon,
  hasAgent: () => globalThis[Symbol.for("leak-agent.probe")] != null,
};
