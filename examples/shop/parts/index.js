/**
 * The parts of the shop that were repaired: `before/` is the code with the fault, `after/` the code that replaced it.
 * SHOP_BEFORE names the one part to run as it was before; the others run repaired.
 */
"use strict";

const part = (name) => require(process.env.SHOP_BEFORE === name ? `./before/${name}.js` : `./after/${name}.js`);

module.exports = { part };
