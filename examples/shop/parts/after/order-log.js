"use strict";
const debug = require("debug");

const order = debug("shop:order");
const line = order.extend("line");

/** Loggers that write the order's number in front of each message. */
function orderLog(id) {
  return {
    order: (message, ...values) => order(`%s ${message}`, id, ...values),
    line:
      (number) =>
      (message, ...values) =>
        line(`%s:%d ${message}`, id, number, ...values),
  };
}

module.exports = { orderLog };
