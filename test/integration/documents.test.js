/** The documents say what the code does: the settings table, the exit codes, the error codes and every link. */
"use strict";
const assert = require("node:assert/strict");
const { existsSync, readdirSync, readFileSync } = require("node:fs");
const { dirname, join } = require("node:path");
const test = require("node:test");
const { SETTINGS } = require("../../dist/config.js");
const command = require("../../dist/cli/command.js");
const { ROOT } = require("../harness/service");

const README = readFileSync(join(ROOT, "README.md"), "utf8");

function documents() {
  const below = readdirSync(join(ROOT, "docs"), { recursive: true }).map((name) => join("docs", name));
  const top = readdirSync(ROOT);
  return [...top, ...below].filter((name) => name.endsWith(".md"));
}

test("the README's settings table is the list in src/config.ts", () => {
  const rows = README.split("\n").filter((line) => /^\| `(LEAK_AGENT|OTEL|NODE)_/.test(line));
  const expected = SETTINGS.map(({ name, default: value, meaning }) => {
    const shown = value === "" ? "" : `\`${value}\``;
    return `| \`${name}\` | ${shown} | ${meaning} |`;
  });
  assert.deepEqual(rows, expected);
});

test("the README states the exit codes of the command line", () => {
  const sentence = /Exit codes: (.*?)\.\n/s.exec(README)?.[1] ?? "";
  const codes = [...sentence.matchAll(/(\d) /g)].map((match) => Number(match[1]));
  const { EXIT_NO_LEAK, EXIT_LEAK, EXIT_USAGE, EXIT_UNREADABLE, EXIT_INTERNAL, EXIT_UNDECIDED } = command;
  assert.deepEqual(codes, [EXIT_NO_LEAK, EXIT_LEAK, EXIT_USAGE, EXIT_UNREADABLE, EXIT_INTERNAL, EXIT_UNDECIDED]);
});

test("every npm script that a document tells to run exists", () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  for (const name of documents()) {
    const text = readFileSync(join(ROOT, name), "utf8");
    for (const [, script] of text.matchAll(/npm run (?:--silent )?([a-z:-]+)/g)) {
      assert.ok(scripts[script] !== undefined, `${name} names npm run ${script}`);
    }
  }
});

test("every link and every source file that a document names exists", () => {
  for (const name of documents()) {
    const text = readFileSync(join(ROOT, name), "utf8");
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => join(dirname(name), match[1]));
    const sources = [...text.matchAll(/`((?:src|native|test|scripts)\/[a-z0-9/_.-]+\.(?:ts|js|cc|h))`/g)].map(
      (match) => match[1],
    );
    for (const target of [...links, ...sources])
      assert.ok(existsSync(join(ROOT, target)), `${name} points to ${target}`);
  }
});
