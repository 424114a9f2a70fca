"use strict";
const { whenServed, closeServer } = require("../served");
whenServed((server) => {
  for (const signal of ["SIGTERM", "SIGINT"]) {
    process.once(signal, () => {
      console.log(`draining on ${signal}`);
      closeServer(server);
    });
  }
  process.stdout.write("waiting\n");
});
