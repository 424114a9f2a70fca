"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { DECLARED, FROM_MOUNT, FROM_PATH, FROM_REFUSED_PATH } = require("../../../dist/model/owner.js");
const { Dictionary } = require("../../../dist/worker/dictionary.js");

const route = (name) => ({ name, method: "GET", template: name });
const frame = (line) => ({ function: "f", file: "/a.js", line, column: 1 });

describe("the dictionary", () => {
  it("numbers routes from (other) on, by name, and tells each once", () => {
    const dictionary = new Dictionary();
    assert.equal(dictionary.routeIndex(route("GET /a")), 1);
    assert.equal(dictionary.routeIndex(route("GET /a")), 1);
    assert.deepEqual(
      dictionary.takeNews().newRoutes.map((entry) => entry.name),
      ["(other)", "GET /a"],
    );
    assert.deepEqual(dictionary.takeNews(), {});
  });

  it("follows a chain of folded routes, and survives a circle", () => {
    const dictionary = new Dictionary();
    for (const name of ["a", "b", "c"]) dictionary.routeIndex(route(name));
    dictionary.foldRoute(1, 2);
    dictionary.foldRoute(2, 3);
    dictionary.foldRoute(3, 1);
    assert.equal(dictionary.canonicalRoute(1), 3);
    assert.equal(dictionary.routeIndex(route("a")), 3);
    assert.deepEqual(dictionary.takeNews().routeAliases, [
      [1, 2],
      [2, 3],
    ]);
  });

  it("does not fold what has its name from a better source, whoever came first", () => {
    const dictionary = new Dictionary();
    const index = (name, source) => dictionary.routeIndex(route(name), source);
    const target = index("GET /:id", FROM_PATH);
    const declaredLater = index("GET /a", FROM_PATH);
    assert.equal(index("GET /a", DECLARED), declaredLater);
    const declaredFirst = index("GET /b", DECLARED);
    assert.equal(index("GET /b", FROM_PATH), declaredFirst);
    const mounted = index("GET /c", FROM_MOUNT);
    for (const from of [declaredLater, declaredFirst, mounted]) dictionary.foldRoute(from, target, FROM_PATH);
    assert.deepEqual(dictionary.snapshot().routeAliases, undefined);
    dictionary.foldRoute(mounted, target, FROM_MOUNT);
    assert.equal(index("GET /c", FROM_MOUNT), target);
  });

  it("has a route of its own for what is declared after its path was folded, also after a restart", () => {
    const before = new Dictionary();
    const target = before.routeIndex(route("GET /:id"), FROM_PATH);
    const path = before.routeIndex(route("GET /a"), FROM_PATH);
    before.foldRoute(path, target, FROM_PATH);
    const restored = new Dictionary();
    restored.restore(JSON.parse(JSON.stringify(before.takeNews())));
    for (const dictionary of [before, restored]) {
      assert.equal(dictionary.routeIndex(route("GET /a"), FROM_REFUSED_PATH), target);
      assert.equal(dictionary.routeIndex(route("GET /a"), FROM_PATH), target);
      const declared = dictionary.routeIndex(route("GET /a"), DECLARED);
      assert.equal(dictionary.canonicalRoute(declared), declared);
      assert.equal(dictionary.routeName(declared), "GET /a");
      assert.equal(dictionary.routeIndex(route("GET /a"), DECLARED), declared);
      assert.equal(dictionary.canonicalRoute(path), target);
    }
  });

  it("keeps equal frames and stacks once", () => {
    const dictionary = new Dictionary();
    const first = dictionary.stackIndex([dictionary.frameIndex(frame(1)), dictionary.frameIndex(frame(2))]);
    const second = dictionary.stackIndex([dictionary.frameIndex(frame(1)), dictionary.frameIndex(frame(2))]);
    assert.equal(first, second);
    assert.deepEqual(dictionary.takeNews().newStacks, [[0, 1]]);
  });

  it("is bounded: what finds no room becomes (other), counted", () => {
    const dictionary = new Dictionary();
    for (let line = 0; line < 40_000; line++) dictionary.stackIndex([dictionary.frameIndex(frame(line))]);
    for (let index = 0; index < 12_000; index++) dictionary.routeIndex(route(`r${index}`));
    const { newFrames, newStacks, newRoutes } = dictionary.snapshot();
    assert.equal(newFrames.length, 30_000);
    assert.equal(newFrames.at(-1).function, "(other)");
    assert.equal(newStacks.length, 20_000);
    assert.equal(newRoutes.length, 10_000);
    assert.ok(dictionary.overflowCount > 30_000);
  });

  it("is the same after its news have been read back", () => {
    const dictionary = new Dictionary();
    const copy = new Dictionary();
    for (const name of ["a", "b", "c"]) {
      dictionary.routeIndex(route(name));
      dictionary.stackIndex([dictionary.frameIndex(frame(name.charCodeAt(0)))]);
      if (name === "c") dictionary.foldRoute(1, 3);
      copy.restore(JSON.parse(JSON.stringify(dictionary.takeNews())));
    }
    assert.deepEqual(copy.snapshot(), dictionary.snapshot());
    assert.deepEqual(copy.takeNews(), {});
  });
});
