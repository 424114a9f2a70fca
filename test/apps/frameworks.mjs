/**
 * One small service in the framework named by the first argument, asked for the same paths in each; an ECMAScript module,
 * as the frameworks themselves are not. The packages come from test/frameworks; prints "asked" when all is answered.
 */

import http from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(new URL("../frameworks/package.json", import.meta.url));
const load = async (name) => (await import(pathToFileURL(require.resolve(name)))).default;
const never = () => new Promise(() => {});

const starts = {
  async express(name) {
    const express = await load(name);
    const app = express();
    app.use((request, response, next) => (request.headers.refuse ? response.status(401).end() : next()));
    const shop = express.Router();
    shop.get("/broken/:id", (_request, _response, next) => next(new Error("broken")));
    shop.get("/", (_request, response) => response.send("shop"));
    shop.get("/items/:item/parts/:part", async (_request, response) => {
      await null;
      response.json({});
    });
    app.use("/shop", shop);
    app.get("/users/:id", (_request, response) => response.send("user"));
    app.get("/slow/:id", never);
    // Express tells an error handler from others by its four parameters.
    app.use((_error, _request, response, _next) => response.status(500).end());
    return new Promise((resolve) => {
      const server = app.listen(0, "127.0.0.1", () => resolve(server.address().port));
    });
  },
  async fastify(name) {
    const app = (await load(name))();
    app.get("/users/:id", async () => "user");
    app.get("/slow/:id", never);
    app.register(
      async (shop) => {
        shop.get("/", async () => "shop");
        shop.get("/items/:item/parts/:part", async () => ({}));
      },
      { prefix: "/shop" },
    );
    await app.listen({ port: 0, host: "127.0.0.1" });
    return app.server.address().port;
  },
  async koa(name) {
    const Koa = await load(name);
    const Router = await load("@koa/router");
    const answer = (context) => {
      context.body = "answer";
    };
    const shop = new Router({ prefix: "/shop" }).get("/", answer).get("/items/:item/parts/:part", answer);
    const router = new Router().get("/users/:id", answer).get("/slow/:id", never);
    const app = new Koa().use(router.routes()).use(shop.routes());
    return new Promise((resolve) => {
      const server = app.listen(0, "127.0.0.1", () => resolve(server.address().port));
    });
  },
  async hapi() {
    const Hapi = await load("@hapi/hapi");
    const server = Hapi.server({ port: 0, host: "127.0.0.1" });
    const paths = ["/users/{id}", "/shop", "/shop/items/{item}/parts/{part}"];
    server.route(paths.map((path) => ({ method: "GET", path, handler: () => "answer" })));
    server.route({ method: "GET", path: "/slow/{id}", handler: never });
    await server.start();
    return server.info.port;
  },
};

function ask(port, path, { method = "GET", leaveEarly = false, headers = {} } = {}) {
  return new Promise((resolve) => {
    const request = http.request({ port, path, method, headers, agent: false }, (response) =>
      response.resume().on("end", resolve),
    );
    request.on("error", resolve).end();
    if (leaveEarly) setTimeout(() => request.destroy(), 200);
  });
}

const name = process.argv[2];
const port = await starts[name.split("-")[0]](name);
for (const path of ["/users/42", "/users/bob?secret=1", "/shop", "/shop/items/a/parts/b", "/no/such/page"])
  await ask(port, path);
await ask(port, "/users/42", { method: "HEAD" });
await ask(port, "/slow/1", { leaveEarly: true });
if (name.startsWith("express")) {
  await ask(port, "/shop/broken/1");
  for (const path of ["/users/alice", "/shop/items/a/parts/c", "/shop/nobody", "/shop/nobody"])
    await ask(port, path, { headers: { refuse: "1" } });
}
console.log("asked");
process.stdin.on("end", () => process.exit(0)).resume();
