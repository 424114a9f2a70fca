"use strict";
const { whenServed, closeServer } = require("../served");
whenServed((server) => {
  process.exitCode = 3;
  closeServer(server);
});
