/**
 * Runs on the service's main thread and its worker threads. Owns the life of a request record: made when Node hands the
 * request to the server, closed with the loop turn in which the response ends. Must not keep the request, nor allocate
 * more than the record per request.
 */
import { subscribe } from "node:diagnostics_channel";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type Labels, TURN_UNKNOWN } from "./boundaries";
import type { OrdinalReader } from "./ordinal-reader";
import type { OwnerLedger } from "./owner-ledger";
import { enterRecord, RequestRecord, runInContext } from "./request-context";
import { RequestStamp } from "./request-stamp";
import type { RouteNames } from "./route-names";
import { OTHER_ROUTE_INDEX, type RouteTable } from "./route-table";

const REQUEST_START = "http.server.request.start";
const RESPONSE_FINISH = "http.server.response.finish";
const RESPONSE: unique symbol = Symbol("leak-agent response");

export interface HttpMessage {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket?: Connection;
}

/** With the response under way; null between requests, so that an idle connection keeps none. */
type Connection = Socket & { [RESPONSE]?: ServerResponse | null };

type Push = (this: IncomingMessage, chunk: unknown, encoding?: BufferEncoding) => boolean;

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
    const record = RequestStamp.of(this);
    if (record === undefined) return original.call(this, chunk, encoding);
    // The end of a body that nobody reads (yet) runs nothing of the service: most requests have no body at all.
    if (chunk === null && this.readableFlowing === null) return original.call(this, chunk, encoding);
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
  readonly #onResponseClose: (this: ServerResponse) => void;
  readonly #onSocketClose: (this: Connection) => void;

  constructor(
    private readonly attribution: Attribution,
    private readonly beforeFirst: () => void,
    private readonly caught: (error: unknown) => void,
    /** Told of each request that has ended. */
    private readonly afterEnd: (record: RequestRecord) => void = () => {},
  ) {
    const ended = this.#ended;
    const abandoned = this.#abandoned;
    this.#onResponseClose = function onClose() {
      ended(this.req, this);
    };
    this.#onSocketClose = function onClose() {
      const response = this[RESPONSE];
      this[RESPONSE] = null;
      if (response !== undefined && response !== null) abandoned(response);
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
      const { request, response, socket } = message as HttpMessage;
      RequestStamp.set(request, record);
      this.#watch(socket, response);
      this.enter(record);
    } catch (error) {
      this.caught(error);
    }
    this.attribution.labels.endAgent();
  };

  /** A client may go away: one listener a connection tells of that, except where requests overlap in it. */
  #watch(socket: Connection | undefined, response: ServerResponse): void {
    const before = socket?.[RESPONSE];
    if (before === null) (socket as Connection)[RESPONSE] = response;
    else if (before !== undefined || socket === undefined) response.on("close", this.#onResponseClose);
    else {
      // Not enumerable: loggers walk over the properties of sockets.
      Object.defineProperty(socket, RESPONSE, { value: response, writable: true, enumerable: false });
      // Before Node's own listener, which ends the request and has the service's listeners called.
      socket.prependListener("close", this.#onSocketClose);
    }
  }

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
    const { request, response, socket } = message as HttpMessage;
    if (socket?.[RESPONSE] === response) socket[RESPONSE] = null;
    this.#ended(request, response);
  };

  /** On finish, or when the client went away; a second call finds it over. */
  readonly #ended = (request: IncomingMessage, response: ServerResponse): void => {
    const record = RequestStamp.of(request);
    if (record === undefined || record.isOver) return;
    const { labels, names } = this.attribution;
    labels.beginAgent();
    record.isOver = true;
    try {
      if (record.routeIndex === OTHER_ROUTE_INDEX) record.routeIndex = names.routeOf(request, response);
      this.close(record);
    } catch (error) {
      this.caught(error);
    }
    labels.endAgent();
  };

  /** The client went away. Node tells it in the context of the connection; what hears of it works for the request. */
  readonly #abandoned = (response: ServerResponse): void => {
    this.#ended(response.req, response);
    try {
      const record = RequestStamp.of(response.req);
      if (record !== undefined && !this.#isOff) this.enter(record);
    } catch (error) {
      this.caught(error);
    }
  };

  count(record: RequestRecord): void {
    this.attribution.routes.countRequest(record.routeIndex);
  }

  close(record: RequestRecord): void {
    this.count(record);
    this.end(record);
  }

  /** What still runs in this loop turn is part of it. */
  end(record: RequestRecord): void {
    const { turn } = this.attribution.labels;
    if (turn === TURN_UNKNOWN) {
      if (this.#closing.push(record) === 1) setImmediate(this.#endTurn);
      return;
    }
    record.endTurn = turn;
    try {
      this.#end(record, this.#ordinal());
    } catch (error) {
      this.caught(error); // The caller may be the service's own.
    }
  }

  readonly #endTurn = (): void => {
    const { labels } = this.attribution;
    const ended = this.#closing;
    labels.beginAgent();
    try {
      this.#closing = this.#spare;
      this.#spare = ended;
      const ordinal = this.#ordinal();
      for (const record of ended) this.#end(record, ordinal);
      ended.length = 0;
    } catch (error) {
      this.caught(error);
    }
    labels.endAgent();
  };

  #ordinal(): number {
    return Math.max(0, this.attribution.ordinals?.read() ?? 0);
  }

  #end(record: RequestRecord, ordinal: number): void {
    this.attribution.ledger.end(record, ordinal);
    if (record.task !== 0) this.afterEnd(record);
  }
}
