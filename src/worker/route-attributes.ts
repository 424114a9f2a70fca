/** Pure. Owns how a route stands on metrics and log events: as on the samples of a profile, so that they can be joined. */
import { attributesOf, partsOfRoute } from "../export/otlp-sample-attributes";
import type { OwnerKind, Route } from "../model/owner";
import type { Attributes } from "./sdk-modules";

/**
 * `http.route` and `http.request.method`.
 * @param kind of the owner; work in the background of a route counts as the route's.
 */
export function routeAttributes(route: Route | null, kind: OwnerKind): Attributes {
  const ofRoute = route !== null && (kind === "request" || kind === "background-of");
  const attributes = attributesOf(ofRoute ? "request" : kind, partsOfRoute(ofRoute ? route : null), 0, "");
  return Object.fromEntries(attributes.filter(([key]) => key.startsWith("http.")));
}
