"use strict";
const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { after, before, describe, test } = require("node:test");

const HARNESS = path.resolve(__dirname, "..", "..", "benchmarks", "accuracy");

/** An agent that says what it is told to: the harness is under test here, not the detector. */
const FAKE_AGENT = `
const fs = require("node:fs");
const path = require("node:path");
const say = path.join(process.cwd(), "say.jsonl");
const folder = process.env.LEAK_AGENT_DIR;
const settings = Object.keys(process.env).filter((name) => /^(LEAK_AGENT_|OTEL_|NODE_OPTIONS|NODE_ENV)/.test(name)).sort();
process.stderr.write("leak-agent fake: " + settings.join(",") + " " + process.env.LEAK_AGENT_HORIZON + "\\n");
if (fs.existsSync(say)) {
  const record = { ...JSON.parse(fs.readFileSync(say, "utf8")), time: new Date().toISOString() };
  fs.writeFileSync(path.join(folder, "findings.jsonl"), JSON.stringify(record) + "\\n{\\"half");
}
`;
const SERVICE = `
require("node:http").createServer((request, response) => response.end("{}")).listen(process.env.PORT, "127.0.0.1");
`;
const ALARM = {
  id: "a1",
  verdict: "leak",
  route: { name: "GET /items/:id", kind: "request" },
  otherRoutes: [],
  site: { function: "keep", file: "server.js", line: 2, package: "app", original: null },
  appFrame: null,
  growth: { bytesPerRequest: 100 },
};

let folder;
before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "leak-agent-test-"));
  fs.cpSync(HARNESS, path.join(folder, "agent", "benchmarks", "accuracy"), { recursive: true });
  write("agent/package.json", JSON.stringify({ name: "leak-agent", main: "dist/preload.js" }));
  write("agent/dist/preload.js", FAKE_AGENT);
  const leaks = [
    { route: "GET /items/:id", fileRegex: "server\\.js", functionRegex: "keep", expectedBytesPerRequest: 50 },
  ];
  makeCase("found", { healthy: false, leaks }, ALARM);
  makeCase("missed", { healthy: false, leaks }, null);
  makeCase("quiet", { healthy: true, leaks: [] }, { ...ALARM, verdict: "watch" });
  makeCase("crying", { healthy: true, leaks: [] }, ALARM);
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));

function write(file, text) {
  const full = path.join(folder, file);
  fs.mkdirSync(path.dirname(full), { recursive: true });
  fs.writeFileSync(full, text);
}

function makeCase(name, truth, record) {
  write(`corpus/cases/${name}/package.json`, JSON.stringify({ name, version: "1.0.0", private: true }));
  write(`corpus/cases/${name}/server.js`, SERVICE);
  write(`corpus/cases/${name}/truth.json`, JSON.stringify(truth));
  write(`corpus/cases/${name}/load.json`, JSON.stringify([{ method: "GET", path: "/items/{id}", rate: 50 }]));
  if (record !== null) write(`corpus/cases/${name}/say.jsonl`, JSON.stringify(record));
}

async function evaluate(args) {
  const env = {
    ...process.env,
    XDG_CACHE_HOME: path.join(folder, "cache"),
    LEAK_AGENT_LABELS: "off",
    OTEL_SERVICE_NAME: "x",
  };
  const child = spawn(process.execPath, [path.join(folder, "agent", "benchmarks", "accuracy", "eval.js"), ...args], {
    env,
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  const [code] = await once(child, "close");
  return { code, output };
}

const corpus = () => ["--corpus", path.join(folder, "corpus"), "--seconds", "2"];

describe("npm run eval", () => {
  test("exits 0 when every chosen case is right, and leaves raw results", async () => {
    const json = path.join(folder, "results.jsonl");
    const { code, output } = await evaluate([...corpus(), "--case", "found,quiet", "--parallel", "2", "--json", json]);
    assert.equal(code, 0, output);
    assert.match(output, /cases right 2 of 2/);
    const results = fs.readFileSync(json, "utf8").trim().split("\n").map(JSON.parse);
    const found = results.find((result) => result.case === "found");
    assert.equal(found.score.leaks[0].bytesRatio, 2);
    assert.deepEqual(found.load.errors, {});
    assert.ok(found.load.answered["GET /items/:id"] > 0);
    assert.deepEqual(found.exited, { code: null, signal: "SIGTERM" });
    assert.deepEqual(found.agentLines, [
      "leak-agent fake: LEAK_AGENT_DIR,LEAK_AGENT_HORIZON,NODE_ENV,NODE_OPTIONS 30s",
    ]);
  });

  test("exits 1 on a missed leak and on a false alarm", async () => {
    const missed = await evaluate([...corpus(), "--case", "missed"]);
    assert.equal(missed.code, 1, missed.output);
    assert.match(missed.output, /missed +silent .*WRONG/);
    const crying = await evaluate([...corpus(), "--case", "crying"]);
    assert.equal(crying.code, 1, crying.output);
    assert.match(crying.output, /crying +alarm .*WRONG/);
  });

  test("exits 2 on wrong usage and says what is there", async () => {
    const unknown = await evaluate([...corpus(), "--case", "nothing"]);
    assert.equal(unknown.code, 2);
    assert.match(unknown.output, /no case nothing .*crying, found, missed, quiet/);
    assert.equal((await evaluate([])).code, 2);
    assert.equal((await evaluate(["--corpus", path.join(folder, "absent")])).code, 2);
    assert.equal((await evaluate([...corpus(), "--seconds", "no"])).code, 2);
  });
});
