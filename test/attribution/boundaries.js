/**
 * One entry per boundary that a request's context has to cross. `cross(keep)` runs inside a request, crosses its boundary
 * several times and calls `keep()` on the other side: what that allocates must belong to the request.
 */
"use strict";
const { AsyncLocalStorage, AsyncResource, executionAsyncId } = require("node:async_hooks");
const { pbkdf2, randomBytes } = require("node:crypto");
const { lookup } = require("node:dns");
const { EventEmitter, on, once } = require("node:events");
const fs = require("node:fs");
const http = require("node:http");
const { Readable, Transform, pipeline } = require("node:stream");
const timers = require("node:timers/promises");
const { gzip, gunzip } = require("node:zlib");
const { context, createContextKey } = require("@opentelemetry/api");

const call = (start) =>
  new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))));
/** Runs `start(done)`, where `done` is called on the far side of the boundary, and keeps there. */
const far = (start, keep) =>
  new Promise((resolve) =>
    start(() => {
      keep();
      resolve();
    }),
  );

const other = new AsyncLocalStorage();
const otherToo = new AsyncLocalStorage();
const KEY = createContextKey("stress");

/** Tasks of all requests share two slots; each runs in the scope of the resource made when it was queued. */
class Pool {
  constructor() {
    this.queue = [];
    this.free = 2;
  }
  run(task) {
    const resource = new AsyncResource("PoolTask");
    return new Promise((resolve) => {
      this.queue.push({ resource, task, resolve });
      this.next();
    });
  }
  next() {
    if (this.free === 0 || this.queue.length === 0) return;
    this.free--;
    const { resource, task, resolve } = this.queue.shift();
    setImmediate(() => {
      resource.runInAsyncScope(task);
      resource.emitDestroy();
      this.free++;
      this.next();
      resolve();
    });
  }
}
const pool = new Pool();
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });

/** A context made by somebody else, in which the other request's things run now and then. */
const strangers = [];
const bus = new EventEmitter();

