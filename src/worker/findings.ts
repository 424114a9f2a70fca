/**
 * Runs on the agent's worker thread. Owns the way of a verdict's change to people: one line in findings.jsonl and one in
 * the log, each once. What a person has acknowledged is told once as such, and again as what it is when that ends; what is
 * less than another process's alarm waits (siblings.ts).
 */
import { type FindingContext, toFinding } from "../detector/finding-record";
import type { Transition } from "../detector/transition";
import { findingText, nextStep } from "../detector/words";
import type { AgentFolder } from "../export/folder";
import { type Finding, type FindingAcknowledgement, isAlarm, type VerdictName } from "../model/finding";
import { keepNewest } from "../model/newest";
import type { Acknowledgements } from "./acknowledgements";
import type { AgentLog } from "./log";
import type { Siblings } from "./siblings";

export const FINDINGS_FILE = "findings.jsonl";
const FINDINGS_FILE_ASIDE = "findings.1.jsonl";
/** Share of the folder: a thousand transitions or more in the default one; as much again is kept aside. */
const FINDINGS_SHARE = 1 / 16;
/** Findings whose acknowledgement is followed; the ones that changed last stay. */
const MAX_FOLLOWED = 1_000;
/** What this life alone makes of a leak that earlier lives told, while its own evidence still builds up. */
const NO_NEWS_OF_CARRIED: readonly VerdictName[] = ["watch", "saturating"];
/** Verdicts that a person can silence; the others are no alarm, or the end of one. */
const SILENCEABLE: readonly VerdictName[] = ["watch", "saturating", "leak", "urgent"];

interface Followed {
  /** It stands on the evidence of earlier lives, until this life has told it too, or ended it. */
  readonly isCarried?: boolean;
  /** As the detector has it. */
  readonly actual: Finding;
  /** As people were told. */
  readonly told: Finding;
}

export class Findings {
  private readonly followed = new Map<string, Followed>();
  /** Less than alarms, untold as long as another process stands by one. */
  private readonly heldBack = new Map<string, Finding>();
  /** Findings that could not be written to the folder; the log had them. */
  droppedFindings = 0;

  constructor(
    private readonly folder: AgentFolder | null,
    private readonly log: AgentLog,
    private readonly context: () => FindingContext,
    private readonly acknowledgements: Pick<Acknowledgements, "look" | "of"> | null = null,
    private readonly siblings: Pick<Siblings, "hasAlarm" | "isOwn" | "overruledMillis"> | null = null,
  ) {}

  /** @returns what people were told: nothing where an acknowledged finding changes without being over. */
  record(transitions: readonly Transition[]): Finding[] {
    const context = this.context();
    return transitions.flatMap((transition) => this.change(toFinding(transition, context)));
  }

  /** A changed finding, whoever decided it. */
  change(actual: Finding): Finding[] {
    const nowMillis = Date.parse(actual.time);
    this.acknowledgements?.look(nowMillis);
    this.heldBack.delete(actual.id);
    const known = this.followed.get(actual.id);
    const before = known?.told ?? null;
    if (known?.isCarried === true && NO_NEWS_OF_CARRIED.includes(actual.verdict)) return [];
    if (this.isSpokenFor(actual, before)) {
      keepNewest(this.heldBack, actual.id, actual, MAX_FOLLOWED);
      return [];
    }
    return this.tellAs(withFirstBuild(actual, before), this.acknowledgementOf(actual, nowMillis), before, actual.time);
  }

  /** Takes in what people were told by an earlier worker of this life, or an earlier life. */
  remember(finding: Finding): void {
    this.follow({ actual: finding, told: finding });
  }

  /** An alarm of an earlier life: it stands until something ends it. */
  carry(finding: Finding): void {
    this.follow({ actual: finding, told: finding, isCarried: true });
  }

  /** What others have written meanwhile, people and the processes that share the folder. */
  review(nowMillis: number): Finding[] {
    return [...this.reviewAcknowledgements(nowMillis), ...this.reviewSiblings(nowMillis)];
  }

