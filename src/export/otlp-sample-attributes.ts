/**
 * Runs on the agent's worker thread. Owns the attributes of a sample in OTLP Profiles: whose it is, under the names of
 * the semantic conventions. Pure.
 */
import type { OwnerKind, Route } from "../model/owner";
import { LABEL_OWNER, LABEL_ROUTE, LABEL_THREAD_ID, LABEL_THREAD_NAME, routeLabel } from "./live-heap";
import { boundedText } from "./otlp-attributes";

const ATTRIBUTE_METHOD = "http.request.method";
const ATTRIBUTE_METHOD_ORIGINAL = "http.request.method_original";

/** Longest label value that Pyroscope takes, in UTF-16 units. */
const MAX_LABEL_LENGTH = 2_048;

/** Of RFC 9110, and PATCH; the semantic conventions want `_OTHER` for all others. */
const KNOWN_METHODS: ReadonlySet<string> = new Set([
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "TRACE",
]);
const OTHER_METHOD = "_OTHER";

export type SampleAttribute = readonly [key: string, value: string | number];

export interface RouteParts {
  readonly method: string | null;
  readonly template: string | null;
}

const NAME_WITH_METHOD = /^([A-Z]+) (\/.*)$/s;

/** A route without parts (one of `withRoute`, or `(other)`) is known by its name alone. */
export function partsOfRoute(route: Route | string | null): RouteParts {
  if (route === null) return { method: null, template: null };
  if (typeof route !== "string" && route.template !== null) return { method: route.method, template: route.template };
  const name = typeof route === "string" ? route : route.name;
  const match = NAME_WITH_METHOD.exec(name);
  return { method: match?.[1] ?? null, template: (match?.[2] ?? name) || null };
}

/** Everything that says whose a sample is, and in which thread. @param threadName left out when empty. */
export function attributesOf(
  kind: OwnerKind,
  route: RouteParts,
  threadId: number,
  threadName: string,
): readonly SampleAttribute[] {
  const attributes = [...ownerAttributes(kind, route)];
  attributes.push([LABEL_THREAD_ID, threadId]);
  if (threadName !== "") attributes.push([LABEL_THREAD_NAME, boundedText(threadName, MAX_LABEL_LENGTH)]);
  return attributes;
}

/** `http.route` is the template, as the semantic conventions want it; special owners have their name there. */
export function ownerAttributes(kind: OwnerKind, route: RouteParts): readonly SampleAttribute[] {
  const isOfRoute = (kind === "request" || kind === "background-of") && route.template !== null;
  const attributes: SampleAttribute[] = [
    [LABEL_ROUTE, boundedText(routeLabel(kind, route.template), MAX_LABEL_LENGTH)],
  ];
  if (isOfRoute && route.method !== null) attributes.push(...methodAttributes(route.method));
  if (kind !== "request") attributes.push([LABEL_OWNER, kind]);
  return attributes;
}

function methodAttributes(method: string): readonly SampleAttribute[] {
  if (KNOWN_METHODS.has(method)) return [[ATTRIBUTE_METHOD, method]];
  return [
    [ATTRIBUTE_METHOD, OTHER_METHOD],
    [ATTRIBUTE_METHOD_ORIGINAL, boundedText(method, MAX_LABEL_LENGTH)],
  ];
}
