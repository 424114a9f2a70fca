"use strict";
const { whenServed, closeServer } = require("../served");
whenServed(closeServer);
