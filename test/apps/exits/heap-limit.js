"use strict";
const { whenServed } = require("../served");
whenServed(() => {
  const kept = [];
  for (;;) kept.push({ text: `x${kept.length}` });
});
