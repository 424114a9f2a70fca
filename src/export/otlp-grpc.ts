/**
 * Runs on the agent's worker thread and in the CLI. Owns OTLP over gRPC: one unary call over node:http2, one outcome
 * (grpc/doc/PROTOCOL-HTTP2.md). Keeps one session between exports, and no process.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from "node:http2";
import type { OtlpEndpoint, OtlpSignal } from "../config";
import { gunzip } from "./compress";
import { readTlsFiles, type TlsFiles } from "./otlp-endpoint";
import { cleaned, failure, MAX_ANSWER_BYTES, type OtlpSender, timedOut, userAgent, wireBody } from "./otlp-transport";
import { type ExportOutcome, grpcOutcome, unreachable } from "./retry";

const METHODS: Readonly<Record<OtlpSignal, string>> = {
  profiles: "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/** Length-prefixed message: a flag (1 = compressed) and a big-endian length. */
const PREFIX_BYTES = 5;
/** HTTP/2 knows no connection headers, and these belong to the protocol. */
const FORBIDDEN_HEADER = /^(:|grpc-|host$|keep-alive$|proxy-connection$|upgrade$|http2-settings$)/;

const CLOSED_UNANSWERED = "closed";

type Headers = IncomingHttpHeaders & IncomingHttpStatusHeader;

export class GrpcSender implements OtlpSender {
  private session: ClientHttp2Session | null = null;
  private readonly isTls: boolean;

  constructor(
    private readonly endpoint: OtlpEndpoint,
    private readonly signal: OtlpSignal,
    private readonly version: string,
  ) {
    this.isTls = endpoint.url.startsWith("https:");
  }

  async send(gzippedBody: Uint8Array): Promise<ExportOutcome> {
    const isKept = this.session !== null;
    const outcome = await this.attempt(gzippedBody);
    // A kept connection that the backend has closed meanwhile is no failure: the body goes out on a new one.
    const isStale = isKept && outcome.kind === "retryable" && outcome.code === CLOSED_UNANSWERED;
    return isStale ? this.attempt(gzippedBody) : outcome;
  }

  private attempt(gzippedBody: Uint8Array): Promise<ExportOutcome> {
    const files = this.isTls && this.session === null ? readTlsFiles(this.endpoint) : {};
    if (typeof files === "string") return Promise.resolve(unreachable("TLS file", files));
    return new Promise((resolve) => {
      const call = new Call(this.endpoint, resolve, () => this.hangUp());
      try {
        const message = framed(wireBody(gzippedBody, this.endpoint), this.endpoint.compression === "gzip");
        const session = this.connect(files);
        call.start(session, session.request(this.headers()), message);
      } catch (error) {
        call.fail(error);
      }
    });
  }

  close(): void {
    this.hangUp();
  }

  private connect(files: TlsFiles): ClientHttp2Session {
    if (this.session !== null && !this.session.closed && !this.session.destroyed) return this.session;
    const session = connect(this.endpoint.url, { ...files, minVersion: "TLSv1.2" });
    const forget = (): void => {
      if (this.session === session) this.session = null;
    };
    session.on("error", forget); // Its calls hear of it too, and tell the reason.
    session.on("close", forget);
    session.on("goaway", forget);
    session.unref();
    this.session = session;
    return session;
  }

  private hangUp(): void {
    this.session?.destroy();
    this.session = null;
  }

  private headers(): Record<string, string> {
    const { endpoint } = this;
    const own = Object.entries(endpoint.headers).filter(([name]) => !FORBIDDEN_HEADER.test(name));
    return {
      "user-agent": userAgent(this.version),
      ...Object.fromEntries(own),
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: METHODS[this.signal],
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      [constants.HTTP2_HEADER_TE]: "trailers",
      "grpc-timeout": grpcTimeout(endpoint.timeoutMillis),
      "grpc-accept-encoding": "identity, gzip",
      ...(endpoint.compression === "gzip" ? { "grpc-encoding": "gzip" } : {}),
    };
  }
}

/** One call from its start to its outcome. */
class Call {
  private isSettled = false;
  private headers: Headers = {};
  private trailers: IncomingHttpHeaders | null = null;
  private isHeadersOnly = false;
  private readonly chunks: Buffer[] = [];
  private answerBytes = 0;
  private readonly timer: NodeJS.Timeout;
  private session: ClientHttp2Session | null = null;
  private stream: ClientHttp2Stream | null = null;
  private readonly onSessionError = (error: Error): void => this.fail(error);

