/** google/pprof's own tool reads our files: the site of the finding is row 1 of the leaking route, and the other is small. */
"use strict";
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { join } = require("node:path");
const test = require("node:test");
const { assertFinding } = require("../harness/finding-schema");
const { APPS, PRELOAD, Service, filesBelow, jsonLines, temporaryFolder } = require("../harness/service");
const { goProgram } = require("./go-programs");

const MEBIBYTE = 1024 * 1024;

/** Rows of `pprof -top` for one route: { flat, name }, most bytes first. */
function topRows(tool, profile, route) {
  const args = ["-top", "-lines", "-unit=B", "-sample_index=inuse_space", `-tagfocus=http.route=^${route}$`, profile];
  const text = execFileSync(tool, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const rows = text.slice(text.indexOf("flat%")).split("\n").slice(1);
  return rows
    .map((row) => /^\s*(\d+)B?\s+\S+%\s+\S+%\s+\S+\s+\S+%\s+(.*)$/.exec(row))
    .filter((match) => match !== null)
    .map((match) => ({ flatBytes: Number(match[1]), name: match[2] }));
}

function findingsIn(folder) {
  return filesBelow(folder)
    .filter((file) => file.endsWith("findings.jsonl"))
    .flatMap(jsonLines);
}

/** The finding that stands as a leak; undefined while there is none. */
function leakIn(folder) {
  return findingsIn(folder).findLast((finding) => finding.verdict === "leak");
}

function newestProfile(folder) {
  return filesBelow(folder)
    .filter((file) => file.endsWith(".pb.gz"))
    .sort()
    .at(-1);
}

test("row 1 of the leaking route is the leaking site", { timeout: 600_000 }, async (context) => {
  const scratch = temporaryFolder(context);
  const tool = goProgram("pprof");
  const folder = join(scratch, "agent");
  const env = { LEAK_AGENT_DIR: folder, LEAK_AGENT_HORIZON: "30s", LEAK_AGENT_LOG: "off" };
  const service = new Service(["-r", PRELOAD, join(APPS, "leaking-service.js")], { env, deadlineMillis: 150_000 });
  context.after(() => service.stop());
  const leak = await service.until(() => leakIn(folder), "a leak was found");
  service.say("leave");
  await service.ended;
  for (const line of findingsIn(folder)) assertFinding(line);
  assert.equal(leak.route.name, "GET /leak");
  const profile = newestProfile(folder);
  const leaking = topRows(tool, profile, "GET /leak");
  // V8 may have inlined the function that allocates: the site is what the profile can name, by the finding's own words.
  assert.match(leaking[0].name, new RegExp(`^${leak.site.function} .*leaking-service\\.js`));
  assert.match(leak.site.file, /leaking-service\.js$/);
  assert.ok(leaking[0].flatBytes > MEBIBYTE, `${leaking[0].flatBytes} B`);
  const clean = topRows(tool, profile, "GET /clean").reduce((sum, row) => sum + row.flatBytes, 0);
  assert.ok(clean < leaking[0].flatBytes / 10, `the clean route holds ${clean} B`);
});
