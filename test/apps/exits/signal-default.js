"use strict";
const { whenServed } = require("../served");
whenServed(() => process.stdout.write("waiting\n"));
