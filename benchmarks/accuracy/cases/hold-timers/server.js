"use strict";
const { AsyncLocalStorage } = require("node:async_hooks");
const fastify = require("fastify");
const { placeHold, extendHold } = require("./lib/holds");
const { floorPlan, priceList, seatsOf } = require("./lib/venue");

const app = fastify();
const session = new AsyncLocalStorage();

app.addHook("onRequest", (request, _reply, done) => {
  session.run({ id: request.id, path: request.url, started: Date.now(), notes: [] }, done);
});
app.register(
  async (shows) => {
    shows.post("/:show/holds", async (request) => placeHold(request.params.show, request.body, session.getStore()));
    shows.patch("/:show/holds/:hold", async (request) => extendHold(request.params.hold));
    shows.get("/:show/seats", async (request) => seatsOf(request.params.show));
    shows.get("/:show/prices", async (request) => priceList(request.params.show));
  },
  { prefix: "/shows" },
);
app.get("/floor-plan", async () => floorPlan());
app.get("/health", async () => ({ ok: true }));
app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
