"use strict";
const { whenServed } = require("../served");
process.on("exit", (code) => console.log(`exit ${code}`));
whenServed(() => process.exit(7));
