/** Everything that metrics and findings do, once more on the other line of the SDK: `npm ci --prefix test/sdk-0.301` first. */
"use strict";
const assert = require("node:assert/strict");
const { it } = require("node:test");

process.env["TEST_SDK_FOLDER"] = __dirname;
const { version } = require("./node_modules/@opentelemetry/sdk-node/package.json");

it("runs on the other line of the SDK", () => assert.match(version, /^0\.301\./));
require("../unit/worker/telemetry.test.js");
