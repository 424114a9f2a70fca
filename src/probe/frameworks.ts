/**
 * Runs on the service's main thread and its worker threads. Owns what Fastify, Koa and Hapi are made to leave on a raw
 * request, under private symbols: the template of the route that it met. Express leaves its own.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";

const FASTIFY_CHANNEL = "fastify.initialization";
const FASTIFY_ROUTE = Symbol("leak-agent fastify route");
const KOA_CONTEXT = Symbol("leak-agent koa context");
const HAPI_REQUEST = Symbol("leak-agent hapi request");
const WRAPPED = Symbol.for("leak-agent wrapped");
/** Whether Fastify, Koa or Hapi may leave anything on a request: most services use none of them, and each look costs. */
let isFrameworkFollowed = false;

interface RawRequest extends IncomingMessage {
  [FASTIFY_ROUTE]?: string;
  [KOA_CONTEXT]?: { _matchedRoute?: unknown };
  [HAPI_REQUEST]?: { route?: { path?: unknown; method?: unknown } };
}

/** The template of Fastify, Koa or Hapi; null when none of them has routed this request. */
export function frameworkTemplate(request: IncomingMessage): string | null {
  if (!isFrameworkFollowed) return null;
  const raw = request as RawRequest;
  const fastify = raw[FASTIFY_ROUTE];
  if (fastify !== undefined) return fastify;
  const koa = raw[KOA_CONTEXT]?._matchedRoute;
  if (koa !== undefined && koa !== null) return wordsOf(koa);
  const hapi = raw[HAPI_REQUEST]?.route;
  // Hapi answers requests that met no route from one of its own, whose method is `_special`.
  if (hapi !== undefined && hapi.method !== "_special" && typeof hapi.path === "string") return hapi.path;
  return null;
}

/** A route may be declared with a string, a regular expression, or a list of both. */
export function wordsOf(path: unknown): string {
  if (typeof path === "string") return path;
  return Array.isArray(path) ? path.map(String).join("|") : String(path);
}

interface FastifyInstance {
  addHook(name: "onRequest", hook: (request: FastifyRequest, reply: unknown, done: () => void) => void): void;
}

interface FastifyRequest {
  readonly raw: RawRequest;
  readonly routeOptions?: { readonly url?: string };
  readonly routerPath?: string;
}

/** Fastify tells of each new instance; hooks can be added only then, long before the process listens. */
export function followFastify(caught: (error: unknown) => void): () => void {
  const listener = (message: unknown): void => {
    try {
      (message as { fastify: FastifyInstance }).fastify.addHook("onRequest", rememberFastifyRoute);
      isFrameworkFollowed = true;
    } catch (error) {
      caught(error);
    }
  };
  subscribe(FASTIFY_CHANNEL, listener);
  return () => unsubscribe(FASTIFY_CHANNEL, listener);
}

function rememberFastifyRoute(request: FastifyRequest, _reply: unknown, done: () => void): void {
  // `routerPath` is all there is before Fastify 4.10, and warns of its end from then on.
  const url = "routeOptions" in request ? request.routeOptions?.url : request.routerPath;
  if (typeof url === "string") request.raw[FASTIFY_ROUTE] = url;
  done();
}

type Wrappable = Record<string | symbol, unknown> & { [WRAPPED]?: true };
type Method = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Looks for Koa and Hapi among the modules the service has loaded, and has them leave their own request on the raw one.
 * May be called again: what is wrapped already stays as it is.
 */
export function followLoadedFrameworks(): void {
  const cache = require.cache;
  // Told apart by what they export: a package may be installed under another name.
  for (const file of Object.keys(cache)) {
    if (/[\\/]lib[\\/]application\.js$/.test(file)) {
      const koa = cache[file]?.exports as { prototype?: Wrappable; default?: { prototype?: Wrappable } } | undefined;
      wrap(koa?.prototype ?? koa?.default?.prototype, "createContext", 0, KOA_CONTEXT);
    } else if (/[\\/]lib[\\/]request\.js$/.test(file)) {
      wrap(cache[file]?.exports as Wrappable | undefined, "generate", 1, HAPI_REQUEST);
    }
  }
}

/** After `owner[name](..., raw request at `rawIndex`, ...)` its result hangs on the raw request. */
function wrap(owner: Wrappable | undefined, name: string, rawIndex: number, key: symbol): void {
  const original = owner?.[name];
  if (owner === undefined || typeof original !== "function" || Object.hasOwn(owner, WRAPPED)) return;
  owner[name] = function (this: unknown, ...args: unknown[]): unknown {
    const result = Reflect.apply(original as Method, this, args);
    const raw = args[rawIndex];
    if (typeof raw === "object" && raw !== null) (raw as Record<symbol, unknown>)[key] = result;
    return result;
  };
  Object.defineProperty(owner, WRAPPED, { value: true });
  isFrameworkFollowed = true;
}
