/**
 * Runs on the service's main thread and its worker threads. Owns the name of a request's route, read when the response is
 * over: as a framework declares it, else by the path. Must not keep a request.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { DECLARED, FROM_MOUNT, FROM_PATH, FROM_REFUSED_PATH } from "../model/owner";
import { DeclaredPaths, isPlainTemplate, segmentsOf } from "./declared-paths";
import { frameworkTemplate, wordsOf } from "./frameworks";
import { PathTemplates } from "./path-template";
import { appContext } from "./request-context";
import { OTHER_ROUTE_INDEX, type RouteTable } from "./route-table";

/** Distinct values of a segment before it counts as a parameter, where only the path is known. */
const MAX_PLAIN_LITERALS = 30;
/** The same for the paths Express routers are mounted on: mostly words that a programmer wrote. */
const MAX_MOUNT_LITERALS = 200;

/** Nobody has looked at what such a request asked for. */
const NOT_FOUND: ReadonlySet<number> = new Set([404, 405]);
/** Turned away before a handler, most often: a scan of a service that asks for a password everywhere is answered so. */
const REFUSED: ReadonlySet<number> = new Set([401, 403, 407, 429]);

/** To mark one takes longer than to look its name up, which must not become the rule where each request has its own. */
const MAX_MARKED_ROUTES = 16_384;

/** `setRPCMetadata` of @opentelemetry/core. */
const RPC_METADATA = Symbol.for("OpenTelemetry SDK Context Key RPC_METADATA");

const NAMED_METHOD = Symbol("leak-agent method");
const NAMED_BASE = Symbol("leak-agent base");
const NAMED_INDEX = Symbol("leak-agent route index");

/** What Express leaves on a raw request. */
interface ExpressRequest extends IncomingMessage {
  originalUrl?: string;
  baseUrl?: string;
  route?: DeclaredRoute;
}

/** Express makes one per declared route, and hands it to each request that meets it. */
interface DeclaredRoute {
  path?: unknown;
  [NAMED_METHOD]?: string;
  [NAMED_BASE]?: string;
  [NAMED_INDEX]?: number;
}

export class RouteNames {
  readonly #plain: PathTemplates;
  /** Apart, so that a scan does not turn the routes of a plain server into parameters. */
  readonly #refused: PathTemplates;
  readonly #mounted: PathTemplates;
  readonly #declared = new DeclaredPaths();
  /** Method, then template. */
  readonly #indexes = new Map<string, Map<string, number>>();
  #markedCount = 0;

  constructor(private readonly routes: RouteTable) {
    this.#plain = new PathTemplates(routes, MAX_PLAIN_LITERALS, FROM_PATH);
    this.#refused = new PathTemplates(routes, MAX_PLAIN_LITERALS, FROM_REFUSED_PATH);
    this.#mounted = new PathTemplates(routes, MAX_MOUNT_LITERALS, FROM_MOUNT);
  }

  /** Index of the route a finished (or aborted) request met. */
  routeOf(request: IncomingMessage, response: ServerResponse): number {
    const raw = request as ExpressRequest;
    const method = raw.method ?? "GET";
    const template = frameworkTemplate(raw);
    if (template !== null) return this.#named(method, template);
    const declared = raw.route;
    if (declared?.path !== undefined) return this.#express(method, raw.baseUrl ?? "", declared, raw.url ?? "");
    const http = appContext()?.getValue(RPC_METADATA) as { route?: unknown } | undefined;
    if (typeof http?.route === "string" && http.route !== "") return this.#named(method, http.route);
    return this.#unrouted(method, raw, response);
  }

