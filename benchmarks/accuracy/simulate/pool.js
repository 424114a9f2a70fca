/** Runs jobs on worker threads and keeps their order; also the body of each worker. Owns no result. */
"use strict";
const { Worker, isMainThread, parentPort } = require("node:worker_threads");

if (!isMainThread) {
  const { run } = require("./run.js");
  parentPort.on("message", (job) => parentPort.postMessage(run(job)));
}

/**
 * @returns results in the order of the jobs, whichever thread did them; undefined where `stopped` resolved first.
 * @param onDone called after each.
 */
function runAll(jobs, threads, onDone, stopped) {
  return new Promise((resolve, reject) => {
    const results = new Array(jobs.length);
    let next = 0;
    let done = 0;
    const workers = Array.from({ length: Math.min(threads, jobs.length) }, () => new Worker(__filename));
    const finish = (error) => {
      for (const worker of workers) worker.terminate();
      if (error === null) resolve(results);
      else reject(error);
    };
    for (const worker of workers) {
      let mine = -1;
      const give = () => {
        mine = next++;
        if (mine < jobs.length) worker.postMessage(jobs[mine]);
      };
      worker.on("message", (result) => {
        results[mine] = result;
        done++;
        onDone(done, jobs.length, result);
        if (done === jobs.length) finish(null);
        else give();
      });
      worker.on("error", finish);
      give();
    }
    if (jobs.length === 0) finish(null);
    stopped.then(() => finish(null));
  });
}

module.exports = { runAll };
