/**
 * google/pprof's own tool reads our files: the leaking function is row 1 of the leaking route, and absent from the other.
 * The tool is built from the Go module proxy (test/tools/pprof); without Go or the proxy this test fails. CI only.
 */
"use strict";
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, PRELOAD, ROOT, Service, filesBelow, temporaryFolder } = require("../harness/service");

const MEBIBYTE = 1024 * 1024;

function buildTool(folder) {
  const binary = join(folder, "pprof");
  const args = ["build", "-mod=readonly", "-o", binary, "github.com/google/pprof"];
  execFileSync("go", args, { cwd: join(ROOT, "test/tools/pprof"), stdio: ["ignore", "inherit", "inherit"] });
  return binary;
}

/** Rows of `pprof -top` for one route: { flat, name }, most bytes first. */
function topRows(tool, profile, route) {
  const args = ["-top", "-unit=B", "-sample_index=inuse_space", `-tagfocus=http.route=^${route}$`, profile];
  const text = execFileSync(tool, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const rows = text.slice(text.indexOf("flat%")).split("\n").slice(1);
  return rows
    .map((row) => /^\s*(\d+)B?\s+\S+%\s+\S+%\s+\S+\s+\S+%\s+(.*)$/.exec(row))
    .filter((match) => match !== null)
    .map((match) => ({ flatBytes: Number(match[1]), name: match[2] }));
}

/** The newest profile in which the leak has grown to a mebibyte; undefined while there is none. */
function grownProfile(tool, folder) {
  const profile = filesBelow(folder)
    .filter((file) => file.endsWith(".pb.gz"))
    .sort()
    .at(-1);
  if (profile === undefined) return undefined;
  return topRows(tool, profile, "GET /leak").some((row) => row.flatBytes > MEBIBYTE) ? profile : undefined;
}

test("row 1 of the leaking route is the leaking function", { timeout: 600_000 }, async (context) => {
  const scratch = temporaryFolder(context);
  const tool = buildTool(scratch);
  const folder = join(scratch, "agent");
  const env = { LEAK_AGENT_DIR: folder, LEAK_AGENT_HORIZON: "30s", LEAK_AGENT_LOG: "off" };
  const service = new Service(["-r", PRELOAD, join(APPS, "leaking-service.js")], { env, deadlineMillis: 150_000 });
  context.after(() => service.stop());
  const profile = await service.until(() => grownProfile(tool, folder), "a profile held a mebibyte of the leak");
  service.say("leave");
  await service.ended;
  const leaking = topRows(tool, profile, "GET /leak");
  assert.match(leaking[0].name, /^remember\b/);
  const clean = topRows(tool, profile, "GET /clean").filter((row) => /^remember\b/.test(row.name));
  assert.deepEqual(clean, []);
});
