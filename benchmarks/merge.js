/**
 * Puts the parts that were measured now into a result file whose other parts were measured before: `--json FILE --merge`.
 * Pure. Rows of another machine or Node are never mixed.
 */
"use strict";

/** A result of one run is one run of all its parts. */
function runsOf(result) {
  if (result.runs !== undefined) return result.runs;
  const { date, parts, service, loadAverageBefore, loadAverageAfter, busyRatioBefore, busyRatioAfter, seconds } =
    result;
  return [{ parts, date, service, loadAverageBefore, loadAverageAfter, busyRatioBefore, busyRatioAfter, seconds }];
}

/** Parts of an earlier run that were not measured again keep it in the list. */
function withoutParts(run, parts) {
  const left = (run.parts ?? "").split(",").filter((part) => part !== "" && !parts.has(part));
  return left.length === 0 ? [] : [{ ...run, parts: left.join(",") }];
}

/** To be called before hours of measuring, too. */
function checkSameMachine(before, after) {
  for (const fact of ["node", "cpuModel", "cores"]) {
    if (before.machine[fact] === after.machine[fact]) continue;
    throw new Error(`--merge needs the same ${fact}: ${before.machine[fact]} there, ${after.machine[fact]} here`);
  }
}

/**
 * @param before a result file's content.
 * @param after the result of a run; its `parts` say what it has measured.
 * @returns `after` with the budgets and tables that only `before` has, and `runs`, the newest first.
 */
function mergeResults(before, after) {
  checkSameMachine(before, after);
  const measured = new Map(after.budgets.map((row) => [row.id, row]));
  const known = before.budgets.map((row) => measured.get(row.id) ?? row);
  const isNew = ({ id }) => before.budgets.every((row) => row.id !== id);
  const parts = new Set(after.parts.split(","));
  return {
    ...after,
    budgets: [...known, ...after.budgets.filter(isNew)],
    tables: { ...before.tables, ...after.tables },
    runs: [...runsOf(after), ...runsOf(before).flatMap((run) => withoutParts(run, parts))],
  };
}

module.exports = { checkSameMachine, mergeResults };
