/**
 * Runs in the harness's process. Owns reading the finding records that an agent has written into its folder so far.
 * Must tolerate a folder or a last line that is not complete yet.
 */
"use strict";
const fs = require("node:fs");
const path = require("node:path");

const MAX_DEPTH = 4;

/**
 * @param {string} folder the agent's LEAK_AGENT_DIR
 * @returns {object[]} every record of every `findings*.jsonl` below it, oldest first
 */
function readFindings(folder) {
  const records = findingFiles(folder, 0).flatMap(readRecords);
  return records.sort((a, b) => String(a.time).localeCompare(String(b.time)));
}

function findingFiles(folder, depth) {
  if (depth > MAX_DEPTH || !fs.existsSync(folder)) return [];
  const files = [];
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) files.push(...findingFiles(full, depth + 1));
    else if (/^findings.*\.jsonl$/.test(entry.name)) files.push(full);
  }
  return files;
}

function readRecords(file) {
  const text = fs.readFileSync(file, "utf8");
  // A line without its newline is still being written.
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter(Boolean)
    .map(JSON.parse);
}

const ALARMS = new Set(["leak", "urgent"]);
const isAlarm = (record) => ALARMS.has(record.verdict);

module.exports = { isAlarm, readFindings };
