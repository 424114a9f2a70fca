/**
 * Pure. Owns the names, units and kinds of every metric the agent sends (docs/backends.md has the same table), and of the
 * attributes on them. Names are a contract: dashboards and alerts are written against them.
 */

export type MetricKind = "sum" | "updown" | "gauge" | "histogram";

export interface MetricDescription {
  readonly name: string;
  readonly kind: MetricKind;
  /** UCUM, as the semantic conventions write it. Not `1` for gauges: Prometheus would add `_ratio` to their names. */
  readonly unit: string;
  readonly description: string;
}

function metric(name: string, kind: MetricKind, unit: string, description: string): MetricDescription {
  return { name, kind, unit, description };
}

export const ATTRIBUTE_SITE_ID = "leak_agent.site.id";
export const ATTRIBUTE_SITE_FUNCTION = "leak_agent.site.function";
export const ATTRIBUTE_SITE_FILE = "leak_agent.site.file";
export const ATTRIBUTE_SITE_PACKAGE = "leak_agent.site.package";
export const ATTRIBUTE_FINDING_ID = "leak_agent.finding.id";
export const ATTRIBUTE_VERDICT = "leak_agent.verdict";
export const ATTRIBUTE_PREVIOUS_VERDICT = "leak_agent.previous_verdict";
export const ATTRIBUTE_IMPACT = "leak_agent.impact";
export const ATTRIBUTE_REASON = "leak_agent.reason";
export const ATTRIBUTE_BUDGET = "leak_agent.budget";
export const ATTRIBUTE_COMPONENT = "leak_agent.component";
export const ATTRIBUTE_THREAD_ID = "thread.id";
export const ATTRIBUTE_GC_TYPE = "v8js.gc.type";
export const ATTRIBUTE_CPU_MODE = "cpu.mode";

/** Value of `leak_agent.site.id` for what belongs to no site that is shown. */
export const OTHER_SITE = "(other)";

export type MetricKey =
  | "cohortsMatured"
  | "cohortsFreed"
  | "retainedSize"
  | "retainedVariance"
  | "freedSize"
  | "exposureRequests"
  | "agentCpuTime"
  | "agentMemory"
  | "breakerState"
  | "breakerOpenings"
  | "capturesSkipped"
  | "samples"
  | "dropped"
  | "lnEvidence"
  | "lnThreshold"
  | "matureSize"
  | "heapPostGc"
  | "memoryHeadroom"
  | "samplingInterval"
  | "siteInfo"
  | "verdict"
  | "capturePause"
  | "heapUsed"
  | "heapLimit"
  | "gcDuration"
  | "processMemory"
  | "processCpuTime"
  | "processUptime";

export const METRICS: Readonly<Record<MetricKey, MetricDescription>> = {
  cohortsMatured: metric(
    "leak_agent.cohorts.matured",
    "sum",
    "{cohort}",
    "Cohorts of objects (one function, route and birth window) that survived two mark-compacts.",
  ),
  cohortsFreed: metric(
    "leak_agent.cohorts.freed",
    "sum",
    "{cohort}",
    "Mature cohorts that lost half of their samples.",
  ),
  retainedSize: metric("leak_agent.retained.size", "sum", "By", "Estimated bytes that matured."),
  retainedVariance: metric(
    "leak_agent.retained.variance",
    "sum",
    "By2",
    "Sampling variance of leak_agent.retained.size.",
  ),
  freedSize: metric("leak_agent.freed.size", "sum", "By", "Estimated bytes that matured and were freed afterwards."),
  exposureRequests: metric("leak_agent.exposure.requests", "sum", "{request}", "Finished requests of a route."),
  agentCpuTime: metric("leak_agent.agent.cpu.time", "sum", "s", "CPU time that the agent itself used, by component."),
  agentMemory: metric("leak_agent.agent.memory.usage", "updown", "By", "Memory that the agent itself holds."),
  breakerState: metric(
    "leak_agent.breaker.state",
    "gauge",
    "{state}",
    "0: captures are on; 1: tried again after a cool-down; 2: off, since a budget was exceeded again and again.",
  ),
  breakerOpenings: metric(
    "leak_agent.breaker.openings",
    "sum",
    "{opening}",
    "Times that captures were switched off, by the budget that was exceeded.",
  ),
  capturesSkipped: metric(
    "leak_agent.captures.skipped",
    "sum",
    "{capture}",
    "Captures that were due and had to wait, by reason.",
  ),
  samples: metric("leak_agent.samples", "sum", "{sample}", "Allocations that V8 sampled."),
  dropped: metric("leak_agent.dropped", "sum", "{item}", "Whatever the agent had to drop, by reason."),
  lnEvidence: metric(
    "leak_agent.evidence.ln_e",
    "gauge",
    "{nat}",
    "ln of the evidence that a site keeps what it allocates.",
  ),
  lnThreshold: metric(
    "leak_agent.evidence.ln_threshold",
    "gauge",
    "{nat}",
    "What leak_agent.evidence.ln_e must exceed, the price of looking at many sites included.",
  ),
  matureSize: metric("leak_agent.mature.size", "gauge", "By", "Estimated bytes of living objects that have matured."),
  heapPostGc: metric(
    "leak_agent.heap.post_gc",
    "gauge",
    "By",
    "Used JavaScript heap right after the last mark-compact.",
  ),
  memoryHeadroom: metric(
    "leak_agent.memory.headroom",
    "gauge",
    "By",
    "Bytes to the nearer of V8's heap limit and the container's memory limit.",
  ),
  samplingInterval: metric("leak_agent.sampling.interval", "gauge", "By", "Mean bytes between two samples."),
  siteInfo: metric("leak_agent.site.info", "gauge", "{site}", "Always 1: function, file and package of a site."),
  verdict: metric("leak_agent.verdict", "gauge", "{finding}", "Always 1: the verdict that stands for a finding."),
  capturePause: metric(
    "leak_agent.capture.pause",
    "histogram",
    "s",
    "Time a thread of the service stood still for a capture.",
  ),
  heapUsed: metric("v8js.memory.heap.used", "updown", "By", "Used heap of a thread, all spaces together."),
  heapLimit: metric("v8js.memory.heap.limit", "updown", "By", "Limit of a thread's heap, all spaces together."),
  gcDuration: metric(
    "v8js.gc.duration",
    "histogram",
    "s",
    "Garbage collections by type; within one report their mean.",
  ),
  processMemory: metric("process.memory.usage", "updown", "By", "Resident memory of the process."),
  processCpuTime: metric("process.cpu.time", "sum", "s", "CPU time of the process, the agent's included."),
  processUptime: metric("process.uptime", "gauge", "s", "Time since the process started."),
};

/** Seconds. */
export const CAPTURE_PAUSE_BOUNDARIES: readonly number[] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25];
/** Seconds; those of the semantic conventions, and two below for scavenges. */
export const GC_DURATION_BOUNDARIES: readonly number[] = [0.001, 0.005, 0.01, 0.1, 1, 10];
