/**
 * Runs on the service's main thread and its worker threads. Owns the records of upgraded connections (WebSockets), which
 * Node never announces as requests: the handshake, and each part of a message that comes in, is done in its context.
 * Must not add an `upgrade` listener to a server that has none: Node would then stop answering such requests itself.
 */
import { subscribe } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";
import type { Server, Socket } from "node:net";
import type { Attribution, HttpRequests } from "./http-requests";
import { type RequestRecord, runInContext } from "./request-context";

const NEW_CONNECTION = "net.server.socket";
const UPGRADED: unique symbol = Symbol("leak-agent upgraded");

type Push = (this: Upgraded, chunk: unknown, encoding?: BufferEncoding) => boolean;
type Upgraded = Socket & { server?: Server; push: Push; [UPGRADED]?: RequestRecord };

export class Upgrades {
  readonly #followed = new WeakSet<Server>();
  readonly #push: Push;
  readonly #onClose: (this: Upgraded) => void;
  readonly #onRemoved: (this: Server, name: string | symbol, listener: unknown) => void;

  #isOff = false;

  constructor(
    private readonly attribution: Attribution,
    private readonly requests: HttpRequests,
    private readonly caught: (error: unknown) => void,
  ) {
    // One function for all sockets: a closure each would make a leaked socket larger.
    this.#push = function push(chunk, encoding) {
      const original = Object.getPrototypeOf(this).push as Push;
      const record = this[UPGRADED];
      if (record === undefined) return original.call(this, chunk, encoding);
      if (chunk !== null) requests.count(record);
      return runInContext(record, original, this, chunk, encoding);
    };
    this.#onClose = function onClose() {
      const record = this[UPGRADED];
      if (record !== undefined) requests.end(record);
    };
    const removed = this.#removed;
    this.#onRemoved = function onRemoved(name, listener) {
      try {
        if (name === "upgrade") removed(this, listener);
      } catch (error) {
        caught(error);
      }
    };
  }

  follow(): void {
    subscribe(NEW_CONNECTION, this.#onConnection);
  }

  switchOff(): void {
    this.#isOff = true;
  }

  readonly #onConnection = (message: unknown): void => {
    try {
      if (!this.#isOff) this.#followServer((message as { socket: Upgraded }).socket.server);
    } catch (error) {
      this.caught(error); // What a subscriber throws ends the process.
    }
  };

  /** Follows a server from its first connection with an `upgrade` listener of its own, as long as it has one. */
  #followServer(server: Server | undefined): void {
    if (server === undefined || this.#followed.has(server) || server.listenerCount("upgrade") === 0) return;
    server.prependListener("upgrade", this.#onUpgrade);
    server.on("removeListener", this.#onRemoved);
    this.#followed.add(server);
  }

  /** At once, not at the next connection: those that are kept alive may still ask for an upgrade. */
  readonly #removed = (server: Server, listener: unknown): void => {
    const isOurs = listener === this.#onUpgrade;
    if (!this.#followed.has(server) || (!isOurs && server.listenerCount("upgrade") > 1)) return;
    this.#followed.delete(server);
    server.removeListener("removeListener", this.#onRemoved);
    if (!isOurs) server.removeListener("upgrade", this.#onUpgrade);
  };

  readonly #onUpgrade = (request: IncomingMessage, socket: Upgraded): void => {
    const record = this.#isOff ? null : this.requests.open();
    if (record === null) return;
    try {
      // The connection stays open for long: it has its name, and counts, from the start.
      record.routeIndex = this.attribution.names.upgradeRouteOf(request);
      this.requests.count(record);
      Object.defineProperty(socket, UPGRADED, { value: record });
      socket.on("close", this.#onClose);
      // Without labels, and where another tool has its own `push`, only the handshake is followed.
      if (this.attribution.labels.mechanism !== "none" && !Object.hasOwn(socket, "push")) this.#follow(socket);
      this.requests.enter(record);
    } catch (error) {
      this.caught(error);
    }
    this.attribution.labels.endAgent();
  };
  /** Not enumerable: loggers walk over the properties of sockets. */
  #follow(socket: Upgraded): void {
    Object.defineProperty(socket, "push", { configurable: true, writable: true, enumerable: false, value: this.#push });
  }
}