  /** All that is known is the path, and perhaps the route that it would have met. */
  #unrouted(
    method: string,
    raw: ExpressRequest,
    { statusCode, writableFinished, headersSent }: ServerResponse,
  ): number {
    const path = raw.originalUrl ?? raw.url ?? "/";
    // A stream that the client leaves never finishes, but a handler has begun to answer it.
    if (NOT_FOUND.has(statusCode) || !(writableFinished || headersSent))
      return this.#plain.routeOf(method, path, "", false);
    const declared = this.#declaredFor(method, path);
    if (declared !== OTHER_ROUTE_INDEX) return declared;
    // Express notes the URL: what it answers without a route was sent elsewhere by something in front of its routes.
    const isSentAway = raw.originalUrl !== undefined && statusCode >= 300 && statusCode < 400;
    if (!REFUSED.has(statusCode) && !isSentAway && method !== "OPTIONS")
      return this.#plain.routeOf(method, path, "", true);
    const known = this.#plain.routeOf(method, path, "", false);
    return known === OTHER_ROUTE_INDEX ? this.#refused.routeOf(method, path, "", true) : known;
  }

  /** Middleware in front of a route may answer in its place: refuse a login, or a preflight, or know the answer. */
  #declaredFor(method: string, path: string): number {
    const declared = this.#declared.match(path);
    if (declared === null) return OTHER_ROUTE_INDEX;
    const { baseDepth, suffix } = declared;
    const isPreflight = method === "OPTIONS";
    if (baseDepth > 0) return this.#mounted.routeOf(method, leading(path, baseDepth), suffix, isPreflight);
    if (isPreflight) return this.#named(method, suffix);
    return this.#indexes.get(method)?.get(suffix) ?? OTHER_ROUTE_INDEX;
  }

  /** No framework sees an upgrade: its path is all there is. */
  upgradeRouteOf(request: IncomingMessage): number {
    return this.#plain.routeOf(request.method ?? "GET", request.url ?? "/", "", true);
  }

  /** To look a name up takes longer, the more so with thousands of routes; the route object has just been used. */
  #express(method: string, routerUrl: string, declared: DeclaredRoute, url: string): number {
    if (declared[NAMED_METHOD] === method && declared[NAMED_BASE] === routerUrl) return declared[NAMED_INDEX] as number;
    const path = wordsOf(declared.path);
    const baseUrl = routerUrl + leftBase(url, path);
    if (baseUrl === "") return this.#mark(declared, method, "", this.#named(method, path));
    const suffix = path === "/" ? "" : path;
    const index = this.#mounted.routeOf(method, baseUrl, suffix, true);
    const template = this.routes.templateAt(index) ?? "";
    // Where a parameter is in it, the next request has another.
    const isFixed = template.length === baseUrl.length + suffix.length && template.startsWith(baseUrl);
    if (!isFixed) return index;
    if (declared[NAMED_INDEX] === undefined) this.#declared.add(baseUrl, suffix);
    return this.#mark(declared, method, baseUrl, index);
  }

  /** For the first method and base it is met with. @returns `index`. */
  #mark(declared: DeclaredRoute, method: string, baseUrl: string, index: number): number {
    const isNew = declared[NAMED_INDEX] === undefined && index !== OTHER_ROUTE_INDEX;
    if (!isNew || this.#markedCount === MAX_MARKED_ROUTES) return index;
    this.#markedCount++;
    // Not enumerable: a service may print its routes. A frozen one takes no mark.
    const mark = (key: symbol, value: unknown) => Reflect.defineProperty(declared, key, { value });
    mark(NAMED_METHOD, method);
    mark(NAMED_BASE, Buffer.from(baseUrl).toString()); // A copy: a slice would keep the whole URL.
    mark(NAMED_INDEX, index);
    return index;
  }

  /** Two look-ups of strings whose hash is known are cheaper than the name, which would be put together per request. */
  #named(method: string, template: string): number {
    const known = this.#indexes.get(method)?.get(template);
    if (known !== undefined) return known;
    const index = this.routes.indexOf(`${method} ${template}`, method, template, DECLARED);
    if (index === OTHER_ROUTE_INDEX) return index;
    this.#remember(method, template, index);
    this.#declared.add("", template);
    return index;
  }

  /** Only what the route table has taken: it bounds these maps too. */
  #remember(method: string, template: string, index: number): void {
    const byTemplate = this.#indexes.get(method) ?? new Map<string, number>();
    byTemplate.set(template, index);
    this.#indexes.set(method, byTemplate);
  }
}

/**
 * Express takes a router's path off `req.url`, and puts it back when an error or `next()` leaves that router, while
 * `req.route` stays. What is in front of the route's own path then is where its router is mounted.
 */
function leftBase(url: string, path: string): string {
  if (!url.startsWith("/") || !isPlainTemplate(path)) return "";
  const surplus = segmentsOf(url).length - segmentsOf(path).length;
  return surplus > 0 ? leading(url, surplus) : "";
}

function leading(path: string, count: number): string {
  return `/${segmentsOf(path).slice(0, count).join("/")}`;
}
