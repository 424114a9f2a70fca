"use strict";
const { EventEmitter } = require("node:events");

const changes = new EventEmitter();
changes.setMaxListeners(0);

/** Waits for the next change of an item, or answers null when the client has waited long enough. */
function nextChange(item, millis) {
  const waiting = { item, since: Date.now(), tags: [`item:${item}`, `wait:${millis}`] };
  return new Promise((resolve) => {
    changes.on("change", (change) => {
      if (change.item === waiting.item) resolve({ ...change, waited: Date.now() - waiting.since });
    });
    setTimeout(resolve, millis, null);
  });
}

setInterval(() => changes.emit("change", { item: `i${Date.now() % 400}`, by: 1 }), 1_000).unref();

module.exports = { nextChange };
