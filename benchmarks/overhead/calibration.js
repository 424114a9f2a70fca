/**
 * Gives a request of the measured service as much work as one of a real service has, on a fast machine too: how many pages of
 * rows each handler ranks beside its own work. Owns the two measurements that tell.
 */
"use strict";

const { OpenLoop } = require("./open-loop");
const { ServiceProcess } = require("./service-process");
const { requestMix } = require("./shop");

/** Of CPU, at saturation: the lower end of the 0.3 to 1 ms that requests of services take. */
const MIN_REQUEST_MICROS = 330;
const PROBE_PAGES = 8;
const MAX_PAGES = 64;
const CONNECTIONS = 16;
const WARM_UP_SECONDS = 2;
const SECONDS = 3;

/** @returns microseconds of CPU per request of the realistic service, without the agent. */
async function requestMicros(pages) {
  const service = await ServiceProcess.start("express", { pages });
  const load = new OpenLoop(service.port, requestMix());
  try {
    await load.saturate(CONNECTIONS, WARM_UP_SECONDS);
    const before = await service.ask("read");
    await load.saturate(CONNECTIONS, SECONDS);
    load.check();
    const after = await service.ask("read");
    return (after.processMicros - before.processMicros) / (after.served - before.served);
  } finally {
    load.stop();
    await service.stop();
  }
}

/** @returns pages that bring `without` up to the least work of a real request; none where it has that much. */
function pagesFor(without, withProbe) {
  const missing = MIN_REQUEST_MICROS - without;
  if (missing <= 0) return 0;
  const perPage = (withProbe - without) / PROBE_PAGES;
  // A page that cost nothing was not measured: two noisy numbers.
  return perPage <= 0 ? MAX_PAGES : Math.min(MAX_PAGES, Math.ceil(missing / perPage));
}

/** @returns { pages, requestMicros, plainMicros } for this machine and this Node: of a request with those pages, and with none. */
async function calibrate(progress) {
  progress("how much work a request is here");
  const without = await requestMicros(0);
  if (without >= MIN_REQUEST_MICROS) return { pages: 0, requestMicros: without, plainMicros: without };
  const pages = pagesFor(without, await requestMicros(PROBE_PAGES));
  return { pages, requestMicros: await requestMicros(pages), plainMicros: without };
}

module.exports = { MAX_PAGES, MIN_REQUEST_MICROS, PROBE_PAGES, calibrate, pagesFor };
