"use strict";
const debug = require("debug");

const order = debug("shop:order");
const lines = order.extend("lines");
const prices = order.extend("prices");

/** Middleware: loggers that write the order's number in front of each message. */
function orderLog(request, _response, next) {
  const { id } = request.params;
  request.log = {
    order: (message, ...values) => order(`%s ${message}`, id, ...values),
    lines: (message, ...values) => lines(`%s ${message}`, id, ...values),
    prices: (message, ...values) => prices(`%s ${message}`, id, ...values),
  };
  next();
}

module.exports = { orderLog };
