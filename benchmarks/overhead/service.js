/**
 * The measured service: `node [-r agent] service.js VARIANT PAGES`. Variants: express and fastify (the realistic ones, whose
 * requests have as much work as PAGES adds), hello and promises (the worst cases: nearly no work of their own per request).
 * Counts what it has served.
 * Where it was forked, `control.js` answers the benchmark's questions.
 */
"use strict";

const http = require("node:http");
const { routesWith } = require("./shop");

const served = { count: 0 };

function tokenOf(request) {
  return request.headers.authorization ?? "";
}

async function express(pages) {
  const framework = require("express");
  const app = framework();
  app.use(framework.json({ limit: "100kb" }));
  app.use((_request, response, next) => {
    response.setHeader("x-service", "shop");
    next();
  });
  for (const { method, path, handle } of routesWith(pages)) {
    app[method.toLowerCase()](path, async (request, response) => {
      const { params, query, body } = request;
      response.json(await handle({ params, query, body, token: tokenOf(request) }));
      served.count++;
    });
  }
  return app.listen(0, "127.0.0.1");
}

async function fastify(pages) {
  const app = require("fastify")({ logger: false });
  app.addHook("onRequest", async (_request, reply) => {
    reply.header("x-service", "shop");
  });
  for (const { method, path, handle } of routesWith(pages)) {
    app.route({
      method,
      url: path,
      handler: async (request) => {
        const { params, query, body } = request;
        const answer = await handle({ params, query, body, token: tokenOf(request) });
        served.count++;
        return answer;
      },
    });
  }
  await app.listen({ port: 0, host: "127.0.0.1" });
  return app.server;
}

function hello() {
  return http
    .createServer((request, response) => {
      request.resume();
      response.setHeader("Content-Length", 5);
      response.end("hello");
      served.count++;
    })
    .listen(0, "127.0.0.1");
}

async function step(value) {
  return value + 1;
}

/** Nothing but awaits: 21 of an async function. */
function promises() {
  return http
    .createServer(async (request, response) => {
      request.resume();
      let value = 0;
      for (let i = 0; i < 21; i++) value = await step(value);
      response.setHeader("Content-Length", 2);
      response.end(String(value));
      served.count++;
    })
    .listen(0, "127.0.0.1");
}

const VARIANTS = { express, fastify, hello, promises };

async function main() {
  const variant = VARIANTS[process.argv[2]];
  if (variant === undefined) throw new Error(`usage: service.js ${Object.keys(VARIANTS).join("|")} PAGES`);
  const server = await variant(Number(process.argv[3]));
  server.keepAliveTimeout = 0; // Never: the load keeps connections that it only needs now and then.
  if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
  if (process.send !== undefined) require("./control").answer(server.address().port, served);
}

main();
