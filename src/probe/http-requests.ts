/**
 * Runs on the service's main thread and its worker threads. Owns the life of a request record: made when Node hands the
 * request to the server, closed one loop turn after the response. Must not keep the request, nor allocate per request
 * more than the record.
 */
import { subscribe } from "node:diagnostics_channel";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Labels } from "./boundaries";
import type { RouteNames } from "./frameworks";
import type { OrdinalReader } from "./ordinal-reader";
import type { OwnerLedger } from "./owner-ledger";
import { enterRecord, RequestRecord, runInContext } from "./request-context";
import { OTHER_ROUTE_INDEX, type RouteTable } from "./route-table";

const REQUEST_START = "http.server.request.start";
const RESPONSE_FINISH = "http.server.response.finish";
const RECORD: unique symbol = Symbol("leak-agent record");

export interface HttpMessage {
  readonly request: IncomingMessage;
  readonly response: Response;
}

type Tracked<T> = T & { [RECORD]?: RequestRecord | null };
type Response = Tracked<ServerResponse>;

type Push = (this: Tracked<IncomingMessage>, chunk: unknown, encoding?: BufferEncoding) => boolean;

/**
 * From Node 24 on, the parser brings the parts of a body in the context of the connection, and so do the `data` and `end`
 * events run there. Before, the context went with the parser's resource, which is the one a request enters.
 */
const BODIES_LOSE_CONTEXT = Number.parseInt(process.versions.node, 10) >= 24;

/** Has every server request take in the parts of its body in its own context. */
function bindBodies(): void {
  const { IncomingMessage: Message } = require("node:http") as typeof import("node:http");
  const prototype = Message.prototype as unknown as { push: Push };
  const original = prototype.push;
  prototype.push = function push(chunk, encoding) {
    const record = this[RECORD];
    if (record === undefined || record === null) return original.call(this, chunk, encoding);
    // The end of a body that nobody listens to runs nothing of the service: most requests have no body at all.
    if (chunk === null && this.listenerCount("end") === 0 && this.listenerCount("readable") === 0) {
      return original.call(this, chunk, encoding);
    }
    return runInContext(record, original, this, chunk, encoding);
  };
}

/** The parts of one thread's probe that a request meets; `labels` may change while it runs. */
export interface Attribution {
  labels: Labels;
  /** Null where no engine works. */
  readonly ordinals: OrdinalReader | null;
  readonly ledger: OwnerLedger;
  readonly routes: RouteTable;
  readonly names: RouteNames;
}

export class HttpRequests {
  #isOff = false;
  #isFirst = true;
  #closing: RequestRecord[] = [];
  #spare: RequestRecord[] = [];
  readonly #onClose: (this: Response) => void;

  constructor(
    private readonly attribution: Attribution,
    private readonly beforeFirst: () => void,
    private readonly caught: (error: unknown) => void,
    /** Told of each request that has ended. */
    private readonly afterEnd: (record: RequestRecord) => void = () => {},
  ) {
    const ended = this.#ended;
    this.#onClose = function onClose() {
      ended(this.req, this);
    };
  }

  /** Stays subscribed for good: leaving in the middle of a message would make another tool's subscriber miss it. */
  follow(): void {
    subscribe(REQUEST_START, this.#onStart);
    subscribe(RESPONSE_FINISH, this.#onFinish);
  }

  switchOff(): void {
    this.#isOff = true;
  }

  readonly #onStart = (message: unknown): void => {
    const record = this.open();
    if (record === null) return;
    try {
      const { request, response } = message as HttpMessage;
      (request as Tracked<IncomingMessage>)[RECORD] = record;
      response[RECORD] = record;
      response.on("close", this.#onClose);
      this.enter(record);
    } catch (error) {
      this.caught(error);
    }
    this.attribution.labels.endAgent();
  };

  /** A new record, or null when switched off. Until `labels.endAgent()`, which the caller owes, what allocates is ours. */
  open(): RequestRecord | null {
    if (this.#isOff) return null;
    if (this.#isFirst) this.#first();
    const { labels } = this.attribution;
    const record = new RequestRecord(OTHER_ROUTE_INDEX);
    labels.adopt(record);
    labels.beginAgent();
    return record;
  }

  /** Without labels the record only counts the request, and AsyncLocalStorage need not cost anything. */
  enter(record: RequestRecord): void {
    if (this.attribution.labels.mechanism !== "none") enterRecord(record);
  }

  #first(): void {
    this.#isFirst = false;
    try {
      if (BODIES_LOSE_CONTEXT && this.attribution.labels.mechanism !== "none") bindBodies();
      this.beforeFirst();
    } catch (error) {
      this.caught(error);
    }
  }

  readonly #onFinish = (message: unknown): void => {
    const { request, response } = message as HttpMessage;
    this.#ended(request, response);
  };

  /** On finish, or on close when the client went away; the second call finds no record. */
  readonly #ended = (request: IncomingMessage, response: Response): void => {
    const record = response[RECORD];
    if (record === undefined || record === null) return;
    const { labels, names } = this.attribution;
    labels.beginAgent();
    response[RECORD] = null;
    try {
      if (record.routeIndex === OTHER_ROUTE_INDEX) record.routeIndex = names.routeOf(request, response);
      this.close(record);
    } catch (error) {
      this.caught(error);
    }
    labels.endAgent();
  };

  count(record: RequestRecord): void {
    this.attribution.routes.countRequest(record.routeIndex);
  }

  close(record: RequestRecord): void {
    this.count(record);
    this.end(record);
  }

  /** Ends the record one loop turn from now: what still runs in this turn is part of it. */
  end(record: RequestRecord): void {
    if (this.#closing.push(record) === 1) setImmediate(this.#endAll);
  }

  readonly #endAll = (): void => {
    const { labels, ledger, ordinals } = this.attribution;
    const ended = this.#closing;
    labels.beginAgent();
    try {
      this.#closing = this.#spare;
      this.#spare = ended;
      const ordinal = Math.max(0, ordinals?.read() ?? 0);
      for (const record of ended) {
        ledger.end(record, ordinal);
        if (record.task !== 0) this.afterEnd(record);
      }
      ended.length = 0;
    } catch (error) {
      this.caught(error);
    }
    labels.endAgent();
  };
}
