import Router from "@koa/router";
import Koa from "koa";
import { Pool } from "./lib/pool.js";

const pool = new Pool(new URL("./worker.js", import.meta.url), 2);
const router = new Router();
router.get("/documents/:document/pages", async (ctx) => {
  ctx.body = await pool.run("paginate", ctx.params.document);
});
router.get("/documents/:document/hyphens", async (ctx) => {
  ctx.body = await pool.run("hyphenate", ctx.params.document);
});
router.get("/fonts/:font", async (ctx) => {
  ctx.body = await pool.run("metrics", ctx.params.font);
});
router.get("/status", (ctx) => {
  ctx.body = { waiting: pool.waiting };
});
router.get("/health", (ctx) => {
  ctx.body = { ok: true };
});

const app = new Koa();
app.use(router.routes()).use(router.allowedMethods());
app.listen(Number(process.env.PORT), "127.0.0.1");
