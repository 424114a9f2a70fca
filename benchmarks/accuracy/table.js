/** Pure. Owns the words and columns that the evaluation prints. */
"use strict";

const COLUMNS = [
  "case",
  "verdict",
  "route",
  "file",
  "app frame",
  "B/request",
  "of truth",
  "detected",
  "requests",
  "leaked",
  "false",
  "",
];

/** @param {object[]} results one per case run, as `evaluateCase` returns them */
function renderTable(results) {
  const rows = results.flatMap(caseRows);
  const widths = COLUMNS.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)));
  const line = (row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd();
  return [
    line(COLUMNS),
    line(widths.map((width) => "-".repeat(width))),
    ...rows.map(line),
    "",
    renderTotals(results),
  ].join("\n");
}

function caseRows(result) {
  if (result.score === null) return [row({ case: result.case, verdict: "did not run", end: "WRONG" })];
  const { score } = result;
  const end = score.right ? "right" : "WRONG";
  const falseCount = String(score.falseFindings.length);
  if (score.leaks.length === 0) {
    return [
      row({
        case: result.case,
        verdict: score.falseFindings.length === 0 ? "silent" : "alarm",
        false: falseCount,
        end,
      }),
    ];
  }
  return score.leaks.map((leak, index) =>
    row({
      case: index === 0 ? result.case : "",
      verdict: leak.verdict ?? "silent",
      route:
        word(leak.routeRight) + (leak.routeMatch === "normalised" ? " ~" : leak.routeMatch === "listed" ? " +" : ""),
      file: word(leak.fileRight),
      app: leak.appFrameNamed ? word(leak.appFrameRight) : "none",
      bytes: leak.bytesPerRequest == null ? "-" : Math.round(leak.bytesPerRequest).toString(),
      ratio: leak.bytesRatio == null ? "-" : leak.bytesRatio.toFixed(2),
      seconds: leak.secondsToDetection == null ? "-" : `${leak.secondsToDetection.toFixed(0)} s`,
      requests: leak.requestsAtDetection == null ? "-" : String(leak.requestsAtDetection),
      leaked: leak.bytesAtDetection == null ? "-" : `${(leak.bytesAtDetection / 1e6).toFixed(2)} MB`,
      false: index === 0 ? falseCount : "",
      end: index === 0 ? end : "",
    }),
  );
}

function row(cells) {
  const names = [
    "case",
    "verdict",
    "route",
    "file",
    "app",
    "bytes",
    "ratio",
    "seconds",
    "requests",
    "leaked",
    "false",
    "end",
  ];
  return names.map((name) => cells[name] ?? "");
}

function word(right) {
  return right ? "right" : "wrong";
}

function renderTotals(results) {
  const scored = results.filter((result) => result.score !== null);
  const leaks = scored.flatMap((result) => result.score.leaks);
  const healthy = scored.filter((result) => result.score.leaks.length === 0);
  const count = (test) => leaks.filter(test).length;
  const seconds = leaks.flatMap((leak) => leak.secondsToDetection ?? []).sort((a, b) => a - b);
  return [
    `cases right ${results.filter((result) => result.score?.right === true).length} of ${results.length}`,
    `leaks: verdict ${count((leak) => leak.verdictRight)}, route ${count((leak) => leak.routeRight)}, file ${count((leak) => leak.fileRight)}, ` +
      `app frame named ${count((leak) => leak.appFrameNamed)}, of ${leaks.length}; median detection ${seconds.length === 0 ? "-" : `${seconds[seconds.length >> 1].toFixed(0)} s`}`,
    `healthy: silent ${healthy.filter((result) => result.score.falseFindings.length === 0).length} of ${healthy.length}`,
    `false findings ${scored.reduce((sum, result) => sum + result.score.falseFindings.length, 0)}`,
    "(~ equal only after rewriting parameter syntax; + named among the finding's other routes; detected, requests and leaked: at the first alarm)",
  ].join("\n");
}

/** What else a reader must know about one case: wrong names, load errors, the agent's words. */
function renderNotes(result) {
  const notes = [];
  if (result.failure) notes.push(result.failure);
  for (const leak of result.score?.leaks ?? []) {
    if (leak.named)
      notes.push(
        `${leak.route}: named ${leak.named.route} (${leak.named.kind}) at ${leak.named.site}; app frame ${leak.named.appFrame}`,
      );
  }
  for (const found of result.score?.falseFindings ?? [])
    notes.push(`false: ${found.route} (${found.kind}) at ${found.site}`);
  for (const found of result.score?.duplicates ?? []) notes.push(`again: ${found.route} at ${found.site}`);
  for (const [what, count] of Object.entries(result.load?.errors ?? {})) notes.push(`load error: ${what} x ${count}`);
  if (result.load?.droppedCount > 0)
    notes.push(`load: ${result.load.droppedCount} requests not sent, too many unanswered`);
  for (const found of result.score?.right === true ? [] : (result.quietFindings ?? []))
    notes.push(`no alarm: ${found}`);
  for (const line of (result.agentLines ?? []).slice(0, 12)) notes.push(`agent: ${agentWords(line)}`);
  if ((result.agentLineCount ?? 0) > 12)
    notes.push(`agent: ${result.agentLineCount - 12} more lines (--json has them)`);
  return notes.map((note) => `  ${note}`).join("\n");
}

/** The agent logs JSON; a reader wants its level and message. */
function agentWords(line) {
  try {
    const { level, code, msg } = JSON.parse(line);
    return [level, code, msg].filter(Boolean).join(" ").slice(0, 240);
  } catch {
    return line.slice(0, 240); // Not the agent's logger, but it carries the agent's name.
  }
}

module.exports = { agentWords, renderNotes, renderTable };
