"use strict";
const debug = require("debug");

/** Loggers that carry the order's number in their namespace. */
function orderLog(id) {
  const order = debug(`shop:order:${id}`);
  return { order, line: (number) => order.extend(`line:${number}`) };
}

module.exports = { orderLog };
