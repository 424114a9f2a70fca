"use strict";
const session = require("express-session");

const sessions = session({ secret: "shop", resave: false, saveUninitialized: false, cookie: { maxAge: 1_800_000 } });

module.exports = { sessions };
