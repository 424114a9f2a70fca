"use strict";
const { whenServed, request } = require("../served");
let armed = false;
whenServed(
  (server) => {
    armed = true;
    request(server, "/armed");
  },
  (_request, response) => {
    if (armed) throw new Error("boom in a handler");
    response.end("ok");
  },
);
