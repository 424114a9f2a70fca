/**
 * Runs in the CLI process. Owns what a report shows of a finding that was acknowledged after the service last wrote: the
 * same as a running agent would say.
 */
import { join } from "node:path";
import { readConfiguration } from "../config";
import { findingText } from "../detector/words";
import { ACKNOWLEDGED_FILE, IGNORE_FILE, type IgnoreList, isActive, readIgnoreFile } from "../export/ignore-file";
import { type Finding, isAlarm } from "../model/finding";
import { applicationRoot, type RecordedFindings, sortedBySeriousness } from "./agent-folder";

export function withAcknowledgements(findings: RecordedFindings, folder: string, nowMillis: number): RecordedFindings {
  const lists = ignoreFilesOf(folder).map(readIgnoreFile);
  const latest = findings.latest.map((finding) => acknowledged(finding, lists, nowMillis));
  return { ...findings, latest: sortedBySeriousness(latest) };
}

/** Both files of acknowledgements, as far as they can be found from here. */
export function ignoreFilesOf(folder: string): string[] {
  const given = readConfiguration(undefined, null).settings.ignoreFile;
  const root = applicationRoot(folder);
  const committed = given ?? (root === null ? null : join(root, IGNORE_FILE));
  return [...(committed === null ? [] : [committed]), join(folder, ACKNOWLEDGED_FILE)];
}

function acknowledged(finding: Finding, lists: readonly IgnoreList[], nowMillis: number): Finding {
  if (!isAlarm(finding) && finding.verdict !== "saturating") return finding;
  for (const { file, entries } of lists) {
    const entry = entries.findLast(({ id }) => id === finding.id);
    if (entry === undefined || !isActive(entry, nowMillis)) continue;
    const acknowledgement = { reason: entry.reason, until: entry.until, file };
    const changed: Finding = { ...finding, verdict: "acknowledged", previousVerdict: finding.verdict, acknowledgement };
    return { ...changed, nextStep: "nothing to do yet", text: findingText(changed, 0) };
  }
  return finding;
}
