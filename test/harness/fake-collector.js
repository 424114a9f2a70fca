/**
 * A backend that misbehaves on request: OTLP over HTTP or gRPC, with or without TLS. Keeps every body it took, and how
 * often it was asked. `behave` decides what each request gets; see `ANSWERS`. Owns nothing of ours: what it decodes it
 * decodes by itself.
 */
"use strict";
const { createHash } = require("node:crypto");
const http = require("node:http");
const http2 = require("node:http2");
const https = require("node:https");
const { once } = require("node:events");
const { gunzipSync } = require("node:zlib");

/** `ExportProfilesServiceResponse` with an empty partial_success, as a Collector answers. */
const SUCCESS = Buffer.from([0x0a, 0x00]);
/** partial_success { rejected_profiles: 2, error_message: "too old" } */
const PARTIAL = Buffer.from([0x0a, 0x0b, 0x08, 0x02, 0x12, 0x07, ...Buffer.from("too old")]);

function frame(message, flag = 0) {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** google.rpc.Status with a RetryInfo of so many whole seconds. */
function retryInfo(seconds) {
  const field = (number, bytes) => Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
  const delay = field(1, Buffer.from([0x08, seconds]));
  const any = Buffer.concat([field(1, Buffer.from("type.googleapis.com/google.rpc.RetryInfo")), field(2, delay)]);
  return field(3, any).toString("base64");
}

class FakeCollector {
  /** Decoded bodies that were taken, in order; the same body may come twice. */
  received = [];
  /** The path of each of these bodies: which signal it is of. */
  paths = [];
  requests = [];
  /** (request number from 1, headers) => an answer of `HTTP_ANSWERS` or `GRPC_ANSWERS`, or a function. */
  behave = () => "ok";
  sockets = new Set();

  constructor({ protocol = "http/protobuf", tls = null } = {}) {
    this.protocol = protocol;
    this.tls = tls;
  }

  async listen(port = 0) {
    const isGrpc = this.protocol === "grpc";
    if (isGrpc) this.server = this.tls === null ? http2.createServer() : http2.createSecureServer(this.tls);
    else this.server = this.tls === null ? http.createServer() : https.createServer(this.tls);
    this.server.on(isGrpc ? "stream" : "request", isGrpc ? (s, h) => this.call(s, h) : (q, a) => this.post(q, a));
    this.server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
      socket.on("error", () => {});
    });
    this.server.on("sessionError", () => {});
    this.server.on("tlsClientError", () => {});
    this.server.on("clientError", (_error, socket) => socket.destroy());
    this.server.listen(port, "127.0.0.1");
    await once(this.server, "listening");
    this.port = this.server.address().port;
    return this;
  }

  get url() {
    return `${this.tls === null ? "http" : "https"}://127.0.0.1:${this.port}`;
  }

  /** Stops at once: nobody gets an answer any more. */
  async close() {
    if (this.server === undefined || !this.server.listening) return;
    const closed = once(this.server, "close");
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** Bodies that differ: what a broken answer made the sender repeat counts once. */
  get distinct() {
    return new Set(this.received.map((body) => createHash("sha256").update(body).digest("hex"))).size;
  }

  async post(request, response) {
    response.on("error", () => {});
    const headers = { ...request.headers, ":path": request.url };
    const number = this.note(headers);
    const answer = this.behave(number, headers);
    if (answer === "reset-request") return request.once("data", () => request.socket.destroy());
    const body = await collect(request).catch(() => null);
    if (body === null) return;
    const isGzip = request.headers["content-encoding"] === "gzip";
    const take = () => this.keep(request.url, isGzip ? gunzipSync(body) : body);
    if (typeof answer === "function") return answer(response, take);
    HTTP_ANSWERS[answer](response, take);
  }

  async call(stream, headers) {
    stream.on("error", () => {});
    const number = this.note(headers);
    const answer = this.behave(number, headers);
    if (answer === "reset-request") return stream.once("data", () => stream.session.destroy());
    const body = await collect(stream).catch(() => null);
    if (body === null || stream.destroyed) return;
    const message = body.subarray(5, 5 + body.readUInt32BE(1));
    const take = () => this.keep(headers[":path"], body[0] === 1 ? gunzipSync(message) : message);
    if (typeof answer === "function") return answer(stream, take);
    GRPC_ANSWERS[answer](stream, take);
  }

  keep(path, body) {
    this.received.push(body);
    this.paths.push(path);
  }

  note(headers) {
    this.requests.push(headers);
    return this.requests.length;
  }
}

async function collect(readable) {
  const chunks = [];
  for await (const chunk of readable) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function status(code, headers = {}, body = "") {
  return (response) => response.writeHead(code, headers).end(body);
}

/** Bytes one after the other, slowly, for as long as somebody listens. */
function trickle(writable, bytes) {
  let at = 0;
  const timer = setInterval(() => {
    if (writable.destroyed || at >= bytes.length) clearInterval(timer);
    else writable.write(bytes.subarray(at, ++at));
  }, 1_000);
  timer.unref();
}

/** What an HTTP backend may do after it has read the body. */
const HTTP_ANSWERS = {
  ok: (response, take) => {
    take();
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end(SUCCESS);
  },
  partial: (response, take) => {
    take();
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end(PARTIAL);
  },
  "garbage-body": (response, take) => {
    take();
    response.writeHead(200).end("<html>fine</html>");
  },
  "garbage-bytes": (response) => response.socket.end("SSH-2.0-OpenSSH_9.6\r\n"),
  429: status(429, { "retry-after": "1" }, "slow down"),
  503: status(503),
  400: status(400, {}, "cannot parse"),
  404: status(404, {}, "not here"),
  301: status(301, { location: "http://127.0.0.1:1/" }),
  hang: () => {},
  "reset-answer": (response) => {
    response.writeHead(503, { "content-length": 1_000 });
    response.write("x", () => response.socket.destroy());
  },
  "reset-after-200": (response, take) => {
    take();
    response.writeHead(200, { "content-length": 1_000 });
    response.write(SUCCESS, () => response.socket.destroy());
  },
  slow: (response) => trickle(response.socket, Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\n\0")),
};

function grpcStatus(code, message, trailers = {}) {
  return (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => {
      stream.sendTrailers({ "grpc-status": String(code), "grpc-message": message, ...trailers });
    });
    stream.end();
  };
}

function grpcMessage(bytes) {
  return (stream, take) => {
    take();
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(bytes);
  };
}

/** The same for gRPC. */
const GRPC_ANSWERS = {
  ok: grpcMessage(frame(SUCCESS)),
  partial: grpcMessage(frame(PARTIAL)),
  "garbage-body": grpcMessage(Buffer.from("<html>fine</html>")),
  429: grpcStatus(8, "slow%20down", { "grpc-status-details-bin": retryInfo(1) }),
  503: grpcStatus(14, "down"),
  400: grpcStatus(3, "cannot parse"),
  404: (stream) => stream.respond({ ":status": 404 }, { endStream: true }),
  exhausted: grpcStatus(8, "too large"),
  "headers-only": (stream) =>
    stream.respond({ ":status": 200, "grpc-status": "14", "grpc-message": "busy" }, { endStream: true }),
  "no-status": (stream) => stream.respond({ ":status": 200 }, { endStream: true }),
  hang: () => {},
  "reset-answer": (stream) => {
    stream.respond({ ":status": 200 });
    stream.write(Buffer.alloc(3), () => stream.session.destroy());
  },
  slow: (stream) => {
    stream.respond({ ":status": 200 });
    trickle(stream, frame(SUCCESS));
  },
};

module.exports = { FakeCollector, frame, retryInfo };
