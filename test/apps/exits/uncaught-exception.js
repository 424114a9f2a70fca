"use strict";
const { whenServed } = require("../served");
whenServed(() =>
  setImmediate(() => {
    throw new Error("boom");
  }),
);
