/** Lives of one service, one after the other in one folder: how each ended is the first thing the next one says. */
"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { readLives } = require("../../dist/export/life-file");
const { runCli } = require("../unit/cli/fixtures");
const { live } = require("../harness/deployed-service");
const { temporaryFolder } = require("../harness/service");

const logged = (service) =>
  service.stderr
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));

const KILLED = /ended without a word, as by SIGKILL/;
const ENDS = [
  {
    title: "an exit code",
    env: { EXIT_CODE: "3" },
    end: (service) => service.say("leave"),
    words: /ended with exit code 3$/,
  },
  { title: "kill -9", end: (service) => service.child.kill("SIGKILL"), words: KILLED },
  { title: "a signal that nobody handles", end: (service) => service.child.kill("SIGTERM"), words: KILLED },
  {
    title: "V8's heap limit",
    args: ["--max-old-space-size=128"],
    env: { BALLAST_MB: "108", LEAK_COUNT: "200" },
    end: () => {}, // It fills its heap by itself.
    words: /died at V8's heap limit \(\d+ MiB\): JavaScript heap out of memory$/,
  },
  {
    title: "V8's heap limit, of which the agent was not told",
    args: ["--max-old-space-size=128", "--heapsnapshot-near-heap-limit=0"],
    env: { BALLAST_MB: "108" },
    end: () => {}, // Slowly enough to be seen on its last megabyte.
    words: /its heap held .*: likely V8's heap limit$/,
  },
];
for (const { title, args, env, end, words } of ENDS) {
  test(`${title} is the first line of the next life, once`, async (context) => {
    const folder = temporaryFolder(context);
    const first = live(folder, { env, args });
    await first.until(() => readLives(folder)[0]?.level, "the agent has begun its record");
    end(first);
    await first.ended;
    for (const round of [1, 2]) {
      const next = live(folder);
      await next.untilStderr(/leak-agent .* watches/);
      const [line] = logged(next);
      assert.equal(line.previousProcessId === first.child.pid, round === 1);
      if (round === 1) assert.match(line.msg, words);
      await next.until(() => readLives(folder).at(-1).level, "it has begun its record");
      next.say("leave");
      await next.ended;
    }
    const { stdout } = await runCli(["report", folder, "--json"]);
    assert.match(JSON.parse(stdout).ends[0].text, words);
  });
}
