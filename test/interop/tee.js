/**
 * Stands between the agent and a Collector: keeps every request body, passes it on as it came, and the answer back. Closes
 * the connection when the Collector is away, as if nobody listened.
 */
"use strict";
const http = require("node:http");
const http2 = require("node:http2");
const { once } = require("node:events");
const { gunzipSync } = require("node:zlib");

const GRPC_PREFIX_BYTES = 5;

class Tee {
  /** { signal, headers, body, status }: body uncompressed, status 0 when there was no answer. In order of arrival. */
  requests = [];
  sockets = new Set();

  /** @param protocol `http/protobuf` or `grpc`. @param target URL of the Collector. */
  constructor(protocol, target) {
    this.isGrpc = protocol === "grpc";
    this.target = new URL(target);
  }

  async listen(port = 0) {
    this.server = this.isGrpc ? http2.createServer() : http.createServer();
    // A sender that gives up leaves a request behind: its connection goes, the next one comes anew.
    if (this.isGrpc)
      this.server.on("stream", (stream, headers) => {
        this.call(stream, headers).catch(() => stream.session?.destroy());
      });
    else
      this.server.on("request", (request, response) => {
        this.post(request, response).catch(() => request.socket.destroy());
      });
    this.server.on("sessionError", () => {});
    this.server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.sockets.delete(socket));
    });
    this.server.listen(port, "127.0.0.1");
    await once(this.server, "listening");
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  async close() {
    if (!this.server.listening) return;
    const closed = once(this.server, "close");
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** What was answered with success, of one signal. */
  taken(signal) {
    return this.requests.filter((request) => request.signal === signal && request.status === 200);
  }

  async post(request, response) {
    const body = await collect(request);
    const isGzip = request.headers["content-encoding"] === "gzip";
    const entry = this.note(request.url, request.headers, isGzip ? gunzipSync(body) : body);
    const options = { host: this.target.hostname, port: this.target.port, path: request.url, method: request.method };
    const onward = http.request({ ...options, headers: request.headers, agent: false }, async (answer) => {
      const bytes = await collect(answer);
      entry.status = answer.statusCode;
      const { "transfer-encoding": _chunked, connection: _hop, ...headers } = answer.headers;
      response.writeHead(answer.statusCode, { ...headers, "content-length": bytes.length }).end(bytes);
    });
    onward.on("error", () => request.socket.destroy());
    onward.end(body);
  }

  async call(stream, headers) {
    stream.on("error", () => {});
    const body = await collect(stream);
    const message = body.subarray(GRPC_PREFIX_BYTES);
    const entry = this.note(headers[":path"], headers, body[0] === 1 ? gunzipSync(message) : message);
    const session = http2.connect(this.target.href);
    session.on("error", () => stream.session?.destroy());
    const own = Object.entries(headers).filter(([name]) => !/^:(authority|scheme)$/.test(name));
    const onward = session.request(Object.fromEntries(own));
    onward.on("error", () => stream.session?.destroy());
    onward.end(body);
    let trailers = {};
    onward.on("response", (answer) => {
      if (stream.destroyed) return; // The sender has given up meanwhile.
      // Also the encoding, without which a compressed answer cannot be read.
      const { "grpc-status": code, "grpc-message": text, ...rest } = answer;
      if (code !== undefined) trailers = { "grpc-status": code, "grpc-message": text };
      stream.respond(rest, { waitForTrailers: true });
      stream.on("wantTrailers", () => {
        const { "grpc-status": code, "grpc-message": text } = trailers;
        entry.status = code === "0" ? 200 : Number(code);
        stream.sendTrailers({ "grpc-status": code, ...(text === undefined ? {} : { "grpc-message": text }) });
      });
    });
    onward.on("trailers", (received) => {
      trailers = received;
    });
    const bytes = await collect(onward);
    session.close();
    if (!stream.destroyed) stream.end(bytes);
  }

  note(path, headers, body) {
    const entry = { signal: /profiles|metrics|logs/.exec(path)?.[0] ?? path, headers, body, status: 0 };
    this.requests.push(entry);
    return entry;
  }
}

async function collect(readable) {
  const chunks = [];
  for await (const chunk of readable) chunks.push(chunk);
  return Buffer.concat(chunks);
}

module.exports = { Tee };
