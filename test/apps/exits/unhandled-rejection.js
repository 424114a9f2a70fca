"use strict";
const { whenServed } = require("../served");
whenServed(() => {
  Promise.reject(new Error("boom"));
});
