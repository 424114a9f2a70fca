/**
 * An OTLP backend in memory, over HTTP: keeps what comes, answers as told. Bodies are in the protobuf protocol's JSON form,
 * which the SDK's other encoder makes of the same data and a test can read; of protobuf it decodes what a test asks for.
 */
"use strict";
const http = require("node:http");
const { EventEmitter, once } = require("node:events");
const { gunzipSync } = require("node:zlib");

/** @returns {Promise<OtlpReceiver>} listening on a port of its own until the test ends. */
async function startReceiver(context) {
  const receiver = new OtlpReceiver();
  receiver.server.listen(0, "127.0.0.1");
  await once(receiver.server, "listening");
  context.after(() => {
    receiver.server.closeAllConnections();
    receiver.server.close();
  });
  return receiver;
}

class OtlpReceiver {
  constructor() {
    this.requests = [];
    /** Status of the next answers; 200 when empty. */
    this.statuses = [];
    /** Status of every answer on a path. */
    this.statusOf = {};
    /** Partial success of the answers, by path: { rejected, message }. */
    this.answerOf = {};
    this.events = new EventEmitter();
    this.server = http.createServer((request, response) => this.#receive(request, response));
  }

  get url() {
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  #receive(request, response) {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const raw = Buffer.concat(chunks);
      const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
      const status = this.statuses.shift() ?? this.statusOf[request.url] ?? 200;
      this.requests.push({ path: request.url, headers: request.headers, body, status });
      response.writeHead(status, { "content-type": request.headers["content-type"] });
      response.end(partialSuccess(this.answerOf[request.url]));
      this.events.emit("request");
    });
  }

  /** Ends when `isTrue()` after a request. */
  async until(isTrue) {
    while (!isTrue()) await once(this.events, "request");
  }

  /** Bodies that were taken, of one path. */
  accepted(path) {
    return this.requests.filter((request) => request.path === path && request.status === 200);
  }

  /** The metrics of the last request by name: { unit, kind, isMonotonic, temporality, points: [{ attributes, value }] }. */
  metrics() {
    const last = this.accepted("/v1/metrics").at(-1);
    if (last === undefined) return new Map();
    const [{ scopeMetrics }] = JSON.parse(last.body).resourceMetrics;
    return new Map(scopeMetrics.flatMap(({ metrics }) => metrics.map((metric) => [metric.name, readMetric(metric)])));
  }

  resource(path) {
    const [resource] = Object.values(JSON.parse(this.accepted(path).at(-1).body)).flat();
    return attributesOf(resource.resource.attributes);
  }

  /** Log records of every request that was taken, in order, with attributes and body as plain values. */
  logRecords() {
    return this.accepted("/v1/logs").flatMap(({ body }) =>
      JSON.parse(body)
        .resourceLogs.flatMap(({ scopeLogs }) => scopeLogs)
        .flatMap(({ logRecords }) => logRecords)
        .map((record) => ({ ...record, attributes: attributesOf(record.attributes), body: plain(record.body) })),
    );
  }
}

/** Export<Signal>ServiceResponse { partial_success=1 { rejected=1, error_message=2 } } of small numbers and texts. */
function partialSuccess(answer) {
  if (answer === undefined) return "";
  const { rejected = 0, message = "" } = answer;
  const inside = Buffer.from([0x08, rejected, 0x12, message.length, ...Buffer.from(message)]);
  return Buffer.from([0x0a, inside.length, ...inside]);
}

function readMetric(metric) {
  const kind = ["sum", "gauge", "histogram"].find((name) => metric[name] !== undefined);
  const { dataPoints, isMonotonic, aggregationTemporality } = metric[kind];
  return {
    unit: metric.unit,
    kind,
    isMonotonic,
    temporality: aggregationTemporality,
    points: dataPoints.map((point) => ({
      ...point,
      attributes: attributesOf(point.attributes),
      value: point.asDouble ?? Number(point.asInt),
    })),
  };
}

function attributesOf(attributes) {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]));
}

/** An `AnyValue` as the value it stands for; an empty one is null. */
function plain(value) {
  const [[kind, content] = []] = Object.entries(value);
  if (kind === undefined) return null;
  if (kind === "arrayValue") return content.values.map(plain);
  if (kind === "kvlistValue") return attributesOf(content.values);
  return kind === "intValue" ? Number(content) : content;
}

/**
 * The length-delimited fields of a protobuf message, by number: just enough to find strings in an OTLP body.
 * @returns {Map<number, Buffer[]>}
 */
function fieldsOf(message) {
  const fields = new Map();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const wire = tag % 8;
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else {
      const length = varint();
      const number = Math.floor(tag / 8);
      fields.set(number, [...(fields.get(number) ?? []), message.subarray(at, at + length)]);
      at += length;
    }
  }
  return fields;
}

module.exports = { fieldsOf, startReceiver };