  constructor(
    private readonly endpoint: OtlpEndpoint,
    private readonly resolve: (outcome: ExportOutcome) => void,
    private readonly hangUp: () => void,
  ) {
    // A connection that does not answer may be dead for good: the next call opens a new one.
    this.timer = setTimeout(() => this.settle(timedOut(endpoint), true), endpoint.timeoutMillis).unref();
  }

  start(session: ClientHttp2Session, stream: ClientHttp2Stream, message: Uint8Array): void {
    this.session = session;
    this.stream = stream;
    // The session knows the reason: refused, wrong certificate. Its streams are only told that they are cancelled.
    session.prependListener("error", this.onSessionError);
    stream.on("response", (headers, flags) => {
      this.headers = headers;
      this.isHeadersOnly = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    });
    stream.on("trailers", (trailers) => {
      this.trailers = trailers;
    });
    stream.on("data", (chunk: Buffer) => {
      this.answerBytes += chunk.length;
      if (this.answerBytes <= MAX_ANSWER_BYTES) this.chunks.push(chunk);
      else this.settle(unreachable("answer", `the answer is longer than ${MAX_ANSWER_BYTES} bytes`), true);
    });
    stream.on("error", () => {}); // "close" follows.
    // When the session breaks, it tells the reason a moment after its streams have closed.
    stream.on("close", () => setImmediate(() => this.finish()));
    stream.end(message);
  }

  fail(error: unknown): void {
    this.settle(this.answer() ?? failure(error, this.endpoint), true);
  }

  private finish(): void {
    const answer = this.answer();
    const code = this.headers[":status"] === undefined ? CLOSED_UNANSWERED : "connection";
    const cut = unreachable(code, "the connection was closed before the answer was complete");
    this.settle(answer ?? cut, answer === null);
  }

  private settle(outcome: ExportOutcome, hangUp: boolean): void {
    if (this.isSettled) return;
    this.isSettled = true;
    clearTimeout(this.timer);
    this.session?.off("error", this.onSessionError);
    if (hangUp) {
      this.stream?.close(constants.NGHTTP2_CANCEL);
      this.hangUp();
    }
    this.resolve(cleaned(outcome, this.endpoint));
  }

  /** @returns null while the call's status has not come. */
  private answer(): ExportOutcome | null {
    // A short answer has its status among the headers.
    const status = this.trailers ?? this.headers;
    const number = /^\d+$/.test(String(status["grpc-status"])) ? Number(status["grpc-status"]) : null;
    const httpStatus = this.headers[":status"] ?? 0;
    const isComplete = number !== null || this.trailers !== null || this.isHeadersOnly;
    if (!isComplete && (httpStatus === 0 || httpStatus === 200)) return null;
    const details = Buffer.from(String(status["grpc-status-details-bin"] ?? ""), "base64");
    return grpcOutcome(httpStatus, number, decodedMessage(status["grpc-message"]), details, this.message());
  }

  /** The answer's message; empty when it is cut or compressed in a way that was not offered. */
  private message(): Uint8Array {
    const bytes = Buffer.concat(this.chunks);
    if (bytes.length < PREFIX_BYTES) return new Uint8Array(0);
    const message = bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + bytes.readUInt32BE(1));
    if (bytes[0] !== 1) return message;
    try {
      return gunzip(message, MAX_ANSWER_BYTES);
    } catch {
      return new Uint8Array(0); // The status has said what counts.
    }
  }
}

function framed(message: Uint8Array, isCompressed: boolean): Uint8Array {
  const frame = Buffer.alloc(PREFIX_BYTES + message.length);
  frame.writeUInt8(isCompressed ? 1 : 0, 0);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** At most eight digits and a unit. */
function grpcTimeout(millis: number): string {
  return millis < 1e8 ? `${millis}m` : `${Math.ceil(millis / 1_000)}S`;
}

/** `grpc-message` is percent-encoded. */
function decodedMessage(value: string | string[] | undefined): string {
  const text = Array.isArray(value) ? value.join(" ") : (value ?? "");
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
