/**
 * Runs on the service's main thread and its worker threads. Owns the place of a record on a request: a private field, so that
 * loggers and copies (`{...request}`, `util.inspect`) see and keep nothing of it. Costs 20 ns more than a symbol; a WeakMap 500.
 */
import type { RequestRecord } from "./request-context";

/** A class whose instance is the object that its constructor is given. */
class Given {
  constructor(given: object) {
    // biome-ignore lint/correctness/noConstructorReturn: this is how a class adds its private fields to an object.
    return given;
  }
}

export class RequestStamp extends Given {
  #record: RequestRecord;

  private constructor(request: object, record: RequestRecord) {
    super(request);
    this.#record = record;
  }

  static set(request: object, record: RequestRecord): void {
    if (#record in request) request.#record = record;
    else new RequestStamp(request, record);
  }

  static of(request: object): RequestRecord | undefined {
    return #record in request ? request.#record : undefined;
  }
}
