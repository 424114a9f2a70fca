import { Worker } from "node:worker_threads";

/** Hands jobs to a fixed number of threads in turn. */
export class Pool {
  #workers;
  #jobs = new Map();
  #next = 0;

  constructor(file, size) {
    this.#workers = Array.from({ length: size }, () => {
      const worker = new Worker(file);
      worker.on("message", ({ id, result }) => {
        this.#jobs.get(id)?.(result);
        this.#jobs.delete(id);
      });
      return worker;
    });
  }

  get waiting() {
    return this.#jobs.size;
  }

  run(task, argument) {
    const id = this.#next++;
    const worker = this.#workers[id % this.#workers.length];
    return new Promise((resolve) => {
      this.#jobs.set(id, resolve);
      worker.postMessage({ id, task, argument });
    });
  }
}
