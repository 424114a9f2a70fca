/**
 * Runs on the agent's worker thread. Owns the resource that every signal carries: who this process is. Must not send
 * command lines: an argument may be a secret, and the worker's own would be wrong.
 */
import type { WorkerStart } from "../model/messages";
import type { AttributeValue, ResourcesModule } from "./sdk-modules";
import { AGENT_VERSION } from "./version";

/** Plain OpenTelemetry attributes, in the order in which they are sent. */
export type ResourceAttributes = Readonly<Record<string, AttributeValue>>;

export interface ResourceIdentity {
  readonly serviceName: string;
  readonly serviceVersion: string | null;
  /** Used when OTEL_RESOURCE_ATTRIBUTES brings no `service.instance.id`. */
  readonly instanceId: string;
  readonly mainScript: string | null;
  /** Of OTEL_RESOURCE_ATTRIBUTES, as the configuration has read it: the SDK's reader drops all for one bad entry. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Unique for this life of this process. */
export function instanceIdOf(processStartMillis: number, processId: number): string {
  return `${processStartMillis.toString(36)}-${processId}`;
}

/** Who this process is, by its settings. */
export function identityOf(start: WorkerStart, processId: number = process.pid): ResourceIdentity {
  const { settings, processStartMillis, mainScript } = start;
  const { serviceName, serviceVersion, resourceAttributes: attributes } = settings;
  const instanceId = instanceIdOf(processStartMillis, processId);
  return { serviceName, serviceVersion, instanceId, mainScript, attributes };
}

/**
 * The one resource of all signals, detected when it is first asked for. Never rejects: without the SDK's packages it is
 * what the settings know.
 */
export function resourceSource(start: WorkerStart, processId: number = process.pid): () => Promise<ResourceAttributes> {
  let detected: Promise<ResourceAttributes> | null = null;
  return () => {
    detected ??= detect(start, processId);
    return detected;
  };
}

async function detect(start: WorkerStart, processId: number): Promise<ResourceAttributes> {
  const identity = identityOf(start, processId);
  try {
    const { SdkModules } = await import("./sdk-modules.js");
    return await detectResource(new SdkModules().resources, identity);
  } catch {
    return { "process.pid": processId, ...ownAttributes(identity), ...service(identity) };
  }
}

/** A detector that waits for the network or a disk must not hold back what we have to say. */
const DETECTION_MILLIS = 2_000;
/** The detector sees the worker's arguments in place of the service's. */
const NEVER_SENT = ["process.command_args", "process.command_line", "process.command"];

/**
 * `service.*`, `process.*`, `host.*`, `os.*`, `telemetry.*` and what OTEL_RESOURCE_ATTRIBUTES says, which wins over
 * whatever was detected. `service.name` and `service.version` are those of the settings (same rules, plus package.json).
 */
export async function detectResource(
  resources: ResourcesModule,
  identity: ResourceIdentity,
): Promise<ResourceAttributes> {
  const found = resources
    .defaultResource()
    .merge(
      resources.detectResources({
        detectors: [resources.processDetector, resources.hostDetector, resources.osDetector],
      }),
    )
    .merge(resources.resourceFromAttributes({ ...ownAttributes(identity), ...service(identity) }));
  if (found.asyncAttributesPending === true) await withinTime(found.waitForAsyncAttributes?.());
  const attributes: Record<string, AttributeValue> = {};
  for (const [key, value] of Object.entries(found.attributes)) {
    if (isAttributeValue(value) && !NEVER_SENT.includes(key)) attributes[key] = value;
  }
  return identity.mainScript === null ? attributes : { ...attributes, "process.command": identity.mainScript };
}

function ownAttributes(identity: ResourceIdentity): Record<string, string> {
  return {
    "service.instance.id": identity.instanceId,
    "telemetry.distro.name": "leak-agent",
    "telemetry.distro.version": AGENT_VERSION,
    ...identity.attributes,
  };
}

function service(identity: ResourceIdentity): Record<string, string> {
  return {
    "service.name": identity.serviceName,
    ...(identity.serviceVersion === null ? {} : { "service.version": identity.serviceVersion }),
  };
}

async function withinTime(pending: Promise<void> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((done) => {
    timer = setTimeout(done, DETECTION_MILLIS);
    timer.unref();
  });
  // What cannot be detected is left out: no attribute is worth a signal.
  await Promise.race([pending?.catch(() => {}), patience]);
  clearTimeout(timer);
}

function isAttributeValue(value: unknown): value is AttributeValue {
  if (Array.isArray(value)) return value.every((item) => typeof item === "string");
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}
