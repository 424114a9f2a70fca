"use strict";
const debug = require("debug");

/** Middleware: loggers that carry the order's number in their namespace. */
function orderLog(request, _response, next) {
  const order = debug(`shop:order:${request.params.id}`);
  request.log = { order, lines: order.extend("lines"), prices: order.extend("prices") };
  next();
}

module.exports = { orderLog };
