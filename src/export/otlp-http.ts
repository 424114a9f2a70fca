/**
 * Runs on the agent's worker thread and in the CLI. Owns OTLP over HTTP/1.1 with binary protobuf: one POST, one outcome
 * (opentelemetry.io/docs/specs/otlp, OTLP/HTTP). Keeps one connection alive between exports, and no process.
 */
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { OtlpEndpoint } from "../config";
import { readTlsFiles, type TlsFiles } from "./otlp-endpoint";
import { cleaned, failure, MAX_ANSWER_BYTES, type OtlpSender, timedOut, userAgent, wireBody } from "./otlp-transport";
import { type ExportOutcome, httpOutcome, unreachable } from "./retry";

/** A kept connection that the backend has closed meanwhile is no failure: the body goes out on a new one. */
const CLOSED_MEANWHILE = new Set(["ECONNRESET", "EPIPE"]);

export class HttpSender implements OtlpSender {
  private readonly isTls: boolean;
  private readonly agent: HttpAgent;

  constructor(
    private readonly endpoint: OtlpEndpoint,
    private readonly version: string,
    private readonly now: () => number = Date.now,
  ) {
    this.isTls = endpoint.url.startsWith("https:");
    // Older Nodes ignore `proxyEnv`; the settings have it only where it works.
    const proxyEnv = endpoint.proxy === undefined ? {} : { proxyEnv: endpoint.proxy };
    const options = { keepAlive: true, maxSockets: 1, maxFreeSockets: 1, ...proxyEnv };
    this.agent = this.isTls ? new HttpsAgent(options) : new HttpAgent(options);
  }

  send(gzippedBody: Uint8Array): Promise<ExportOutcome> {
    const files = this.isTls ? readTlsFiles(this.endpoint) : {};
    if (typeof files === "string") return Promise.resolve(unreachable("TLS file", files));
    return new Promise((resolve) => {
      const attempt = new Attempt(this.endpoint, resolve, this.now);
      try {
        const body = wireBody(gzippedBody, this.endpoint);
        attempt.start(() => this.request(body, files), body);
      } catch (error) {
        attempt.settle(failure(error, this.endpoint));
      }
    });
  }

  close(): void {
    this.agent.destroy();
  }

  private request(body: Uint8Array, files: TlsFiles): ClientRequest {
    const { endpoint } = this;
    const headers = {
      "user-agent": userAgent(this.version),
      ...endpoint.headers,
      "content-type": "application/x-protobuf",
      "content-length": body.length,
      ...(endpoint.compression === "gzip" ? { "content-encoding": "gzip" } : {}),
    };
    const options = { method: "POST", headers, agent: this.agent };
    return this.isTls
      ? httpsRequest(endpoint.url, { ...options, ...files, minVersion: "TLSv1.2" })
      : httpRequest(endpoint.url, options);
  }
}

/** One POST from its start to its outcome. */
class Attempt {
  private isSettled = false;
  private current: ClientRequest | null = null;
  private response: IncomingMessage | null = null;
  private readonly chunks: Buffer[] = [];
  private answerBytes = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly endpoint: OtlpEndpoint,
    private readonly resolve: (outcome: ExportOutcome) => void,
    private readonly now: () => number,
  ) {
    this.timer = setTimeout(() => this.cut(timedOut(endpoint)), endpoint.timeoutMillis).unref();
  }

  start(open: () => ClientRequest, body: Uint8Array): void {
    const request = open();
    this.current = request;
    request.on("error", (error: NodeJS.ErrnoException) => {
      const isStale = request.reusedSocket && this.response === null && CLOSED_MEANWHILE.has(error.code ?? "");
      if (isStale && !this.isSettled) this.start(open, body);
      else this.cut(failure(error, this.endpoint));
    });
    request.on("response", (response) => this.receive(response));
    request.end(body);
  }

  settle(outcome: ExportOutcome): void {
    if (this.isSettled) return;
    this.isSettled = true;
    clearTimeout(this.timer);
    this.resolve(cleaned(outcome, this.endpoint));
  }

  private receive(response: IncomingMessage): void {
    this.response = response;
    response.on("data", (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.answerBytes += chunk.length;
      if (this.answerBytes > MAX_ANSWER_BYTES) this.cut(timedOut(this.endpoint));
    });
    response.on("end", () => this.settle(this.answer(response)));
    response.on("error", (error) => this.cut(failure(error, this.endpoint)));
  }

  /** The answer is not complete. Its status counts when it is there: a success sent twice would be a duplicate. */
  private cut(otherwise: ExportOutcome): void {
    this.settle(this.response === null ? otherwise : this.answer(this.response));
    this.current?.destroy();
  }

  private answer(response: IncomingMessage): ExportOutcome {
    const body = Buffer.concat(this.chunks);
    return httpOutcome(response.statusCode ?? 0, response.headers["retry-after"], body, this.now());
  }
}
