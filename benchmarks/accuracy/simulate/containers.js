/** Owns how V8 grows the two containers that services grow: the sizes of the backing stores they allocate. */
"use strict";

/** An array: one word an element; a new store of 1.5 times and 16 more. */
const ARRAY = { growthFactor: 1.5, growthExtra: 16, elementBytes: 8 };
/** A Map: about 28 bytes an entry (bucket share, key, value, chain); capacity doubles. */
const MAP = { growthFactor: 2, growthExtra: 0, elementBytes: 28, firstCapacity: 4 };

module.exports = { ARRAY, MAP };
