/**
 * Reads what the probe of this process tells its worker, and says for each live sample who owns it. Independent of the
 * agent's own worker, which gets the same reports.
 */
"use strict";
const { EventEmitter, once } = require("node:events");
const { join } = require("node:path");
const { Worker } = require("node:worker_threads");

const DIST = process.env.STRESS_DIST ?? join(__dirname, "../../dist");
const { decodeCapture } = require(join(DIST, "model/capture"));

class ReportReader extends EventEmitter {
  constructor() {
    super();
    this.routes = [{ name: "(other)" }];
    this.aliases = new Map();
    this.ranges = [];
    this.records = new Map();
    this.nodes = new Map();
    this.last = null;
    this.hello = null;
    const reader = this;
    const post = Worker.prototype.postMessage;
    // Read before it is sent: the buffers of a report are gone afterwards.
    Worker.prototype.postMessage = function (message, ...rest) {
      if (message?.type === "report") reader.absorb(message);
      if (message?.type === "hello") {
        reader.hello = message;
        reader.emit("hello");
      }
      return post.call(this, message, ...rest);
    };
  }

  async awake() {
    if (this.hello === null) await once(this, "hello");
  }

  async captureAfter(millis) {
    while (this.last === null || this.last.timeMillis <= millis) await once(this, "capture");
    // Ends of requests that were told after that capture belong to it too.
    const { timeMillis } = this.last;
    while (this.last.timeMillis <= timeMillis) await once(this, "capture");
  }

  absorb(report) {
    for (const [index, route] of report.newRoutes.entries()) this.routes[report.firstRouteIndex + index] = route;
    for (const [from, to] of report.routeAliases) this.aliases.set(from, to);
    for (let at = 0; at < report.ledger.length; at += 3) {
      const [first, last, token] = report.ledger.subarray(at, at + 3);
      if (last < first || (this.ranges.length > 0 && first <= this.ranges.at(-1).last))
        throw new Error("ranges overlap");
      this.ranges.push({ first, last, token });
    }
    for (let at = 0; at < report.records.length; at += 3) {
      const [id, routeIndex, endOrdinal] = report.records.subarray(at, at + 3);
      this.records.set(id, { routeIndex, endOrdinal });
    }
    if (report.capture === null) return;
    const capture = decodeCapture(report.capture);
    for (const node of capture.newNodes) this.nodes.set(node.id, node);
    this.last = { capture, timeMillis: report.timeMillis, counts: report.counts };
    this.emit("capture");
  }

  /** @returns kind and route name of the owner of one ordinal. */
  ownerOf(ordinal) {
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ranges[middle].last < ordinal) low = middle + 1;
      else high = middle;
    }
    const range = this.ranges[low];
    if (range === undefined || range.first > ordinal) return { kind: "unattributed", route: "" };
    if (range.token <= 0) {
      return {
        kind: { 0: "background", "-1": "startup", "-2": "unattributed", "-3": "agent" }[range.token],
        route: "",
      };
    }
    const record = this.records.get(range.token);
    if (record === undefined || record.endOrdinal === Number.POSITIVE_INFINITY) return { kind: "pending", route: "" };
    let { routeIndex } = record;
    while (this.aliases.has(routeIndex)) routeIndex = this.aliases.get(routeIndex);
    const kind = ordinal > record.endOrdinal ? "background-of" : "request";
    return { kind, route: this.routes[routeIndex].name };
  }

  functionOf(nodeId, pattern) {
    for (let node = this.nodes.get(nodeId); node !== undefined; node = this.nodes.get(node.parentId)) {
      const match = pattern.exec(node.functionName);
      if (match !== null) return match;
    }
    return null;
  }

  /** Shares of the live bytes of one row by whether their owner is right. */
  score(index, row, routes) {
    const pattern = new RegExp(`^keep_${index}_([${routes.join("")}])$`);
    const { capture, counts } = this.last;
    const bytes = { right: 0, wrongRoute: 0, other: 0 };
    const owners = {};
    let samples = 0;
    for (let i = 0; i < capture.sampleCount; i++) {
      const match = this.functionOf(capture.nodeIds[i], pattern);
      if (match === null) continue;
      samples++;
      const owner = this.ownerOf(capture.ordinals[i]);
      const expected = `POST ${row.path}/${match[1]}`;
      const kinds = row.cross.rightKinds ?? ["request"];
      const isRoute = owner.route === expected || (row.cross.mayNameAnotherRoute === true && owner.kind !== "request");
      const verdict =
        kinds.includes(owner.kind) && isRoute ? "right" : owner.kind === "request" ? "wrongRoute" : "other";
      bytes[verdict] += capture.sizesBytes[i];
      const label = `${owner.kind} ${owner.route === expected ? "own" : owner.route === "" ? "" : "another"}`.trim();
      owners[label] = (owners[label] ?? 0) + 1;
    }
    const total = bytes.right + bytes.wrongRoute + bytes.other;
    return {
      row: row.name,
      labels: this.hello.labels,
      labelsReason: this.hello.labelsReason,
      node: process.version,
      samples,
      right: bytes.right / total,
      wrongRoute: bytes.wrongRoute / total,
      unattributed: bytes.other / total,
      owners,
      ringOverflows: counts.ringOverflows,
      droppedLedgerRanges: counts.droppedLedgerRanges,
    };
  }
}

module.exports = { ReportReader };
