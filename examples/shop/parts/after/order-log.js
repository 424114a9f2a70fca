"use strict";
const debug = require("debug");

const order = debug("shop:order");
const lines = order.extend("lines");

/** Loggers that write the order's number in front of each message. */
function orderLog(id) {
  return {
    order: (message, ...values) => order(`%s ${message}`, id, ...values),
    lines: (message, ...values) => lines(`%s ${message}`, id, ...values),
  };
}

module.exports = { orderLog };
