import { parentPort } from "node:worker_threads";
import { hyphenate, metrics, paginate } from "./lib/layout.js";

const TASKS = { paginate, hyphenate, metrics };

parentPort.on("message", ({ id, task, argument }) => {
  parentPort.postMessage({ id, result: TASKS[task](argument) });
});
