/** Owns the command line of `npm run bench`: its options, what they may be, and the words when they are not. */
"use strict";

const { accessSync, constants } = require("node:fs");
const { dirname, resolve } = require("node:path");
const { parseArgs } = require("node:util");
const { SHAPES } = require("./overhead/composition");
const { NAMES, PARTS, SIZES } = require("./parts");

const SERVICES = Object.keys(SHAPES);

const USAGE = `usage: npm run bench -- [options]      (npm run bench:full: --full)
  --only A,B          only these parts: ${NAMES.join(", ")}
  --services A,B      the services that are measured: ${SERVICES.join(", ")} (default: express)
  --full              every part and service, at the sizes that tables are published from; hours
  --quick             the sizes of CI
  --rounds N          rounds of blocks, in place of the size's own
  --utilisation R     load as a part of saturation, between 0 and 1
  --json FILE         keep the raw numbers
  --merge             FILE keeps the parts that are not measured now
  --known ID,...      budgets that are known to be missed: judged and printed, without a say in the exit code
exit code: 0 all budgets are met, 1 one is not met, 2 one is not shown, 3 a measurement broke or wrong usage`;

/** A mistake of the person who called. */
class UsageError extends Error {}

/**
 * @param {string[]} args
 * @returns {{size: object, parts: string[], known: Set<string>, json?: string, merge: boolean, help: boolean}}
 * @throws {UsageError} an option that does not exist, or a value that it cannot have
 */
function readOptions(args) {
  const values = parse(args);
  const sized = values.full ? SIZES.full : values.quick ? SIZES.quick : SIZES.bench;
  checkFile(values);
  return {
    help: values.help,
    json: values.json,
    merge: values.merge,
    known: new Set(values.known.split(",")),
    parts: listOf("only", values.only, NAMES) ?? NAMES.filter((name) => values.full || !PARTS[name].fullOnly),
    size: {
      ...sized,
      variants: listOf("services", values.services, SERVICES) ?? sized.variants,
      ...optional("rounds", values.rounds, "a whole number of at least 1", (n) => Number.isInteger(n) && n >= 1),
      ...optional("utilisation", values.utilisation, "a number between 0 and 1", (n) => n > 0 && n < 1),
    },
  };
}

function parse(args) {
  const flag = { type: "boolean", default: false };
  const text = { type: "string" };
  try {
    return parseArgs({
      args,
      options: {
        only: text,
        services: text,
        full: flag,
        quick: flag,
        rounds: text,
        utilisation: text,
        json: text,
        merge: flag,
        known: { type: "string", default: "" },
        help: flag,
      },
    }).values;
  } catch (error) {
    throw new UsageError(error.message);
  }
}

/** Before anything is measured: ten minutes must not end in a file that cannot be written. */
function checkFile({ json, merge }) {
  if (merge && json === undefined) throw new UsageError("--merge needs --json FILE, the results to keep");
  if (json === undefined) return;
  try {
    accessSync(dirname(resolve(json)), constants.W_OK);
    if (merge) accessSync(json, constants.R_OK);
  } catch (error) {
    throw new UsageError(`--json ${json}: ${error.message}`);
  }
}

/** @returns the names, or undefined when the option was not given. */
function listOf(option, value, known) {
  if (value === undefined) return undefined;
  const names = value.split(",");
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new UsageError(
      `--${option} knows ${known.join(", ")}; not ${unknown.map((name) => name || '""').join(", ")}`,
    );
  return names;
}

function optional(option, value, what, isAllowed) {
  if (value === undefined) return {};
  if (value.trim() === "" || !isAllowed(Number(value)))
    throw new UsageError(`--${option} takes ${what}, not "${value}"`);
  return { [option]: Number(value) };
}

module.exports = { USAGE, UsageError, readOptions };
