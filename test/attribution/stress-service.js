/**
 * A service whose every retained byte has a known owner: `keep` functions carry row and route in their names, so each
 * live sample says on its stack whose it is. Started by run.js with the agent preloaded; prints one JSON line per row.
 */
"use strict";
const http = require("node:http");
const { boundaries } = require("./boundaries");
const { LineClient, LinePool, startLineServer } = require("./line-client");
const { ReportReader } = require("./report-reader");

const ROUTES = ["a", "b", "c", "d"];
const CONCURRENCY = 12;
const ARRAYS_PER_KEEP = 12;
const WORDS_PER_ARRAY = 64;
/** Enough for several hundred samples a row. */
const BYTES_PER_ROW = Number(process.env.STRESS_BYTES_PER_ROW ?? 8_000_000);

const reader = new ReportReader();

/** Repeatable choices: the same seed on each line of Node. */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const rows = [];
for (const [group, entries] of Object.entries(boundaries)) {
  for (const [name, cross] of Object.entries(entries)) {
    const only = process.env.STRESS_ROW;
    if (only !== undefined && only !== name) continue;
    rows.push({ name, cross, path: `/${group}/${name.replaceAll(" ", "-")}`, kept: [], keptBytes: 0 });
  }
}

/** A function of its own for each row and route, so that the stack of a sample tells its owner. */
function makeKeep(row, index, route) {
  const functionName = `keep_${index}_${route}`;
  const source = `return function ${functionName}() {
    row.keptBytes += ${ARRAYS_PER_KEEP * (WORDS_PER_ARRAY * 8 + 32)};
    for (let i = 0; i < ${ARRAYS_PER_KEEP}; i++) row.kept.push(new Array(${WORDS_PER_ARRAY}).fill(i));
  }`;
  return new Function("row", source)(row);
}

const handlers = new Map();
for (const [index, row] of rows.entries()) {
  for (const route of ROUTES) handlers.set(`${row.path}/${route}`, { row, keep: makeKeep(row, index, route) });
}

async function main() {
  const upstream = http.createServer((_request, response) => {
    setTimeout(() => response.write("part"), 1);
    setTimeout(() => response.end("rest"), 3);
  });
  await new Promise((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const upstreamPort = upstream.address().port;
  const { Pool } = await import("undici");
  const undiciPool = new Pool(`http://127.0.0.1:${upstreamPort}`, { connections: CONCURRENCY });
  const undiciFullPool = new Pool(`http://127.0.0.1:${upstreamPort}`, { connections: 4 });
  const linePort = await startLineServer();
  const linePool = new LinePool(linePort, 4);
  const sharedLine = new LineClient(linePort);
  const random = seeded(7);

  const server = http.createServer(async (request, response) => {
    const { row, keep } = handlers.get(request.url);
    const answer = () => {
      const closed = new Promise((resolve) => response.once("close", resolve));
      response.end("done");
      return closed;
    };
    await row.cross(keep, {
      upstreamPort,
      undiciPool,
      undiciFullPool,
      linePool,
      sharedLine,
      random,
      answer,
      request,
      response,
    });
    if (!row.cross.answersItself) answer();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await reader.awake();

  for (const row of rows) await drive(row, port);
  await reader.captureAfter(Date.now());
  for (const [index, row] of rows.entries())
    process.stdout.write(`${JSON.stringify(reader.score(index, row, ROUTES))}\n`);
  process.exit(0);
}

async function drive(row, port) {
  const agent = new http.Agent({ keepAlive: true });
  let sent = 0;
  const client = async () => {
    while (row.keptBytes < BYTES_PER_ROW) {
      const path = `${row.path}/${ROUTES[sent++ % ROUTES.length]}`;
      await new Promise((resolve, reject) => {
        const request = http.request({ port, path, agent, method: "POST" }, (response) => {
          response.resume().on("end", resolve);
          if (!row.cross.isAbandoned) return;
          request.destroy();
          response.on("close", resolve);
        });
        request.on("error", row.cross.isAbandoned ? resolve : reject).write("one part");
        // Half of the bodies come in one piece with their headers.
        if (sent % 8 < 4) request.end("another part");
        else setTimeout(() => request.end("another part"), 1);
      });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, client));
  agent.destroy();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
