/**
 * A service with OpenTelemetry of its own, set up from the same variables as the agent's export. Says what it found of
 * the API's globals at the word "leave", then leaves.
 */
"use strict";
const { diag, DiagLogLevel, metrics } = require("@opentelemetry/api");
const { NodeSDK } = require("@opentelemetry/sdk-node");
const { whenServed, closeServer } = require("./served");

const complaints = [];
const note = (message) => complaints.push(message);
const silent = () => {};
diag.setLogger({ error: note, warn: note, info: silent, debug: silent, verbose: silent }, DiagLogLevel.WARN);
const sdk = new NodeSDK({ instrumentations: [] });
sdk.start();
const provider = metrics.getMeterProvider();
const counter = metrics.getMeter("own").createCounter("own.requests");
const kept = [];

const server = whenServed(
  async () => {
    const isStillOwn = metrics.getMeterProvider() === provider && provider.constructor.name === "MeterProvider";
    process.stdout.write(`own ${JSON.stringify({ isStillOwn, complaints })}\n`);
    await sdk.shutdown();
    clearInterval(timer);
    closeServer(server);
  },
  (_request, response) => {
    counter.add(1);
    response.end("ok");
  },
);
const timer = setInterval(() => {
  for (let i = 0; i < 200; i++) kept.push({ i, text: "x".repeat(50) + i });
}, 2);
