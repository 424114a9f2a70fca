"use strict";
const debug = require("debug");

/** Loggers that carry the order's number in their namespace. */
function orderLog(id) {
  const order = debug(`shop:order:${id}`);
  return { order, lines: order.extend("lines") };
}

module.exports = { orderLog };
