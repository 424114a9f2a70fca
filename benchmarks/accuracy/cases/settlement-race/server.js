"use strict";
const Hapi = require("@hapi/hapi");
const ledger = require("./lib/ledger");
const { untilStopped } = require("./lib/stopping");

const server = Hapi.server({ port: Number(process.env.PORT), host: "127.0.0.1" });

server.route([
  {
    method: "GET",
    path: "/accounts/{account}/settlement",
    handler: (request) => untilStopped(ledger.settle(request.params.account)),
  },
  { method: "GET", path: "/accounts/{account}/balance", handler: (request) => ledger.balance(request.params.account) },
  {
    method: "GET",
    path: "/accounts/{account}/entries",
    handler: (request) => ledger.entries(request.params.account, 60),
  },
  { method: "POST", path: "/transfers", handler: (request) => ledger.transfer(request.payload) },
  { method: "GET", path: "/trial-balance", handler: () => ledger.trialBalance() },
  { method: "GET", path: "/health", handler: () => ({ ok: true }) },
]);

server.start();
