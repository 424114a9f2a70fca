"use strict";
/** Holds finding records against docs/finding.schema.json, with no field beyond the types: for tests of what we write. */
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { join, resolve } = require("node:path");
const Ajv = require("ajv/dist/2020");

const SCHEMA = JSON.parse(readFileSync(join(resolve(__dirname, "../.."), "docs/finding.schema.json"), "utf8"));

/** The published schema lets fields be added; what we write must have no field that the types do not know. */
function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]));
  return copy.properties === undefined ? copy : { ...copy, additionalProperties: false };
}

function validator(schema) {
  return new Ajv({ strict: true, allowUnionTypes: true, allErrors: true }).compile(schema);
}

let validateClosed;

function assertFinding(finding) {
  validateClosed ??= validator(closed(SCHEMA));
  assert.ok(validateClosed(finding), JSON.stringify(validateClosed.errors));
}

module.exports = { SCHEMA, assertFinding, validator };
