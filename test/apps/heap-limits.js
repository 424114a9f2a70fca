/**
 * A service that fills its heap, once a line comes on stdin, in the way that argv[2] names. `snapshot` has asked V8 for a
 * heap snapshot near the limit first; `worker` has only a thread of its own that fills its heap.
 */
"use strict";
const { setHeapSnapshotNearHeapLimit } = require("node:v8");
const { Worker } = require("node:worker_threads");
const { closeServer, whenServed } = require("./served");

const way = process.argv[2];
const kept = [];

const WAYS = {
  objects() {
    for (;;) kept.push({ text: `x${kept.length}` });
  },
  arrays() {
    for (;;) kept.push(new Array(10_000).fill(kept.length));
  },
  strings() {
    for (;;) kept.push(`${kept.length}${"-".repeat(40)}`.toUpperCase());
  },
  slowly() {
    for (let i = 0; i < 5_000; i++) kept.push({ text: `x${kept.length}` });
    setImmediate(WAYS.slowly);
  },
  /** Arrays without pointers: V8 that spends its time collecting may end the process before the callback added first is asked. */
  snapshot() {
    for (;;) kept.push(new Array(10_000).fill(kept.length + 0.5));
  },
  /** The heap is far from full when the one that does not fit comes. */
  large() {
    const size = 100 * 1024 * 1024;
    kept.push(new Array(size / 8).fill(0.5));
  },
  worker() {
    const source = "const kept = []; for (;;) kept.push({ text: `x${kept.length}` });";
    const thread = new Worker(source, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 24 } });
    thread.once("error", (error) => console.log(`thread failed: ${error.code}`));
    thread.once("exit", () => closeServer(server));
  },
};

if (way === "snapshot") setHeapSnapshotNearHeapLimit(1);
const server = whenServed(WAYS[way]);
