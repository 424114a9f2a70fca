"use strict";
const assert = require("node:assert/strict");
const path = require("node:path");
const { describe, test } = require("node:test");
const { cleanEnvironment } = require("../../benchmarks/accuracy/case-folder.js");
const { ServiceProcess, freePort } = require("../../benchmarks/accuracy/service-process.js");
const { MIX, SCENARIOS } = require("../../examples/shop/scenarios.js");

const SHOP = path.resolve(__dirname, "..", "..", "examples", "shop");

/** Every request of the mix, once, with the same numbers each time. */
async function answersOf(before) {
  const service = new ServiceProcess({
    node: process.execPath,
    args: ["server.js"],
    cwd: SHOP,
    env: { ...cleanEnvironment(), NODE_ENV: "production", ...(before === null ? {} : { SHOP_BEFORE: before }) },
    port: await freePort(),
  });
  try {
    await service.listening();
    const answers = [];
    for (const [index, entry] of MIX.entries()) {
      const request = entry.make({
        sequence: 40 + index,
        below: (limit) => Math.min(7, limit - 1),
        word: () => "lamp",
      });
      const response = await fetch(`http://127.0.0.1:${service.port}${request.path}`, request);
      answers.push({ name: entry.name, status: response.status, text: scrub(await response.text()) });
    }
    return answers;
  } finally {
    await service.stop();
  }
}

/** What differs between any two runs. */
function scrub(text) {
  return text.replace(/"confirmation":"[^"]*"|"validUntil":\d+/g, "");
}

describe("the demo's shop", () => {
  let repaired;
  test("answers every request of the mix", async () => {
    repaired = await answersOf(null);
    assert.deepEqual(
      repaired.filter(({ status }) => status >= 400),
      [],
    );
  });

  for (const { part } of SCENARIOS) {
    test(`answers the same with ${part} as it was before`, async () => {
      assert.deepEqual(await answersOf(part), repaired);
    });
  }
});