const boundaries = {
  promises: {
    async await(keep) {
      for (let i = 0; i < 6; i++) {
        await null;
        keep();
      }
    },
    async "await deep"(keep) {
      const down = async (depth) => {
        if (depth > 0) await down(depth - 1);
        await null;
        keep();
      };
      await down(5);
    },
    then: (keep) => Promise.resolve().then(keep).then(keep).then(keep),
    catch: (keep) =>
      Promise.reject(new Error("stress"))
        .catch(keep)
        .then(() => Promise.reject(new Error("stress")))
        .catch(keep)
        .finally(keep),
    async all(keep) {
      await Promise.all([
        timers.setTimeout(1).then(keep),
        Promise.resolve().then(keep),
        timers.setImmediate().then(keep),
      ]);
      keep();
      await Promise.race([timers.setTimeout(1), timers.setTimeout(2)]);
      keep();
    },
    async thenable(keep) {
      const thenable = {
        then(resolve) {
          keep();
          setTimeout(resolve, 1);
        },
      };
      await thenable;
      keep();
      await thenable;
      keep();
    },
    async generator(keep) {
      function* steps() {
        for (let i = 0; i < 3; i++) {
          keep();
          yield i;
        }
      }
      for (const step of steps()) await step;
    },
    async "async generator"(keep) {
      async function* steps() {
        for (let i = 0; i < 3; i++) {
          await timers.setImmediate();
          keep();
          yield i;
        }
      }
      for await (const _ of steps()) keep();
    },
    async queueMicrotask(keep) {
      for (let i = 0; i < 5; i++) await far(queueMicrotask, keep);
    },
  },
  timers: {
    async nextTick(keep) {
      for (let i = 0; i < 5; i++) await far(process.nextTick, keep);
    },
    async setTimeout(keep) {
      for (let i = 0; i < 4; i++) await far((done) => setTimeout(done, 1), keep);
    },
    async setInterval(keep) {
      let left = 4;
      await new Promise((resolve) => {
        const timer = setInterval(() => {
          keep();
          if (--left === 0) {
            clearInterval(timer);
            resolve();
          }
        }, 1);
      });
    },
    async setImmediate(keep) {
      for (let i = 0; i < 5; i++) await far(setImmediate, keep);
    },
  },
  io: {
    async "fs callback"(keep) {
      for (let i = 0; i < 4; i++) await far((done) => fs.readFile(__filename, done), keep);
    },
    async "fs promise"(keep) {
      for (let i = 0; i < 4; i++) {
        await fs.promises.stat(__filename);
        keep();
      }
    },
    "fs stream": (keep) =>
      new Promise((resolve) => {
        fs.createReadStream(__filename, { highWaterMark: 2_048 })
          .on("data", keep)
          .on("close", () => {
            keep();
            resolve();
          });
      }),
    async pipeline(keep) {
      const transform = new Transform({
        transform(chunk, _encoding, done) {
          keep();
          setImmediate(done, null, chunk);
        },
      });
      await call((done) => pipeline(Readable.from(["a", "b", "c"]), transform.resume(), done));
      keep();
    },
    async crypto(keep) {
      await far((done) => randomBytes(64, done), keep);
      await far((done) => pbkdf2("a", "b", 10, 32, "sha256", done), keep);
      await far((done) => randomBytes(64, done), keep);
    },
    async zlib(keep) {
      const packed = await call((done) => gzip("some text", done));
      keep();
      await far((done) => gunzip(packed, done), keep);
      await far((done) => gzip("some text", done), keep);
    },
    async dns(keep) {
      for (let i = 0; i < 3; i++) await far((done) => lookup("localhost", done), keep);
    },
    "body events": (keep, { request }) =>
      new Promise((resolve) => {
        request.on("data", keep).on("end", () => {
          keep();
          setImmediate(() => {
            keep();
            resolve();
          });
        });
      }),
    async "body iterated"(keep, { request }) {
      for await (const _ of request) keep();
      keep();
    },
    "response events": Object.assign(
      (keep, { request, response }) =>
        new Promise((resolve) => {
          request.resume();
          response.on("finish", keep).on("close", () => {
            keep();
            resolve();
          });
          setImmediate(() => response.write("some"));
          setTimeout(() => response.end("more"), 1);
        }),
      { answersItself: true },
    ),
    async "http keep-alive"(keep, { upstreamPort }) {
      for (let i = 0; i < 3; i++) {
        await new Promise((resolve, reject) => {
          http
            .get({ port: upstreamPort, agent }, (response) => {
              keep();
              response.on("data", keep).on("end", resolve);
            })
            .on("error", reject);
        });
        keep();
      }
    },
  },
  context: {
    async emitter(keep) {
      const emitter = new EventEmitter();
      emitter.on("tick", keep);
      for (let i = 0; i < 3; i++) {
        setImmediate(() => emitter.emit("tick"));
        await once(emitter, "tick");
        keep();
      }
      setImmediate(() => {
        bus.emit("stress", 1);
      });
      for await (const _ of on(bus, "stress")) break;
      keep();
    },
    async "nested run"(keep) {
      await context.with(context.active().setValue(KEY, 1), async () => {
        keep();
        await timers.setImmediate();
        keep();
        context.with(context.active().setValue(KEY, 2), keep);
        keep();
      });
      keep();
      await context.bind(context.active(), async () => {
        await null;
        keep();
      })();
    },
    async enterWith(keep) {
      other.enterWith({ id: executionAsyncId() });
      keep();
      await timers.setImmediate();
      keep();
      otherToo.enterWith({});
      await null;
      keep();
    },
    async "other storage"(keep) {
      await other.run({}, async () => {
        keep();
        await timers.setTimeout(1);
        keep();
        otherToo.exit(keep);
      });
      keep();
    },
    async runInAsyncScope(keep) {
      const mine = new AsyncResource("Mine");
      strangers.push(new AsyncResource("Stranger"));
      await timers.setImmediate();
      // In the middle of another request's scope, back into this one's and out again.
      strangers.shift().runInAsyncScope(() => mine.runInAsyncScope(keep));
      keep();
      await null;
      strangers[0]?.runInAsyncScope(() => mine.runInAsyncScope(() => mine.runInAsyncScope(keep)));
      keep();
    },
    async "snapshot and bind"(keep) {
      const inside = AsyncLocalStorage.snapshot();
      const bound = AsyncResource.bind(keep);
      strangers.push(new AsyncResource("Stranger"));
      await timers.setImmediate();
      strangers.shift().runInAsyncScope(() => {
        inside(keep);
        bound();
      });
      keep();
      AsyncLocalStorage.bind(keep)();
      keep();
    },
    async "resource pool"(keep) {
      await Promise.all([pool.run(keep), pool.run(keep), pool.run(keep)]);
      keep();
    },
  },
};

