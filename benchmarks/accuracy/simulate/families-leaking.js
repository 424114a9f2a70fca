/** Owns the leaking services: what leaks, on which route, and how much of it there is, so that a finding can be scored. */
"use strict";
const lifetimes = require("./lifetimes.js");
const { SUBJECT, keep, pathTo } = require("./scene.js");

function leak(name, { samplesPerDay = 60, sizes = [48], ...extra } = {}) {
  return (scene) => {
    const population = keep(scene, {
      route: 0,
      path: pathTo(name),
      samplesPerDay,
      sizes,
      life: lifetimes.forever,
      ...extra,
    });
    return { route: SUBJECT, functions: [name], bytesPerRequest: population.bytesPerUnit };
  };
}

const FAMILIES = [
  { name: "listeners", add: leak("onUpdate", { sizes: [56, 32] }) },
  { name: "closures", add: leak("makeCallback", { sizes: [64] }) },
  { name: "error path only", add: leak("rememberError", { samplesPerDay: 40, sizes: [400] }) },
];

module.exports = { LEAKING: FAMILIES.map((family) => ({ ...family, isHealthy: false })) };
