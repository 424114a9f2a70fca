"use strict";

/** Express 4 does not wait for a promise: its rejection goes to the error handler. */
const handler = (respond) => (request, response, next) => {
  respond(request, response).catch(next);
};

module.exports = { handler };
