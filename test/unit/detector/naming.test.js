"use strict";
/** Which function a route's samples are named after, from hypotheses whose evidence is given. */
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { nameSites } = require("../../../dist/detector/naming.js");
const { StackIndex } = require("../../../dist/detector/stack-index.js");
const { StoredSample } = require("../../../dist/detector/sample-store.js");

const [HANDLER, FIRST, SECOND] = [0, 1, 2];
const stacks = new StackIndex();
for (const [index, name] of ["handler", "first", "second"].entries())
  stacks.addFrames([{ function: name, file: "/srv/app/server.js", line: index + 1, column: 1 }]);
stacks.addStacks([
  [HANDLER, FIRST],
  [HANDLER, SECOND],
]);
const samples = (count, stack) =>
  Array.from({ length: count }, (_, i) => new StoredSample(i, 0, i, i, "request", "route:1", stack, 400, 16_385));
const inFirst = samples(20, 0);
const inSecond = samples(10, 1);
const samplesOf = new Map([
  [HANDLER, [...inFirst, ...inSecond]],
  [FIRST, inFirst],
  [SECOND, inSecond],
]);
const over = new Map([HANDLER, FIRST, SECOND].map((frame) => [frame, { overThreshold: true }]));
const named = (standing, reevaluate) =>
  nameSites(over, samplesOf, standing, stacks, reevaluate, 0).map(({ frame, samples: held }) => [frame, held.length]);

test("the deepest function that holds four fifths is named, then what it does not hold", () => {
  assert.deepEqual(
    named([], () => ({ overThreshold: true })),
    [[HANDLER, 30]],
  );
});

test("what a standing site holds is its own: only the rest is tested, and named", () => {
  const tested = [];
  const sites = named([FIRST], (rest, frame) => {
    tested.push([frame, rest.length]);
    return rest.length === 0 ? null : { overThreshold: true };
  });
  assert.deepEqual(tested.slice(0, 2), [
    [HANDLER, 10],
    [FIRST, 0],
  ]);
  assert.ok(sites.every(([frame]) => frame !== FIRST));
});

const [DISPATCH, ANSWER, HELPER] = [0, 1, 2];
const framework = new StackIndex();
framework.addFrames([
  { function: "handle", file: "/srv/app/node_modules/express/lib/application.js", line: 1, column: 1 },
  { function: "answer", file: "/srv/app/server.js", line: 1, column: 1 },
  { function: "remember", file: "/srv/app/node_modules/kept/index.js", line: 1, column: 1 },
]);
framework.addStacks([[DISPATCH], [DISPATCH, ANSWER], [DISPATCH, ANSWER, HELPER]]);

function firstNamed(held) {
  const above = [...held].map(([frame]) => [frame, { overThreshold: true }]);
  return nameSites(new Map(above), new Map(held), [], framework, () => null, 0)[0]?.frame;
}

test("what a framework makes for a request is named after it only where the service's own code keeps little", () => {
  const held = (own) => [
    [DISPATCH, samples(60, 0)],
    [ANSWER, samples(own, 1)],
  ];
  assert.equal(firstNamed(held(20)), ANSWER);
  assert.equal(firstNamed(held(19)), DISPATCH);
});

test("a function of a package that own code calls is named before that code, also where it leads to own code elsewhere", () => {
  framework.addStacks([[HELPER, ANSWER]]);
  const inHelper = samples(60, 2);
  assert.equal(
    firstNamed([
      [ANSWER, [...inHelper, ...samples(10, 1)]],
      [HELPER, inHelper],
    ]),
    HELPER,
  );
});
