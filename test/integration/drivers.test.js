/**
 * Rows that real drivers make belong to the route that asked, whoever opened the socket and whoever else waits for the
 * pool. Needs PostgreSQL and Redis on the machine, and the drivers from the npm registry: runs in CI only.
 */
"use strict";
const assert = require("node:assert/strict");
const { execFileSync, spawn, spawnSync } = require("node:child_process");
const { chownSync, existsSync, readdirSync } = require("node:fs");
const net = require("node:net");
const { join } = require("node:path");
const { before, test } = require("node:test");
const { PRELOAD, ROOT, temporaryFolder } = require("../harness/service");

const FRAMEWORKS = join(ROOT, "test/frameworks");
/** A few other things have the size of a row's string. */
const MIN_RIGHT = 0.99;

before(() => {
  if (existsSync(join(FRAMEWORKS, "node_modules/pg"))) return;
  execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: FRAMEWORKS, stdio: ["ignore", "ignore", "inherit"] });
});

function program(name) {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, "bin")) : [];
  const found = [...versions, ...process.env.PATH.split(":")].map((folder) => join(folder, name)).find(existsSync);
  assert.ok(found, `${name} is not installed: apt-get install -y --no-install-recommends postgresql redis-server`);
  return found;
}

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a server; resolves when it has printed `ready`. */
async function start(context, command, args, options, ready) {
  const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  context.after(() => child.kill("SIGKILL"));
  await new Promise((resolve, reject) => {
    let text = "";
    const heard = (chunk) => {
      text += chunk;
      if (text.includes(ready)) resolve();
    };
    child.stdout.on("data", heard);
    child.stderr.on("data", heard);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${command} ended with code ${code}:\n${text}`)));
  });
}

/** PostgreSQL refuses to run as root: Debian's package brings a user for it. */
function postgresUser() {
  if (process.getuid() !== 0) return {};
  const id = (flag) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

async function startPostgres(context) {
  const folder = temporaryFolder(context);
  const user = postgresUser();
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
  const options = { ...user, cwd: folder };
  const made = spawnSync(program("initdb"), ["-D", folder, "-A", "trust", "-U", "postgres", "--no-sync"], options);
  assert.equal(made.status, 0, String(made.stderr));
  const port = await freePort();
  const args = ["-D", folder, "-p", String(port), "-c", "listen_addresses=127.0.0.1", "-k", folder];
  await start(context, program("postgres"), args, options, "ready to accept connections");
  return port;
}

async function startRedis(context) {
  const port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", ""];
  await start(context, program("redis-server"), args, { cwd: temporaryFolder(context) }, "Ready to accept connections");
  return port;
}

function shareOf(samples, pattern) {
  let matching = 0;
  let total = 0;
  for (const [owner, count] of Object.entries(samples)) {
    total += count;
    if (pattern.test(owner)) matching += count;
  }
  assert.ok(total > 300, `too few to judge: ${JSON.stringify(samples)}`);
  return matching / total;
}

test("rows made in the sockets of a pool belong to the route that asked for them", async (context) => {
  const [pgPort, redisPort] = [await startPostgres(context), await startRedis(context)];
  const service = join(ROOT, "test/attribution/drivers-service.js");
  const output = execFileSync(process.execPath, ["-r", PRELOAD, service, String(pgPort), String(redisPort)], {
    encoding: "utf8",
    timeout: 120_000,
    env: {
      ...process.env,
      LEAK_AGENT_DIR: temporaryFolder(context),
      LEAK_AGENT_LOG: "off",
      LEAK_AGENT_HORIZON: "30s",
      LEAK_AGENT_SAMPLING_INTERVAL: "16381",
      LEAK_AGENT_PAUSE_BUDGET_MS: "1000",
    },
  });
  const { labels, samples } = JSON.parse(output);
  context.diagnostic(`labels: ${labels}; ${JSON.stringify(samples)}`);
  assert.notEqual(labels, "none");
  const right = shareOf(samples.pg, /^(request|background-of) GET \/(roomy|full)\/keep$/);
  assert.ok(right >= MIN_RIGHT, `pg: ${right} right of ${JSON.stringify(samples.pg)}`);
  // One connection for all, several answers at once: nobody's, which is better than somebody else's.
  const wrong = shareOf(samples.ioredis, /GET \/(?!redis\/keep)/);
  assert.ok(wrong <= 1 - MIN_RIGHT, `ioredis: ${wrong} wrong of ${JSON.stringify(samples.ioredis)}`);
});
