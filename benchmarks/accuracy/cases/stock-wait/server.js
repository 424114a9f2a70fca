"use strict";
const Router = require("@koa/router");
const Koa = require("koa");
const bodyParser = require("koa-bodyparser");
const { level, forecast, reorder } = require("./lib/stock");
const { nextChange } = require("./lib/changes");

const warehouse = new Router({ prefix: "/warehouses/:warehouse" });
warehouse.get("/items/:item", async (ctx) => {
  ctx.body = await level(ctx.params.warehouse, ctx.params.item);
});
warehouse.get("/items/:item/next-change", async (ctx) => {
  ctx.body = (await nextChange(ctx.params.item, 30)) ?? { unchanged: true };
});
warehouse.get("/forecast", async (ctx) => {
  ctx.body = await forecast(ctx.params.warehouse);
});
warehouse.post("/orders", async (ctx) => {
  ctx.body = await reorder(ctx.request.body);
});

const app = new Koa();
app.use(bodyParser());
app.use(warehouse.routes());
app.use((ctx) => {
  ctx.body = { ok: true };
});
app.listen(Number(process.env.PORT), "127.0.0.1");
