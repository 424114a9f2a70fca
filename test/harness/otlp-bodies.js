/** Request bodies of OTLP Profiles for tests: one with a bit of everything, and what lies at the edges. */
"use strict";
const { OtlpProfileBuilder } = require("../../dist/export/otlp-profiles.js");

const INTERVAL_BYTES = 131_071;
const TIMES = { startMillis: 1_764_064_800_123, durationMillis: 60_000, intervalBytes: INTERVAL_BYTES };
const RESOURCE = {
  attributes: { "service.name": "shop", "process.pid": 42, "process.command_args": ["node", "server.js"] },
  schemaUrl: "https://opentelemetry.io/schemas/1.37.0",
};
const VERSION = "9.8.7";

const frame = (name, file = "/srv/app.js", line = 1, column = 1) => ({ function: name, file, line, column });

/** The frames as a call path. @param frames root to leaf. @returns the leaf. */
function path(frames) {
  return frames.reduce((parent, entry) => ({ parent, frame: entry }), null);
}

/** @param rows [[stack, kind, route, sizeBytes?, threadId?, threadName?], ...]. */
function builderOf(rows) {
  const builder = new OtlpProfileBuilder();
  for (const [stack, kind, route, size = 100, thread = 0, name = ""] of rows)
    builder.add(stack, kind, route, size, INTERVAL_BYTES, thread, name);
  return builder;
}

const encode = (builder) => builder.encode(RESOURCE, VERSION, TIMES);

const HANDLE = frame("handle", "/srv/server.js", 10, 3);
const KEEP = frame("keep", "/srv/store.js", 20, 5);
const LEAF = path([HANDLE, KEEP]);

/** Every kind of owner, two threads, an unknown place, a function at two places. */
function ordinaryRows() {
  return [
    [LEAF, "request", { name: "GET /users/:id", method: "GET", template: "/users/:id" }, 300, 0, "main"],
    [LEAF, "request", "POST /orders", 4_000, 0, "main"],
    [LEAF, "background-of", "POST /orders", 5_000, 3, "pool"],
    [path([HANDLE]), "request", "queue: invoices"],
    [path([HANDLE, { ...KEEP, column: 80 }]), "request", "PROPFIND /dav"],
    [null, "request", "GET /a"],
    ...["background", "startup", "unattributed", "agent"].map((kind) => [LEAF, kind, null]),
  ];
}

/** As many samples of different stacks, sizes 1 to `count` bytes. */
function manyRows(count) {
  return Array.from({ length: count }, (_, index) => [
    path([HANDLE, frame(`f${index % 500}`, `/srv/${index % 50}.js`, index + 1)]),
    "request",
    `GET /route/${index % 300}`,
    index + 1,
  ]);
}

const deepPath = (depth) =>
  path(Array.from({ length: depth }, (_, index) => frame(`level${index}`, "/deep.js", index)));

/** Names that break an encoder which takes text for granted. */
const ODD_NAMES = [
  "",
  "\0",
  "a\0b",
  "\ud800",
  "\udbff",
  "\udc00",
  "a\ud83d",
  "\ud83da",
  "\udc00\ud800",
  "🙂",
  "👩‍👩‍👧‍👦",
  "e\u0301",
  "\u00e9",
  "مرحبا",
  "\u202eevil\u202c",
  "\ufeffbom",
  "\uffff",
  "\ufffd",
  "\n",
  "a\nb",
  "a|b",
  "0",
  "constructor",
  "__proto__",
  "\u{10ffff}",
  "x".repeat(100_000),
  "🙂".repeat(50_000),
  `${"x".repeat(4_094)}🙂`,
  `${"x".repeat(2_046)}🙂 and more`,
];

/** Each odd name as function, file, route and thread, and a function of which nothing is known. */
function oddRows() {
  const rows = ODD_NAMES.flatMap((name, index) => [
    [path([HANDLE, frame(name, name, 7)]), "request", name, 100, 1, name],
    [path([HANDLE, frame(name)]), "request", `GET /${name}`],
    [path([frame("f", name)]), "background-of", { name: `r${index}`, method: name, template: name }],
  ]);
  return [...rows, [path([frame("", "", 0, 0)]), "request", "GET /nameless"]];
}

/** Each a name and the bodies of one capture. */
function extremeBodies() {
  const all = (builder) => builder.encodeRequests(RESOURCE, VERSION, TIMES);
  return {
    "no samples": [encode(builderOf([]))],
    "no resource": [builderOf(ordinaryRows()).encode({ attributes: {}, schemaUrl: "" }, VERSION, TIMES)],
    ordinary: [encode(builderOf(ordinaryRows()))],
    "16,000 samples": [encode(builderOf(manyRows(8_000)))],
    "several requests": all(builderOf(manyRows(20_000))),
    "stacks of 1,000 frames": [
      encode(builderOf([1, 999, 1_000].map((depth) => [deepPath(depth), "request", "GET /a"]))),
    ],
    "stacks that are cut": [encode(builderOf([1_001, 5_000].map((depth) => [deepPath(depth), "request", "GET /a"])))],
    "odd names": all(builderOf(oddRows())),
    "more than 4 MiB": all(
      builderOf(manyRows(3_000).map(([, ...rest], index) => [path([frame(`${index}${"x".repeat(4_000)}`)]), ...rest])),
    ),
  };
}

module.exports = {
  INTERVAL_BYTES,
  HANDLE,
  KEEP,
  LEAF,
  ODD_NAMES,
  RESOURCE,
  TIMES,
  VERSION,
  builderOf,
  deepPath,
  encode,
  extremeBodies,
  frame,
  manyRows,
  oddRows,
  ordinaryRows,
  path,
};
