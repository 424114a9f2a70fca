"use strict";
const Router = require("@koa/router");
const Koa = require("koa");
const { customer, trackedCount } = require("./lib/identity-map");
const { recent, view } = require("./lib/recent");

const router = new Router();
router.get("/customers/:customer", async (ctx) => {
  ctx.body = (await customer(ctx.params.customer)).card();
});
router.get("/customers/:customer/views", async (ctx) => {
  ctx.body = view(await customer(ctx.params.customer), ctx.ip);
});
router.get("/recent", (ctx) => {
  ctx.body = recent();
});
router.get("/pairs/:left/:right", async (ctx) => {
  const [left, right] = await Promise.all([customer(ctx.params.left), customer(ctx.params.right)]);
  ctx.body = { same: left === right, both: [left.card(), right.card()] };
});
router.get("/health", (ctx) => {
  ctx.body = { ok: true, tracked: trackedCount() };
});
const app = new Koa();
app.use(router.routes());
app.listen(Number(process.env.PORT), "127.0.0.1");
