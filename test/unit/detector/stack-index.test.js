"use strict";
/** Which functions only lead to the service's own code, where the path of a file does not tell. */
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { StackIndex } = require("../../../dist/detector/stack-index.js");

const at = (name, file) => ({ function: name, file, line: 1, column: 1 });
const BUNDLE = "/srv/app/dist/server.js";

test("a source map is asked once for all functions of its file, and for those that come later once more", () => {
  const asked = [];
  const stacks = new StackIndex((frame) => {
    asked.push(frame.function);
    return frame.function === "handler";
  });
  stacks.addFrames([at("dispatch", BUNDLE), at("next", BUNDLE), at("handler", BUNDLE), at("turn", "node:timers")]);
  stacks.addFrames([at("read", "/srv/app/node_modules/reader/index.js")]);
  stacks.addStacks([
    [3, 0, 1, 2],
    [3, 0, 4],
    [3, 0],
  ]);
  assert.equal(stacks.leadsToOwnCode(2, 0), false);
  assert.deepEqual(asked, ["dispatch", "next", "handler"]);
  assert.equal(stacks.leadsToOwnCode(0, 0), true);
  assert.equal(stacks.leadsToOwnCode(0, 2), false, "it is its own");
  assert.equal(stacks.leadsToOwnCode(1, 0), false, "there is none of the service's own code");
  assert.deepEqual(asked, ["dispatch", "next", "handler"], "neither Node's nor a package's file needs a source map");
  stacks.addFrames([at("later", BUNDLE)]);
  stacks.addStacks([[3, 5]]);
  assert.equal(stacks.leadsToOwnCode(3, 5), false);
  assert.deepEqual(asked, ["dispatch", "next", "handler", "later"]);
});

test("without a source map the path decides, and a function of the service leads nowhere", () => {
  const stacks = new StackIndex();
  stacks.addFrames([at("route", "/srv/app/node_modules/router/index.js"), at("handler", "/srv/app/server.js")]);
  stacks.addStacks([[0, 1]]);
  assert.equal(stacks.leadsToOwnCode(0, 0), true);
  assert.equal(stacks.leadsToOwnCode(0, 1), false);
});
