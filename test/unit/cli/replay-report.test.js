"use strict";
const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
  statSync,
  writeFileSync,
  utimesSync,
} = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const {
  CLI,
  HEALTHY,
  LEAKING,
  START_MILLIS,
  cleanEnvironment,
  runCli,
  temporaryFolder,
  writeFindings,
  writeHistory,
  writeLife,
} = require("./fixtures");

function lines(text) {
  return text.split("\n").filter((line) => line !== "");
}

function width(text) {
  return Math.max(...text.split("\n").map((line) => line.length));
}

async function findingsOf(history) {
  const { stdout } = await runCli(["replay", history, "--json"]);
  return lines(stdout).map((line) => JSON.parse(line));
}

test("replay of a leaking service prints each change of its verdict with its time, and exits 1", async (context) => {
  const history = writeHistory(temporaryFolder(context), LEAKING);
  const { code, stdout, stderr } = await runCli(["replay", history]);
  assert.equal(stderr, "");
  assert.equal(code, 1);
  assert.match(stdout, /^history-20261125T100000000Z-4321\.jsonl: shop, process 4321/);
  assert.match(stdout, /^\+3\d s {2}WATCH \(\w+\) {2}GET \/leak\/:id at /m);
  assert.match(stdout, /^\+1 min \d+ s {2}LEAK .*node_modules\/pkg\/index\.js:5 remember \[pkg\] \(was \w+\)$/m);
  assert.match(stdout, /1 leak stands at its end: [0-9a-f]{12}/);
  assert.ok(width(stdout) <= 110, "a headline is never cut, everything else fits 100 columns");
});

test("replay of a folder takes each history in it, oldest first", async (context) => {
  const folder = temporaryFolder(context);
  writeHistory(folder, HEALTHY);
  const copy = temporaryFolder(context);
  copyFileSync(writeHistory(copy, LEAKING), join(folder, "history-20261124T100000000Z-4321.jsonl"));
  const { code, stdout } = await runCli(["replay", folder]);
  assert.equal(code, 1);
  const titles = [...stdout.matchAll(/^history-\S+\.jsonl/gm)].map(([title]) => title);
  assert.deepEqual(titles, ["history-20261124T100000000Z-4321.jsonl", "history-20261125T100000000Z-4321.jsonl"]);
  const empty = await runCli(["replay", temporaryFolder(context)]);
  assert.equal(empty.code, 3);
  assert.match(empty.stderr, /holds no history-\*\.jsonl \[ERR_LEAK_AGENT_HISTORY\]/);
});

test("replay of a healthy service exits 0", async (context) => {
  const history = writeHistory(temporaryFolder(context), HEALTHY);
  const { code, stdout } = await runCli(["replay", history]);
  assert.equal(code, 0);
  assert.match(stdout, /no leak stands at its end/);
});

test("replay gives the same findings for a history in segments, for one of its segments, and for a copy", async (context) => {
  const folder = temporaryFolder(context);
  const whole = await findingsOf(writeHistory(join(folder, "whole"), LEAKING));
  assert.ok(whole.length >= 2);
  const small = writeHistory(join(folder, "small"), { ...LEAKING, limitBytes: 16 * 60_000 });
  const second = small.replace(".jsonl", ".1.jsonl");
  assert.ok(statSync(second).size > 0, "the history has a second segment");
  assert.deepEqual(await findingsOf(second), whole);
  const copy = join(folder, "incident.jsonl");
  copyFileSync(join(folder, "whole", small.split("/").at(-1)), copy);
  assert.deepEqual(await findingsOf(copy), whole);
});

test("replay leaves out a last line that was cut off", async (context) => {
  const history = writeHistory(temporaryFolder(context), LEAKING);
  const whole = await findingsOf(history);
  truncateSync(history, statSync(history).size - 200);
  const cut = await runCli(["replay", history, "--json"]);
  assert.equal(cut.stderr, "");
  assert.equal(cut.code, 1);
  assert.deepEqual(
    lines(cut.stdout).map((line) => JSON.parse(line)),
    whole,
  );
});