  /** Looks at the files of acknowledgements: new ones silence, withdrawn and expired ones alarm again. */
  private reviewAcknowledgements(nowMillis: number): Finding[] {
    if (this.acknowledgements === null) return [];
    this.acknowledgements.look(nowMillis);
    const told: Finding[] = [];
    for (const { actual, told: before } of [...this.followed.values()]) {
      const acknowledgement = this.acknowledgementOf(actual, nowMillis);
      if ((acknowledgement !== null) === (before.verdict === "acknowledged")) continue;
      told.push(...this.tellAs(actual, acknowledgement, before, new Date(nowMillis).toISOString()));
    }
    return told;
  }

  /**
   * An alarm that this process stands by is told again when another one had the last word and took its own back. What was
   * held back is told when the process that stood by an alarm is gone, or has taken it back.
   */
  private reviewSiblings(nowMillis: number): Finding[] {
    const { siblings } = this;
    if (siblings === null) return [];
    const again = [...this.followed.values()].flatMap(({ actual, told }) => {
      if (!isAlarm(told) || !siblings.isOwn(told)) return [];
      const overruled = siblings.overruledMillis(actual.id, Date.parse(told.time));
      if (overruled === null) return [];
      return this.tellAs(actual, null, told, new Date(Math.max(nowMillis, overruled + 1)).toISOString());
    });
    const late = [...this.heldBack.values()].filter(({ id }) => !siblings.hasAlarm(id));
    const time = new Date(nowMillis).toISOString();
    return [...again, ...late.flatMap((finding) => this.change({ ...finding, time }))];
  }

  /** What is less than an alarm is no news while another process of the service stands by one that this one never told. */
  private isSpokenFor(actual: Finding, before: Finding | null): boolean {
    const { siblings } = this;
    if (siblings === null || isAlarm(actual) || actual.fix !== null) return false;
    const isAlarming = before !== null && (isAlarm(before) || before.verdict === "acknowledged");
    return !(isAlarming && siblings.isOwn(before)) && siblings.hasAlarm(actual.id);
  }

  private acknowledgementOf({ id, verdict }: Finding, nowMillis: number): FindingAcknowledgement | null {
    return SILENCEABLE.includes(verdict) ? (this.acknowledgements?.of(id, nowMillis) ?? null) : null;
  }

  private tellAs(
    actual: Finding,
    acknowledgement: FindingAcknowledgement | null,
    before: Finding | null,
    time: string,
  ): Finding[] {
    const isSilent = acknowledgement !== null && before?.verdict === "acknowledged";
    if (isSilent) {
      this.follow({ actual, told: before });
      return [];
    }
    const changed: Finding = {
      ...actual,
      time: laterOf(time, before),
      sequence: Math.max(actual.sequence, (before?.sequence ?? 0) + 1),
      verdict: acknowledgement === null ? actual.verdict : "acknowledged",
      previousVerdict: before?.verdict ?? actual.previousVerdict,
      ...(acknowledgement === null ? {} : { acknowledgement }),
    };
    const told =
      acknowledgement === null ? changed : { ...changed, nextStep: nextStep(changed), text: findingText(changed, 0) };
    this.follow({ actual, told, isCarried: actual.evidence.lives > 1 });
    this.write(told);
    this.tell(told);
    return [told];
  }

  private follow(followed: Followed): void {
    keepNewest(this.followed, followed.actual.id, followed, MAX_FOLLOWED);
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
      ...(finding.fix === null ? {} : { fix: finding.fix.verdict }),
    };
    const message = `${finding.verdict}: ${finding.text}`;
    if (isAlarm(finding)) this.log.warn("LEAK_AGENT_FINDING", message, fields);
    else this.log.info(message, fields);
  }
}

/** Readers take the line with the greatest time: what is told later must not look older. */
function laterOf(time: string, before: Finding | null): string {
  const least = before === null ? 0 : Date.parse(before.time) + 1;
  return Date.parse(time) >= least ? time : new Date(least).toISOString();
}

/** The build in which it was first found. */
function withFirstBuild(finding: Finding, before: Finding | null): Finding {
  const firstBuildId = before?.service.firstBuildId ?? null;
  return firstBuildId === null ? finding : { ...finding, service: { ...finding.service, firstBuildId } };
}
