"use strict";
const { whenServed } = require("../served");
whenServed(() => process.abort());
