/**
 * Runs on the agent's worker thread. Owns the way of a verdict's change to people: one line in findings.jsonl and one in
 * the log, each once.
 */
import { type FindingContext, toFinding } from "../detector/finding-record";
import type { Transition } from "../detector/transition";
import type { AgentFolder } from "../export/folder";
import type { Finding } from "../model/finding";
import type { AgentLog } from "./log";

export const FINDINGS_FILE = "findings.jsonl";
const FINDINGS_FILE_ASIDE = "findings.1.jsonl";
/** Share of the folder: a thousand transitions or more in the default one; as much again is kept aside. */
const FINDINGS_SHARE = 1 / 16;

export class Findings {
  /** Findings that could not be written to the folder; the log had them. */
  droppedFindings = 0;

  constructor(
    private readonly folder: AgentFolder | null,
    private readonly log: AgentLog,
    private readonly context: () => FindingContext,
  ) {}

  record(transitions: readonly Transition[]): Finding[] {
    const context = this.context();
    return transitions.map((transition) => {
      const finding = toFinding(transition, context);
      this.write(finding);
      this.tell(finding);
      return finding;
    });
  }

  private write(finding: Finding): void {
    const { folder } = this;
    folder?.rotate(FINDINGS_FILE, FINDINGS_FILE_ASIDE, folder.limitBytes * FINDINGS_SHARE);
    if (folder?.append(FINDINGS_FILE, `${JSON.stringify(finding)}\n`) !== "written") this.droppedFindings++;
  }

  private tell(finding: Finding): void {
    const position = finding.site.original ?? finding.site;
    const fields = {
      finding: finding.id,
      verdict: finding.verdict,
      previousVerdict: finding.previousVerdict,
      impact: finding.impact,
      route: finding.route.name,
      routeKind: finding.route.kind,
      site: `${position.file}:${position.line}`,
      function: finding.site.function,
      package: finding.site.package,
      bytesPerRequest: finding.growth.bytesPerRequest,
      bytesPerHour: finding.growth.bytesPerHour,
    };
    const message = `${finding.verdict}: ${finding.text}`;
    if (finding.verdict === "leak" || finding.verdict === "urgent")
      this.log.warn("LEAK_AGENT_FINDING", message, fields);
    else this.log.info(message, fields);
  }
}
