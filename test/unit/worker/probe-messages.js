/** Makes what a probe sends: capture buffers in the layout of src/model/capture.ts, and reports around them. */
"use strict";
const {
  CAPTURE_FLAG_COMPLETE,
  CAPTURE_HEADER_BYTES,
  CAPTURE_MAGIC,
  CAPTURE_NODE_BYTES,
  CAPTURE_SAMPLE_BYTES,
  CAPTURE_VERSION,
} = require("../../../dist/model/capture.js");

const ROOT = { id: 1, parentId: 0, name: "(root)" };

/**
 * @param nodes [{ id, parentId, name, script?, line?, column? }], parents first.
 * @param samples [{ ordinal, size, node }].
 */
function encodeCapture({ nodes = [], samples = [], treeNodeCount = nodes.length, flags = CAPTURE_FLAG_COMPLETE }) {
  const strings = [];
  const stringIndex = (text) => {
    const at = strings.indexOf(text);
    return at >= 0 ? at : strings.push(text) - 1;
  };
  const rows = nodes.map((node) => [
    node.id,
    node.parentId,
    stringIndex(node.name),
    stringIndex(node.script ?? ""),
    node.scriptId ?? 0,
    node.line ?? 0,
    node.column ?? 0,
    0,
  ]);
  const encoded = strings.map((text) => Buffer.from(text));
  const nodesOffset = CAPTURE_HEADER_BYTES;
  const samplesOffset = nodesOffset + rows.length * CAPTURE_NODE_BYTES;
  const stringIndexOffset = samplesOffset + samples.length * CAPTURE_SAMPLE_BYTES;
  const stringBytesOffset = stringIndexOffset + encoded.length * 8;
  const totalBytes = stringBytesOffset + encoded.reduce((sum, bytes) => sum + bytes.length, 0);
  const buffer = new ArrayBuffer(totalBytes);
  const words = new Uint32Array(buffer, 0, stringIndexOffset / 4);
  words.set([CAPTURE_MAGIC, CAPTURE_VERSION, flags, CAPTURE_HEADER_BYTES, rows.length, nodesOffset, samples.length]);
  words.set([samplesOffset, encoded.length, stringIndexOffset, stringBytesOffset, totalBytes, treeNodeCount], 7);
  rows.forEach((row, index) => {
    words.set(row, (nodesOffset + index * CAPTURE_NODE_BYTES) / 4);
  });
  const view = new DataView(buffer);
  samples.forEach((sample, index) => {
    const at = samplesOffset + index * CAPTURE_SAMPLE_BYTES;
    view.setFloat64(at, sample.ordinal, true);
    view.setUint32(at + 8, sample.size, true);
    view.setUint32(at + 12, sample.node, true);
  });
  let at = 0;
  encoded.forEach((bytes, index) => {
    view.setUint32(stringIndexOffset + index * 8, at, true);
    view.setUint32(stringIndexOffset + index * 8 + 4, bytes.length, true);
    new Uint8Array(buffer).set(bytes, stringBytesOffset + at);
    at += bytes.length;
  });
  return buffer;
}

const packed = (rows) => Float64Array.from(rows.flat());

function route(name) {
  const [method, template] = name.split(" ");
  return { name, method, template };
}

/** A report with everything empty but what is given; `ledger`, `records`, `windows`, `requests` are lists of rows. */
function report(given = {}) {
  const { gc = {}, memory = {}, capture = null, ...rest } = given;
  const lists = {};
  for (const name of ["ledger", "records", "windows", "requests"]) lists[name] = packed(given[name] ?? []);
  return {
    type: "report",
    thread: 0,
    epoch: 1,
    intervalBytes: 65_536,
    timeMillis: 1_000_000,
    pauseMillis: 1,
    lastOrdinal: 1_000_000,
    labelsFromOrdinal: 0,
    firstRouteIndex: 0,
    newRoutes: [],
    routeAliases: [],
    ...rest,
    ...lists,
    capture: capture === null ? null : encodeCapture(capture),
    gc: {
      majorCount: 0,
      minorCount: 0,
      majorPauseNanos: 0,
      minorPauseNanos: 0,
      postMajorHeapBytes: 10_000_000,
      requestedMajorCount: 0,
      ...gc,
    },
    memory: {
      heapUsedBytes: 12_000_000,
      heapLimitBytes: 2_000_000_000,
      externalBytes: 1_000_000,
      arrayBuffersBytes: 0,
      ...memory,
    },
    counts: {
      samples: 0,
      captures: 0,
      capturesSkipped: 0,
      droppedLedgerRanges: 0,
      droppedRecords: 0,
      ringOverflows: 0,
      hookErrors: 0,
    },
  };
}

function hello(given = {}) {
  return {
    type: "hello",
    thread: 0,
    engine: "native",
    labels: "interpose",
    labelsReason: "",
    startTimeMillis: 0,
    ...given,
  };
}

module.exports = { ROOT, encodeCapture, hello, packed, report, route };