test("replay names a history that cannot be read and exits 3", async (context) => {
  const folder = temporaryFolder(context);
  const damaged = writeHistory(join(folder, "agent"), HEALTHY);
  const text = readFileSync(damaged, "utf8").split("\n");
  text[5] = text[5].slice(0, 30);
  writeFileSync(damaged, text.join("\n"));
  const foreign = join(folder, "foreign.jsonl");
  writeFileSync(foreign, '{"a":1}\n{"b":2}\n');
  for (const [file, expected] of [
    [join(folder, "none.jsonl"), /^leak-agent: \S+none\.jsonl cannot be read: there is no such file or folder \[/],
    [damaged, /line 6/],
    [foreign, /foreign\.jsonl/],
  ]) {
    const { code, stderr } = await runCli(["replay", file]);
    assert.equal(code, 3, stderr);
    assert.match(stderr, expected);
    assert.match(stderr, /\[ERR_LEAK_AGENT_HISTORY\]\n$/);
  }
  assert.equal((await runCli(["replay"])).code, 2);
});

/** An agent's folder as it looks after a leak was found. */
async function leakingFolder(context) {
  const folder = join(temporaryFolder(context), "agent");
  const history = writeHistory(folder, LEAKING);
  const findings = await findingsOf(history);
  writeFindings(folder, findings);
  return { folder, findings };
}

test("report prints the verdict with its evidence, what it rejected, and the tables, and exits 1", async (context) => {
  const { folder, findings } = await leakingFolder(context);
  const leak = findings.find((finding) => finding.verdict === "leak");
  const { code, stdout, stderr } = await runCli(["report", folder]);
  assert.equal(stderr, "");
  assert.equal(code, 1);
  assert.match(stdout, /^1 leak found\n/);
  assert.match(stdout, /^LEAK \(\w+\) {2}GET \/leak\/:id at node_modules\/pkg\/index\.js:5 remember \[pkg\]$/m);
  const flat = stdout.replace(/\s+/g, " ");
  assert.ok(flat.includes(leak.text.replace(/\s+/g, " ")), "the finding's own words");
  assert.ok(flat.includes(`${leak.evidence.cohortsMatured} cohorts matured, 0 freed`));
  for (const alternative of leak.alternatives) assert.ok(stdout.includes(`  ${alternative.name}`), alternative.name);
  assert.match(stdout, /^ {2}> remember +node_modules\/pkg\/index\.js:5 +pkg$/m);
  assert.match(stdout, /^ {2}GET \/leak\/:id +7,800 /m);
  assert.match(stdout, /^ {2}remember pkg\/index\.js:5 \(load data\.js:20\) /m);
  assert.match(stdout, /^ {2}heap after GC +19\.1 MiB +19\.1 MiB +1\.86 GiB +\+0 B\/h/m);
  assert.ok(width(stdout) <= 100, `${width(stdout)} columns`);
  assert.ok(!stdout.includes("\x1b"), "no colour where no terminal is");
});

test("report: a share above 1 is 100 % in the row as in the finding's text", async (context) => {
  const { folder, findings } = await leakingFolder(context);
  const explained = { ...findings.at(-1).explained, heapGrowthRatio: 1.234, rssGrowthRatio: 0.5 };
  writeFindings(folder, [{ ...findings.at(-1), explained }]);
  const { stdout } = await runCli(["report", folder]);
  assert.match(stdout, /^ {2}explains +100 % of the heap's growth; 50 % of the growth of RSS/m);
});

test("report tells the end of the life that is shown from that of one before it", async (context) => {
  const killed = { type: "signal", timeMillis: START_MILLIS + 150_000, signal: "SIGTERM" };
  const folder = join(temporaryFolder(context), "agent");
  writeLife(folder, { buildId: "old", startMillis: START_MILLIS - 3_600_000, lastWord: killed });
  writeHistory(folder, HEALTHY);
  const before = await runCli(["report", folder]);
  assert.match(before.stdout, /^ {2}life before +process 4321 \(build old/m, "the same process id, as in a container");
  writeLife(folder, { buildId: "new", lastWord: killed });
  const ended = await runCli(["report", folder]);
  assert.match(ended.stdout, /^ {2}ended +process 4321 \(build new/m);
  assert.doesNotMatch(ended.stdout, /life before/);
});

test("an output that cannot be written is told, and exits 3", { skip: !existsSync("/dev/full") }, async (context) => {
  const { folder } = await leakingFolder(context);
  const full = openSync("/dev/full", "w");
  context.after(() => closeSync(full));
  for (const args of [["report", folder, "--json"], ["report", folder], ["--help"]]) {
    const child = spawn(process.execPath, [CLI, ...args], { env: cleanEnvironment(), stdio: ["ignore", full, "pipe"] });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    const ended = await new Promise((done) => child.once("close", (...end) => done(end)));
    assert.match(stderr, /^leak-agent: stdout cannot be written: ENOSPC.* \[ERR_LEAK_AGENT_OUTPUT\]\n$/);
    assert.deepEqual(ended, [3, null], args.join(" "));
  }
});

test("report --json has the findings exactly as they were written", async (context) => {
  const { folder, findings } = await leakingFolder(context);
  const { code, stdout } = await runCli(["report", folder, "--json"]);
  assert.equal(code, 1);
  const report = JSON.parse(stdout);
  assert.equal(report.schema, "leak-agent.report/1");
  assert.equal(report.leaks, 1);
  assert.equal(report.findings[0].verdict, "leak");
  assert.deepEqual(
    report.findings[0],
    findings.findLast((finding) => finding.id === report.findings[0].id),
  );
  const [shop] = report.processes;
  assert.equal(shop.processId, 4321);
  const [route] = shop.routes;
  assert.deepEqual([route.name, route.requests, route.sampleCount], ["GET /leak/:id", 7800, shop.maturedSamples]);
  // 3 samples a second of 400 B at R = 32,769 stand for 400 / (1 - exp(-400 / 32769)) bytes each, over 50 requests.
  const expected = ((400 / -Math.expm1(-400 / 32_769)) * 3) / 50;
  assert.ok(Math.abs(route.lateBytesPerRequest / expected - 1) < 0.2, `${route.lateBytesPerRequest} for ${expected}`);
  assert.ok(route.lateBytesPerHour > 0);
});

test("report says that a full cache does not grow", async (context) => {
  const folder = join(temporaryFolder(context), "agent");
  writeHistory(folder, HEALTHY);
  const { code, stdout } = await runCli(["report", folder, "--json"]);
  assert.equal(code, 0);
  const [shop] = JSON.parse(stdout).processes;
  assert.ok(shop.freedSamples > 100);
  assert.ok(shop.routes[0].retainedBytes > 0);
  // Everything held was allocated in the last 8 of 150 s: as growth it would be ten times what really stays.
  const grownBytes = shop.routes[0].lateBytesPerHour * (75 / 3600);
  assert.ok(
    Math.abs(grownBytes) < shop.routes[0].retainedBytes / 2,
    `${grownBytes} of ${shop.routes[0].retainedBytes}`,
  );
});

test("report counts only the latest change of each finding", async (context) => {
  const { folder, findings } = await leakingFolder(context);
  const leak = findings.find((finding) => finding.verdict === "leak");
  writeFindings(folder, [
    {
      ...leak,
      verdict: "retracted",
      previousVerdict: "leak",
      sequence: leak.sequence + 1,
      time: "2026-11-25T11:00:00.000Z",
    },
  ]);
  const foreign = [
    '{"schema":"leak-agent.finding/1","verdict":"leak"}',
    '{"schema":"leak-agent.finding/2"}',
    "7",
    "null",
  ];
  const cut = JSON.stringify(leak).slice(0, 300);
  appendFileSync(join(folder, "findings.jsonl"), [...foreign, cut].join("\n"));
  const { code, stdout } = await runCli(["report", folder]);
  assert.equal(code, 0);
  assert.match(stdout, /^No leak found\n/);
  assert.match(stdout, /^RETRACTED /m);
  assert.match(stdout, /5 lines of the findings could not be read/);
});

test("report prints a verdict that only a later agent knows", async (context) => {
  const { folder, findings } = await leakingFolder(context);
  writeFindings(folder, [{ ...findings[0], id: "0123456789ab", verdict: "fixed", addedLater: { any: 1 } }]);
  const { code, stdout, stderr } = await runCli(["report", folder, "--all"]);
  assert.equal(code, 1, stderr);
  assert.match(stdout, /^FIXED \(\w+\) {2}GET /m);
});

test("report shows the processes that ran last, and marks a finding of one that is over", async (context) => {
  const { folder } = await leakingFolder(context);
  const later = { ...HEALTHY, startMillis: START_MILLIS + 3_600_000 };
  const first = writeHistory(folder, { ...later, processId: 501 });
  const second = writeHistory(folder, { ...later, processId: 502 });
  const old = first.replace(/history-.*$/, "history-20261125T100000000Z-4321.jsonl");
  const lastWritten = (file, millis) => utimesSync(file, millis / 1_000, millis / 1_000);
  lastWritten(old, START_MILLIS + 150_000);
  for (const file of [first, second]) lastWritten(file, later.startMillis + 150_000);
  const { code, stdout } = await runCli(["report", folder]);
  assert.equal(code, 1);
  assert.match(stdout, /3 lives on record/);
  assert.match(stdout, /^Process 501$/m);
  assert.match(stdout, /^Process 502$/m);
  assert.doesNotMatch(stdout, /^Process 4321$/m);
  assert.match(stdout, /note: process 4321 is over; process 50\d, observed for 2 min 30 s, has not said so\s+again/);
});

test("report without a folder reads the one of the service in the current directory", async (context) => {
  const root = temporaryFolder(context);
  const project = join(root, "project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{"name":"@acme/shop"}');
  const env = { TMPDIR: root };
  const empty = await runCli(["report"], { cwd: project, env });
  assert.equal(empty.code, 3);
  assert.match(
    empty.stderr,
    /no agent has written to .*acme-shop-[0-9a-f]{8} yet; start the service with node -r leak-agent/,
  );
  const expected = /written to (\S+) yet/.exec(empty.stderr)[1];
  writeHistory(join(expected, "..", "other"), HEALTHY);
  const listed = await runCli(["report"], { cwd: project, env });
  assert.equal(listed.code, 3);
  assert.match(listed.stderr, /other services have written to:\n {2}\S+\/other\n/);
  writeHistory(expected, HEALTHY);
  const found = await runCli(["report"], { cwd: project, env });
  assert.equal(found.code, 0, found.stderr);
  assert.ok(found.stdout.includes(expected));
});

test("report still prints the findings when a history is damaged", async (context) => {
  const { folder } = await leakingFolder(context);
  const history = join(folder, "history-20261125T100000000Z-4321.jsonl");
  const text = readFileSync(history, "utf8").split("\n");
  text[5] = "{";
  writeFileSync(history, text.join("\n"));
  const { code, stdout } = await runCli(["report", folder]);
  assert.equal(code, 1);
  assert.match(stdout, /^LEAK /m);
  assert.match(stdout, /^note: .*line 6/m);
});

test("report of a folder that does not exist, or with two folders, says so", async (context) => {
  const folder = temporaryFolder(context);
  const missing = await runCli(["report", join(folder, "none")]);
  assert.equal(missing.code, 3);
  assert.match(missing.stderr, /none cannot be read: there is no such folder \[ERR_LEAK_AGENT_FOLDER\]/);
  assert.equal((await runCli(["report", folder, folder])).code, 2);
});

test("a reader that leaves early gets the exit code of what was found, and no error", async (context) => {
  const { folder } = await leakingFolder(context);
  for (const args of [
    ["report", folder],
    ["replay", join(folder, "history-20261125T100000000Z-4321.jsonl")],
  ]) {
    const child = spawn(process.execPath, [CLI, ...args], {
      env: cleanEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    child.stdout.destroy();
    const ended = await new Promise((done) => child.once("close", (...end) => done(end)));
    assert.equal(stderr, "");
    assert.deepEqual(ended, [1, null]);
  }
});
