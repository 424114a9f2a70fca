"use strict";
const assert = require("node:assert/strict");
const { it } = require("node:test");
const { ProfilesDictionary } = require("../../../dist/export/otlp-profiles-dictionary.js");

it("gives equal entries one index, different ones different indexes, and the zero value index 0", () => {
  const dictionary = new ProfilesDictionary();
  assert.deepEqual(
    ["", "a", "b", "a"].map((text) => dictionary.string(text)),
    [0, 1, 2, 1],
  );
  assert.deepEqual(
    [[], [1, 2], [12], [1, 2]].map((stack) => dictionary.stack(stack)),
    [0, 1, 2, 1],
  );
  assert.deepEqual(
    [1, "1", 1, "2"].map((value) => dictionary.attribute("key", value)),
    [1, 2, 1, 3],
  );
});
