/**
 * Routes that keep rows which a database driver made, in `data` events of pooled sockets that another route opened.
 * Prints the live samples of each driver's rows by owner, as one JSON line. Arguments: PostgreSQL's port, Redis's port.
 */
"use strict";
const http = require("node:http");
const { join } = require("node:path");
const { setFlagsFromString } = require("node:v8");
const { runInNewContext } = require("node:vm");
const { ReportReader } = require("./report-reader");

const DRIVERS = join(__dirname, "../frameworks/node_modules");
const { Pool } = require(join(DRIVERS, "pg"));
const Redis = require(join(DRIVERS, "ioredis"));

const [pgPort, redisPort] = process.argv.slice(2).map(Number);
const CLIENTS = 12;
const REQUESTS = 1_800;
const SQL = "select i, repeat(md5(i::text || $1), 20) as text from generate_series(1, 20) i";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
const reader = new ReportReader();
const settings = { port: pgPort, host: "127.0.0.1", user: "postgres", idleTimeoutMillis: 0 };
const pools = { roomy: new Pool({ ...settings, max: CLIENTS }), full: new Pool({ ...settings, max: 2 }) };
const redis = new Redis(redisPort, "127.0.0.1");
const kept = [];

const query = async (pool) => (await pool.query(SQL, [String(Math.random())])).rows;
const handlers = {
  "/warm": () => {
    const asleep = (pool, count) => Array.from({ length: count }, () => pool.query("select pg_sleep(0.05)"));
    return Promise.all([...asleep(pools.roomy, CLIENTS), ...asleep(pools.full, 2), redis.ping()]);
  },
  "/roomy/keep": async () => kept.push(await query(pools.roomy)),
  "/roomy/drop": () => query(pools.roomy),
  "/full/keep": async () => kept.push(await query(pools.full)),
  "/full/drop": () => query(pools.full),
  "/redis/keep": async () => kept.push(await redis.lrange("words", 0, -1)),
  "/redis/drop": () => redis.lrange("words", 0, -1),
};

const server = http.createServer(async (request, response) => {
  await handlers[request.url]();
  response.end();
});

async function main() {
  for (let i = 0; i < 40; i++) await redis.rpush("words", `${"x".repeat(400)}${i}`);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  await reader.awake();
  await get("/warm");
  for (const name of ["roomy", "full", "redis"]) {
    let sent = 0;
    const client = async () => {
      while (sent < REQUESTS) await get(`/${name}/${sent++ % 3 === 0 ? "keep" : "drop"}`);
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  }
  // A driver keeps its last answer: a small one on each connection.
  await get("/warm");
  collect();
  await reader.captureAfter(Date.now());
  process.stdout.write(`${JSON.stringify({ labels: reader.hello.labels, samples: samplesByDriver() })}\n`, () =>
    process.exit(0),
  );
}

const agent = new http.Agent({ keepAlive: true });

function get(path) {
  return new Promise((resolve, reject) => {
    const request = http.request({ port: server.address().port, path, agent }, (response) => {
      response.resume().on("end", resolve);
    });
    request.on("error", reject).end();
  });
}

function samplesByDriver() {
  const samples = {};
  const { capture } = reader.last;
  for (let i = 0; i < capture.sampleCount; i++) {
    const driver = ROW_DRIVERS.get(capture.sizesBytes[i]);
    const { kind, route } = reader.ownerOf(capture.ordinals[i]);
    if (driver === undefined) continue;
    const owner = `${kind} ${route}`.trim();
    samples[driver] ??= {};
    samples[driver][owner] = (samples[driver][owner] ?? 0) + 1;
  }
  return samples;
}

/** The strings of a row have a size that little else has: frames of a driver disappear when V8 inlines them. */
const ROW_DRIVERS = new Map([
  [656, "pg"], // 640 characters and 16 bytes of header
  [424, "ioredis"], // 401 or 402
]);

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