const everything = Object.values(boundaries)
  .flatMap(Object.values)
  .filter((cross) => !cross.answersItself && !/^body/.test(cross.name));

boundaries.mixed = {
  async mix(keep, tools) {
    for (let i = 0; i < 4; i++) await everything[Math.floor(tools.random() * everything.length)](keep, tools);
  },
  async "mix side by side"(keep, tools) {
    const pick = () => everything[Math.floor(tools.random() * everything.length)](keep, tools);
    await Promise.all([pick(), pick(), pick()]);
  },
};

/** Keeps in the callbacks that undici makes from the socket. */
function dispatch(pool, keep) {
  return new Promise((resolve, reject) => {
    const done = () => {
      keep();
      resolve();
    };
    const heard = () => {
      keep();
      return true;
    };
    pool.dispatch(
      { path: "/", method: "GET" },
      {
        // Both of undici's interfaces.
        onConnect() {},
        onHeaders: () => true,
        onData: heard,
        onComplete: done,
        onError: reject,
        onRequestStart() {},
        onResponseStart() {},
        onResponseData: keep,
        onResponseEnd: done,
        onResponseError: (_controller, error) => reject(error),
      },
    );
  }).then(keep);
}

/** Rows whose allocations happen outside the request's own context or after its end, and what is right for them. */
boundaries.elsewhere = {
  /** Node calls back from a pooled socket in the context of the request that opened it. */
  "pooled socket": (keep, { linePool }) => linePool.ask(keep),
  /** Several requests wait on one socket at once: whose answer comes cannot be told, so it is nobody's. */
  "shared socket": Object.assign((keep, { sharedLine }) => sharedLine.ask(keep), {
    rightKinds: ["request", "background", "startup"],
    mayNameAnotherRoute: true,
  }),
  "undici warm pool": (keep, { undiciPool }) => dispatch(undiciPool, keep),
  /** What waits in undici's own queue is begun in the context of the request whose socket became free. */
  "undici full pool": Object.assign((keep, { undiciFullPool }) => dispatch(undiciFullPool, keep), {
    rightKinds: ["request", "background-of"],
    mayNameAnotherRoute: true,
  }),
  /** The end of a connection comes in the context in which it was made: before its first request. */
  "client goes away": Object.assign(
    (keep, { request, response }) =>
      new Promise((resolve) => {
        request.on("close", keep);
        response.on("close", keep);
        request.socket.on("close", () => {
          keep();
          setImmediate(() => {
            keep();
            resolve();
          });
        });
        response.write("some");
      }),
    { rightKinds: ["request", "background-of"], answersItself: true, isAbandoned: true },
  ),
  "after the response": Object.assign(
    async (keep, { answer }) => {
      await answer();
      await timers.setImmediate();
      await timers.setTimeout(2);
      keep();
      await timers.setTimeout(1);
      keep();
    },
    { rightKinds: ["background-of"], answersItself: true },
  ),
};

module.exports = { boundaries };
