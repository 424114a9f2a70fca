"use strict";
const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { mkdirSync, symlinkSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { gzipSync } = require("node:zlib");
const { ProfileBuilder, profileName } = require("../../../dist/export/pprof-file");
const {
  CLI,
  LEAKING,
  START_MILLIS,
  cleanEnvironment,
  runCli,
  temporaryFolder,
  writeHistory,
  writeProfile,
} = require("./fixtures");

const HOUR = 3_600_000;
const KIB = 1024;

/** The story: two lines grow, a buffer stays, a cache shrinks. */
const BEFORE = [
  ["recordTimer", "/srv/app/metrics.js", 12, "POST /report", 141_003, 3305 * KIB],
  ["remember", "/srv/app/metrics.js", 40, "POST /report", 9_000, 1131 * KIB],
  ["buffer", "/srv/app/buffer.js", 3, "GET /health", 1, 5120 * KIB],
  ["cache", "/srv/app/cache.js", 7, "GET /users/:id", 100, 900 * KIB],
  ["(GC)", "", 0, null, 5, 2 * KIB],
];
const AFTER = [
  ["recordTimer", "/srv/app/metrics.js", 12, "POST /report", 300_000, 7000 * KIB],
  ["recordTimer", "/srv/app/metrics.js", 12, "GET /users/:id", 9_391, 252 * KIB],
  ["remember", "/srv/app/metrics.js", 40, "POST /report", 20_000, 2580 * KIB],
  ["buffer", "/srv/app/buffer.js", 3, "GET /health", 1, 5120 * KIB],
  ["cache", "/srv/app/cache.js", 7, "GET /users/:id", 60, 500 * KIB],
];

function pair(context, options = {}) {
  const folder = temporaryFolder(context);
  const before = join(folder, "a.pb.gz");
  const after = join(folder, "b.pb.gz");
  writeProfile(before, BEFORE, options);
  writeProfile(after, AFTER, { ...options, timeMillis: START_MILLIS + 96 * HOUR });
  return { folder, before, after };
}

test("diff prints the lines that grew as tracemalloc does, the greatest growth first", async (context) => {
  const { folder, before, after } = pair(context);
  const { code, stdout, stderr } = await runCli(["diff", before, after], { cwd: folder });
  assert.equal(stderr, "");
  assert.equal(code, 0);
  assert.deepEqual(stdout.split("\n"), [
    "a.pb.gz (2026-11-25 10:00:00 UTC) -> b.pb.gz (2026-11-29 10:00:00 UTC), 4 d apart",
    "/srv/app/metrics.js:12: size=7252 KiB (+3947 KiB), count=309391 (+168388), average=24 B",
    "/srv/app/metrics.js:40: size=2580 KiB (+1449 KiB), count=20000 (+11000), average=132 B",
    "/srv/app/buffer.js:3: size=5120 KiB (+0 B), count=1 (+0), average=5120 KiB",
    "(GC):0: size=0 B (-2048 B), count=0 (-5)",
    "/srv/app/cache.js:7: size=500 KiB (-400 KiB), count=60 (-40), average=8533 B",
    "total size=15.1 MiB (+4994 KiB)",
    "",
    "",
  ]);
});

test("diff groups by site and by route, and keeps one route when asked", async (context) => {
  const { before, after } = pair(context);
  const rows = async (...options) => {
    const { stdout } = await runCli(["diff", before, after, "--json", ...options]);
    return JSON.parse(stdout).comparisons[0].rows;
  };
  const bySite = await rows("--by", "site");
  assert.equal(bySite[0].key, "recordTimer (/srv/app/metrics.js)");
  assert.equal(bySite[0].sizeDifferenceBytes, 3947 * KIB);
  const byRoute = await rows("--by", "route");
  assert.deepEqual(
    byRoute.map((row) => [row.key, row.sizeDifferenceBytes / KIB, row.countDifference]),
    [
      ["POST /report", 7000 + 2580 - 3305 - 1131, 320_000 - 150_003],
      ["GET /health", 0, 0],
      ["(unlabelled)", -2, -5],
      ["GET /users/:id", 252 + 500 - 900, 9_391 + 60 - 100],
    ],
  );
  const users = await rows("--route", "GET /users/:id", "--top", "1");
  assert.deepEqual(
    users.map((row) => [row.key, row.sizeBytes / KIB]),
    [["/srv/app/metrics.js:12", 252]],
  );
});

test("diff --json has the numbers as they are and says how many rows there are", async (context) => {
  const { before, after } = pair(context);
  const { stdout } = await runCli(["diff", before, after, "--json", "--top", "2"]);
  const { schema, by, comparisons } = JSON.parse(stdout);
  assert.equal(schema, "leak-agent.diff/1");
  assert.equal(by, "line");
  const [comparison] = comparisons;
  assert.equal(comparison.processId, null);
  assert.deepEqual(comparison.before, {
    file: before,
    time: "2026-11-25T10:00:00.000Z",
    samplingIntervalBytes: 16_384,
  });
  assert.equal(comparison.rowCount, 5);
  assert.equal(comparison.rows.length, 2);
  assert.deepEqual(comparison.rows[0], {
    key: "/srv/app/metrics.js:12",
    function: "recordTimer",
    file: "/srv/app/metrics.js",
    line: 12,
    route: null,
    sizeBytes: 7252 * KIB,
    sizeDifferenceBytes: 3947 * KIB,
    count: 309_391,
    countDifference: 168_388,
    averageBytes: (7252 * KIB) / 309_391,
  });
  assert.equal(comparison.total.sizeDifferenceBytes, (7252 + 2580 + 5120 + 500 - 3305 - 1131 - 5120 - 900 - 2) * KIB);
});

test("diff reads the in-use columns of another tool's heap profile, packed or not", async (context) => {
  const types = ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"];
  for (const options of [{ types }, { gzip: false }, { types: ["objects", "space"] }]) {
    const { before, after } = pair(context, options);
    const { stdout } = await runCli(["diff", before, after, "--top", "1"]);
    assert.match(stdout, /metrics\.js:12: size=7252 KiB \(\+3947 KiB\), count=309391/);
  }
});

test("diff names what is wrong with a file and exits 3", async (context) => {
  const { folder, before } = pair(context);
  const cpu = join(folder, "cpu.pb.gz");
  writeProfile(cpu, BEFORE, { types: ["samples", "cpu"] });
  const cut = join(folder, "cut.pb.gz");
  writeFileSync(cut, gzipSync(Buffer.alloc(1000, "x")).subarray(0, 20));
  const text = join(folder, "text.pb.gz");
  writeFileSync(text, "this is no profile at all\n".repeat(50));
  const cases = [
    [join(folder, "none.pb.gz"), /none\.pb\.gz cannot be read: there is no such file/],
    [cpu, /cpu\.pb\.gz cannot be read: .*inuse_objects and inuse_space, it has samples, cpu/],
    [cut, /cut\.pb\.gz cannot be read: its gzip data is damaged/],
    [text, /text\.pb\.gz cannot be read/],
  ];
  for (const [file, expected] of cases) {
    const { code, stdout, stderr } = await runCli(["diff", before, file]);
    assert.equal(code, 3, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, expected);
    assert.match(stderr, /\[ERR_LEAK_AGENT_PROFILE\]\n$/);
    assert.equal(stderr.trim().split("\n").length, 1);
  }
});

test("diff exits 3 for a path of which it cannot see what it is", async (context) => {
  const { folder, before } = pair(context);
  // A ring of links fails for every user; a folder that is closed to this one does not fail for root.
  const ring = join(folder, "ring");
  symlinkSync("ring", ring);
  for (const args of [[before, ring], [ring], [ring, "--from", "-1h"]]) {
    const { code, stderr } = await runCli(["diff", ...args]);
    assert.equal(code, 3, stderr);
    assert.match(stderr, /ring cannot be read: ELOOP \[ERR_LEAK_AGENT_FOLDER\]\n$/);
  }
});

test("diff with wrong arguments names the argument, says the fix and exits 2", async (context) => {
  const { folder, before, after } = pair(context);
  const cases = [
    [["diff"], /needs two profiles, or a folder and --from/],
    [["diff", before], /needs a second profile/],
    [["diff", before, after, after], /takes two profiles, not 3/],
    [["diff", before, after, "--from", "-1h"], /--from goes with a folder/],
    [["diff", folder, before], /is a folder/],
    [["diff", folder], /needs --from/],
    [["diff", folder, "--from", "yesterday"], /--from yesterday is not a time: write now, -1h/],
    [["diff", folder, "--from", "now", "--to", "-1h"], /--from is not before --to/],
    [["diff", before, after, "--by", "file"], /--by file: write one of line, site, route/],
    [["diff", before, after, "--top", "0"], /--top 0: write a whole number from 1 to 1000/],
    [["diff", before, after, "--tpo", "3"], /Unknown option '--tpo'/],
    [
      ["diff", before, after, "--route", "GET /nope"],
      /no sample has this route; there are: GET \/health, GET \/users\/:id/,
    ],
  ];
  for (const [args, expected] of cases) {
    const { code, stderr } = await runCli(args);
    assert.match(stderr, expected);
    assert.match(stderr, /\[ERR_LEAK_AGENT_USAGE\]\n$/);
    assert.equal(code, 2, args.join(" "));
  }
});

function folderWithProfiles(context, profiles) {
  const folder = join(temporaryFolder(context), "agent");
  mkdirSync(folder);
  for (const [processId, hoursAgo, sizeBytes] of profiles) {
    const timeMillis = Date.now() - hoursAgo * HOUR;
    const rows = [["keep", "/srv/app/keep.js", 5, "GET /a", sizeBytes / 10, sizeBytes]];
    writeProfile(join(folder, profileName(timeMillis, processId)), rows, { timeMillis: Math.floor(timeMillis) });
  }
  return folder;
}

test("diff DIR takes the profiles nearest to the two times, for each process", async (context) => {
  const folder = folderWithProfiles(context, [
    [11, 30, 1000],
    [11, 5.1, 2000],
    [11, 2, 3000],
    [11, 0.1, 5000],
    [22, 4, 100],
    [22, 0.2, 900],
    [33, 40, 7000],
    [33, 39, 9000],
  ]);
  const { code, stdout } = await runCli(["diff", folder, "--from", "-5h", "--to", "now", "--json"]);
  assert.equal(code, 0);
  const { comparisons } = JSON.parse(stdout);
  assert.deepEqual(
    comparisons.map(({ processId, rows }) => [processId, rows[0].sizeBytes, rows[0].sizeDifferenceBytes]),
    [
      [11, 5000, 3000],
      [22, 900, 800],
    ],
  );
  const one = await runCli(["diff", folder, "--from", "-31h", "--to", "-2h", "--process", "11"]);
  assert.match(one.stdout, /^process 11: profile-\S+-11\.pb\.gz \(.* UTC\) ->\s+profile-\S+-11\.pb\.gz/);
  assert.match(one.stdout, /keep\.js:5: size=3000 B \(\+2000 B\), count=300 \(\+200\), average=10 B/);
});

/** Profiles of process 1, as the agent encodes them. @param rows [hoursAgo, startedHoursAgo, intervalBytes, sampleCount] */
function folderOfRestarts(context, rows) {
  const folder = join(temporaryFolder(context), "agent");
  mkdirSync(folder);
  const now = Date.now();
  const leaf = { parent: null, frame: { function: "keep", file: "/srv/app/a.js", line: 9, column: 1 } };
  for (const [hoursAgo, startedHoursAgo, intervalBytes, sampleCount] of rows) {
    const builder = new ProfileBuilder();
    for (let i = 0; i < sampleCount; i++) builder.add(leaf, "request", "GET /a", 1_000_000, intervalBytes);
    const timeMillis = Math.round(now - hoursAgo * HOUR);
    const times = { timeMillis, durationMillis: (startedHoursAgo - hoursAgo) * HOUR, intervalBytes };
    writeFileSync(join(folder, profileName(timeMillis, 1)), builder.encode(times, []));
  }
  return folder;
}

test("diff DIR leaves out what is from before a restart of the sampler, and says so", async (context) => {
  const story = {
    "another interval": [
      [5, 9, 65_521, 90],
      [4, 9, 65_521, 95],
      [3, 9, 16_381, 10],
      [1, 9, 16_381, 30],
    ],
    "an interval that came again": [
      [5, 9, 16_381, 90],
      [4, 9, 65_521, 95],
      [3, 9, 16_381, 10],
      [1, 9, 16_381, 30],
    ],
    "a new process of the same id": [
      [5, 9, 16_381, 90],
      [4, 9, 16_381, 95],
      [3, 3.5, 16_381, 10],
      [1, 3.5, 16_381, 30],
    ],
  };
  for (const [name, rows] of Object.entries(story)) {
    const folder = folderOfRestarts(context, rows);
    const { code, stdout } = await runCli(["diff", folder, "--from", "-5h"]);
    assert.equal(code, 0);
    assert.match(stdout, /a\.js:9: size=28\.6 MiB \(\+19\.1 MiB\)/, name);
    assert.match(stdout, /^note: 2 earlier profiles are left out: the sampler was restarted since/m, name);
    const { comparisons } = JSON.parse((await runCli(["diff", folder, "--from", "-5h", "--json"])).stdout);
    assert.equal(comparisons[0].leftOutProfiles, 2, name);
    const within = await runCli(["diff", folder, "--from", "-3h"]);
    assert.doesNotMatch(within.stdout, /note:/, name);
  }
});

test("diff DIR with one profile since the restart says that another is needed", async (context) => {
  const folder = folderOfRestarts(context, [
    [5, 9, 65_521, 90],
    [1, 9, 16_381, 30],
  ]);
  const { code, stdout, stderr } = await runCli(["diff", folder, "--from", "-5h"]);
  assert.deepEqual([code, stdout], [3, ""]);
  assert.match(stderr, /holds no two comparable profiles .*: the sampler was restarted before that of 20.*; wait for/);
});

test("diff DIR takes absolute times, and falls back to the nearest profiles outside the interval", async (context) => {
  const folder = folderWithProfiles(context, [
    [33, 40, 7000],
    [33, 39, 9000],
  ]);
  const iso = (hoursAgo) => new Date(Date.now() - hoursAgo * HOUR).toISOString();
  const absolute = await runCli(["diff", folder, "--from", iso(41), "--to", iso(38).replace("Z", "")]);
  assert.match(absolute.stdout, /size=9000 B \(\+2000 B\)/);
  const { code, stderr } = await runCli(["diff", folder, "--from", "-1h"]);
  assert.equal(code, 3);
  assert.match(stderr, /holds no two profiles of one process at these times: it has 2, from 20/);
});

test("diff says when the two profiles were sampled differently or given in the wrong order", async (context) => {
  const { folder, before, after } = pair(context);
  const other = join(folder, "other.pb.gz");
  writeProfile(other, AFTER, { timeMillis: START_MILLIS, period: 524_288 });
  const { stdout } = await runCli(["diff", after, other]);
  assert.match(stdout, /note: the first profile is the later one/);
  assert.match(
    stdout.replace(/\s+/g, " "),
    /note: sampled every 16\.0 KiB and 512 KiB: the sampler was restarted between the two, and what was allocated before is missing in the later one/,
  );
  assert.doesNotMatch((await runCli(["diff", before, after])).stdout, /note:/);
});

test("a reader that leaves early ends the command quietly", async (context) => {
  const folder = temporaryFolder(context);
  const rows = Array.from({ length: 1000 }, (_, i) => [
    "f",
    `/srv/${"deep/".repeat(40)}${i}.js`,
    i + 1,
    null,
    1,
    1000 + i,
  ]);
  const file = join(folder, "big.pb.gz");
  writeProfile(file, rows);
  const child = spawn(process.execPath, [CLI, "diff", file, file, "--top", "1000"], {
    env: cleanEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const [code, signal] = await new Promise((done) => child.once("close", (...ended) => done(ended)));
  assert.equal(stderr, "");
  assert.deepEqual([code, signal], [0, null]);
});

test("diff reads what the agent's own encoder writes: sampled objects scaled up, the owner as the route", async (context) => {
  const folder = join(temporaryFolder(context), "agent");
  mkdirSync(folder);
  const frame = (name, line) => ({ function: name, file: "/srv/app/a.js", line, column: 1 });
  const leaf = { parent: { parent: null, frame: frame("handle", 3) }, frame: frame("keep", 9) };
  const write = (hoursAgo, sampleCount) => {
    const builder = new ProfileBuilder();
    for (let i = 0; i < sampleCount; i++) builder.add(leaf, "request", "GET /a", 24, 16_385);
    builder.add(leaf, "background", null, 100_000, 16_385);
    const timeMillis = Date.now() - hoursAgo * HOUR;
    const times = { timeMillis, durationMillis: (3 - hoursAgo) * HOUR, intervalBytes: 16_385 };
    const bytes = builder.encode(times, ["service.name=shop"]);
    writeFileSync(join(folder, profileName(timeMillis, 7)), bytes);
  };
  write(2, 10);
  write(0, 30);
  const { stdout } = await runCli(["diff", folder, "--from", "-2h", "--by", "route", "--json"]);
  const [{ rows, before }] = JSON.parse(stdout).comparisons;
  assert.equal(before.samplingIntervalBytes, 16_385);
  assert.deepEqual(
    rows.map((row) => row.key),
    ["GET /a", "(background)"],
  );
  // One sample of 24 B stands for 1 / (1 - exp(-24 / 16385)) objects.
  const objects = 1 / -Math.expm1(-24 / 16_385);
  assert.equal(rows[0].count, Math.round(30 * objects));
  assert.equal(rows[0].countDifference, Math.round(30 * objects) - Math.round(10 * objects));
  assert.equal(rows[1].sizeDifferenceBytes, 0);
  const byLine = await runCli(["diff", folder, "--from", "-2h"]);
  assert.match(byLine.stdout, /^\/srv\/app\/a\.js:9: size=/m);
  writeHistory(folder, { ...LEAKING, seconds: 5 });
  const beside = await runCli(["diff", folder, "--from", "-2h"]);
  assert.match(beside.stdout, /^a\.js:9: size=/m, "relative to the service, as its history tells");
});
