/**
 * Runs on the agent's worker thread. Owns what this life writes down for the next ones, and what it makes of the lives
 * before: leaks that stand, and whether this build has fixed them.
 */
import type { GrowthOf } from "../detector/describe-transition";
import type { Detector } from "../detector/detector";
import type { OwnersAtClock } from "../detector/detector-memory";
import { ANONYMOUS_FUNCTION, type DescribedFrame, type FindingContext, toFinding } from "../detector/finding-record";
import { checkFix, looksDue } from "../detector/fix-check";
import { fixQuestionOf, keysOf, withFix } from "../detector/fix-question";
import { lifeNumbers } from "../detector/life-series";
import { acrossLives, alternativesAcrossLives, type EvidenceAcrossLives, growthAcrossLives } from "../detector/lives";
import { POOL_KEY } from "../detector/route-pool";
import type { SiteSummary } from "../detector/summary";
import type { Transition } from "../detector/transition";
import { type Finding, isAlarm } from "../model/finding";
import { type LifeSeries, type LifeSite, seriesKey, siteKeyOf } from "../model/life";
import type { Frame } from "../model/observation";
import type { OwnerKind } from "../model/owner";
import type { LifeJournal } from "./life-journal";

/** Records of the numbers within one horizon, and the bounds of their spacing. */
const RECORDS_PER_HORIZON = 24;
const MIN_SPACING_MILLIS = 1_000;
const MAX_SPACING_MILLIS = 600_000;
/** Sites whose numbers are kept in one life. */
const MAX_SITES = 40;
/** Early in a life warm-up hides which function leaks: what an earlier life knew better gets this share of the horizon. */
const NAMING_SHARE_OF_HORIZON = 1 / 4;
/** A site below another one holds the leak when it holds this share of its survivors. */
const BELOW_SHARE = 1 / 2;

export interface LifeWatchOptions {
  readonly journal: Pick<LifeJournal, "past" | "opening" | "findings" | "noteSeries">;
  readonly detector: Detector;
  readonly describe: (frame: Frame) => DescribedFrame;
  readonly context: () => FindingContext;
}

/** A site of a route, as lives name it. */
interface Place {
  readonly kind: OwnerKind;
  readonly route: string | null;
  /** `route` stands for all routes of a pooled finding. */
  readonly isPooled?: true | undefined;
  readonly site: LifeSite;
}

interface OpenCheck {
  readonly finding: Finding;
  looksDone: number;
}

export class LifeWatch {
  private readonly checks = new Map<string, OpenCheck>();
  private readonly carried = new Map<string, Place>();
  private readonly frames = new Map<string, { readonly frames: Set<number>; scanned: number }>();
  private readonly spacingMillis: number;
  private readonly orders = new Map<string, number>();
  /** By route, or kind of owner, the leak that stands there: from an earlier life, or told on the evidence of several. */
  private readonly standingAt = new Map<string, Finding>();
  private recordedMillis = Number.NEGATIVE_INFINITY;
  /** Alarms of earlier lives that nothing has ended. */
  readonly standing: readonly Finding[];

  constructor(private readonly options: LifeWatchOptions) {
    const { past, opening } = options.journal;
    this.spacingMillis = Math.min(
      MAX_SPACING_MILLIS,
      Math.max(MIN_SPACING_MILLIS, opening.horizonMillis / RECORDS_PER_HORIZON),
    );
    this.standing = standingOf([...past.flatMap((life) => life.findings), ...options.journal.findings]);
    for (const finding of this.standing) {
      if (finding.service.buildId !== opening.buildId) this.checks.set(finding.id, { finding, looksDone: 0 });
    }
    for (const finding of this.standing) this.standingAt.set(ownerNameOf(finding.route), finding);
    for (const one of past.flatMap((life) => life.series)) if (one.site !== null) this.orderOf(seriesKey(one));
    for (const { kind, route, isPooled, site } of past.slice(-MAX_SITES).flatMap((life) => life.series)) {
      if (site === null || this.carried.size >= MAX_SITES) continue;
      const place: Place = { kind, route, isPooled, site };
      if (!this.carried.has(placeKey(place))) this.carried.set(placeKey(place), place);
    }
  }

  /** @returns findings of earlier builds whose fix is decided now, and leaks that only several lives together show; null: not yet. */
  look(nowMillis: number): Finding[] | null {
    if (nowMillis - this.recordedMillis < this.spacingMillis) return null;
    this.recordedMillis = nowMillis;
    const series = this.seriesNow(nowMillis);
    this.options.journal.noteSeries(series);
    return [...this.checkFixes(series, nowMillis), ...this.judgeAcrossLives(series, nowMillis)];
  }

  /** The functions under which an earlier life named this site; null: it is new. */
  functionsOf(site: Frame, route: string | null): readonly string[] | null {
    const named = site.function === "" ? ANONYMOUS_FUNCTION : site.function;
    for (const place of this.carried.values()) {
      if (place.site.function !== named || place.route !== route) continue;
      if (siteKeyOf(this.nameOf(site)) === siteKeyOf(place.site)) return place.site.functions;
    }
    return null;
  }

  private judgeAcrossLives(series: readonly LifeSeries[], nowMillis: number): Finding[] {
    const told: Finding[] = [];
    const { opening } = this.options.journal;
    for (const summary of this.options.detector.summary(MAX_SITES, new Set()).sites) {
      // What this life has decided by itself needs no help, and one owner is one finding.
      const isOpen = summary.verdict === null || summary.verdict === "watch";
      const place = this.placeOf(summary);
      const owner = ownerNameOf({ kind: place.kind, name: place.route });
      const current = series.find((one) => seriesKey(one) === seriesKey(place));
      const standing = this.standingAt.get(owner);
      if (!isOpen || current === undefined || standing?.service.buildId === opening.buildId) continue;
      if (this.waitsForSiteBelow(summary, current, series, nowMillis)) continue;
      const finding = this.acrossLives(summary, current, nowMillis);
      // Of an earlier build only the same leak is news: that it is here too.
      if (finding === null || (standing !== undefined && standing.id !== finding.id)) continue;
      this.standingAt.set(owner, finding);
      told.push(finding);
    }
    return told;
  }

  /** An earlier life knew a function further down that keeps most of this; it will show once warm-up is over. */
  private waitsForSiteBelow(
    { frame }: SiteSummary,
    current: LifeSeries,
    series: readonly LifeSeries[],
    nowMillis: number,
  ): boolean {
    const { startTimeMillis, horizonMillis } = this.options.journal.opening;
    if (nowMillis - startTimeMillis > NAMING_SHARE_OF_HORIZON * horizonMillis) return false;
    return series.some(
      ({ kind, route, site, survivors }) =>
        site !== null &&
        ownerNameOf({ kind, name: route }) === ownerNameOf({ kind: current.kind, name: current.route }) &&
        survivors >= BELOW_SHARE * current.survivors &&
        [...this.framesOf(site)].some((other) => this.isBelow(other, frame)),
    );
  }

  private isBelow(frame: number, above: number): boolean {
    const { stacks } = this.memory;
    if (frame === above) return false;
    return stacks.stacksThrough(frame).some((index) => {
      const stack = stacks.stack(index);
      const place = stack.indexOf(above);
      return place >= 0 && place < stack.lastIndexOf(frame);
    });
  }

  private acrossLives(summary: SiteSummary, current: LifeSeries, nowMillis: number): Finding | null {
    const { opening, past } = this.options.journal;
    const key = seriesKey(current);
    const earlier = past.flatMap(({ opening: { buildId, startTimeMillis }, series }) =>
      series
        .filter((one) => seriesKey(one) === key && one.timeMillis < opening.startTimeMillis)
        .map((one) => ({ startMillis: startTimeMillis, endMillis: one.timeMillis, series: one, buildId })),
    );
    const own = { startMillis: opening.startTimeMillis, endMillis: nowMillis, series: current };
    const evidence = acrossLives(earlier, own, opening.horizonMillis, this.orderOf(key));
    if (!evidence.supportsLeak) return null;
    const ofThisBuild = earlier.filter(({ buildId }) => buildId === opening.buildId).map(({ series }) => series);
    const growthOf: GrowthOf = (growth, ofSite) => growthAcrossLives(growth, ofSite, ofThisBuild, current);
    const transition = this.options.detector.describeAcrossLives(summary.owner, summary, growthOf, nowMillis);
    if (transition === null) return null;
    return toFinding(withEvidence(transition, evidence, opening.horizonMillis), this.options.context());
  }

  /** Order of appearance among all sites that lives have recorded: decides the share of the error budget. */
  private orderOf(key: string): number {
    if (!this.orders.has(key)) this.orders.set(key, this.orders.size);
    return this.orders.get(key) ?? 0;
  }

  /** Numbers of every site that this life or an earlier one has noticed, and of their routes. */
  private seriesNow(nowMillis: number): LifeSeries[] {
    const places = new Map<string, Place>(this.carried);
    for (const summary of this.options.detector.summary(MAX_SITES, new Set()).sites) {
      const place = this.placeOf(summary);
      places.set(placeKey(place), place);
    }
    const routes = new Map([...places.values()].map((place) => [place.route ?? place.kind, place]));
    // The requests of thousands of routes are added up once for all the sites of a pooled name.
    const pooled = new Map<string | null, OwnersAtClock | null>();
    for (const place of places.values()) {
      if (place.isPooled === true && !pooled.has(place.route)) pooled.set(place.route, this.ownersOf(place, nowMillis));
    }
    const numbers = (place: Place, site: LifeSite | null): LifeSeries[] => {
      const at = place.isPooled === true ? (pooled.get(place.route) ?? null) : this.ownersOf(place, nowMillis);
      return at === null ? [] : this.numbersOf(place, site, at, nowMillis);
    };
    return [
      ...[...places.values()].flatMap((place) => numbers(place, place.site)),
      ...[...routes.values()].flatMap((place) => numbers(place, null)),
    ];
  }

  private get memory(): Detector["view"] {
    return this.options.detector.view;
  }

  /** @param site null: everything of the place's route. */
  private numbersOf(
    { kind, route, isPooled }: Place,
    site: LifeSite | null,
    { owners, clock }: OwnersAtClock,
    nowMillis: number,
  ): LifeSeries[] {
    const frames = site === null ? null : this.framesOf(site);
    const numbers = lifeNumbers(this.memory, owners, clock, frames, nowMillis);
    return numbers === null ? [] : [{ kind, route, isPooled, site, ...numbers }];
  }

  private ownersOf({ kind, route, isPooled }: Place, nowMillis: number): OwnersAtClock | null {
    if (route !== null)
      return isPooled === true ? this.memory.routesPooledAs(route, nowMillis) : this.memory.routeNamed(route);
    const owner = this.memory.owners.get(`kind:${kind}`);
    return owner === undefined ? null : { owners: [owner], clock: owner.clock };
  }

  private placeOf({ owner, route, site, frame, namedFrame, siteFunctions }: SiteSummary): Place {
    const kind = owner.startsWith("kind:") ? (owner.slice("kind:".length) as OwnerKind) : "request";
    const holder = frame === namedFrame ? null : (this.memory.stacks.frames[frame] ?? null);
    return {
      kind,
      route: route?.name ?? null,
      isPooled: owner === POOL_KEY ? true : undefined,
      site: {
        ...this.nameOf(site),
        holder: holder === null ? null : { file: this.nameOf(holder).file, function: this.nameOf(holder).function },
        functions: this.functionsOf(site, route?.name ?? null) ?? siteFunctions,
      },
    };
  }

  private nameOf(frame: Frame): Pick<LifeSite, "package" | "file" | "function"> {
    const described = this.options.describe(frame);
    const version = described.package.lastIndexOf("@");
    return {
      package: version > 0 ? described.package.slice(0, version) : described.package,
      file: described.original?.file ?? described.file,
      function: frame.function === "" ? ANONYMOUS_FUNCTION : frame.function,
    };
  }

  /** Every function of this life that is the site, or that holds its evidence; only new frames are looked at. */
  private framesOf(site: LifeSite): ReadonlySet<number> {
    const key = `${siteKeyOf(site)}${JSON.stringify(site.holder)}`;
    const known = this.frames.get(key) ?? { frames: new Set<number>(), scanned: 0 };
    this.frames.set(key, known);
    const all = this.memory.stacks.frames;
    for (; known.scanned < all.length; known.scanned++) {
      const frame = all[known.scanned];
      if (frame !== undefined && this.isSite(frame, site)) known.frames.add(known.scanned);
    }
    return known.frames;
  }

  private isSite(frame: Frame, site: LifeSite): boolean {
    const named = frame.function === "" ? ANONYMOUS_FUNCTION : frame.function;
    if (named !== site.function && named !== site.holder?.function) return false;
    const name = this.nameOf(frame);
    const isHolder = site.holder !== null && name.file === site.holder.file && named === site.holder.function;
    return isHolder || siteKeyOf(name) === siteKeyOf(site);
  }

  private checkFixes(series: readonly LifeSeries[], nowMillis: number): Finding[] {
    const decided: Finding[] = [];
    const { past, opening } = this.options.journal;
    const lives = [...past, { opening, series }];
    for (const check of this.checks.values()) {
      const { finding } = check;
      const beforeBuildId = finding.service.buildId ?? "";
      const question = fixQuestionOf(finding, lives, beforeBuildId, opening.buildId, this.sitesOf(finding));
      const due = looksDue(question.before, question.after);
      if (due <= check.looksDone) continue;
      check.looksDone = due;
      const fix = checkFix(question);
      if (fix.verdict === "undecided") continue;
      this.checks.delete(finding.id);
      const service = { ...this.options.context().service, threadId: finding.service.threadId };
      const firstBuildId = finding.service.firstBuildId ?? finding.service.buildId;
      decided.push(
        withFix(finding, fix, { time: new Date(nowMillis).toISOString(), service: { ...service, firstBuildId } }),
      );
    }
    return decided;
  }

  /** Where the finding's route keeps memory in this life. */
  private sitesOf(finding: Finding): string | null {
    const [, routeKey] = keysOf(finding);
    const sites = this.options.detector.summary(MAX_SITES, new Set()).sites;
    const there = sites.find((site) => {
      const place = this.placeOf(site);
      return (place.route ?? place.kind) === (JSON.parse(routeKey) as [string])[0];
    });
    if (there === undefined) return null;
    const { file } = this.nameOf(there.site);
    return `${file}:${there.site.line} ${there.site.function === "" ? ANONYMOUS_FUNCTION : there.site.function}`;
  }
}

function withEvidence(transition: Transition, across: EvidenceAcrossLives, horizonMillis: number): Transition {
  return {
    ...transition,
    alternatives: alternativesAcrossLives(across, horizonMillis),
    evidence: {
      ...transition.evidence,
      cohortsMatured: across.maturedCount,
      cohortsFreed: across.freedCount,
      lnE: across.lnE,
      lnThreshold: across.lnThreshold,
      halfRatio: across.halfRatio,
      minQuarterRatio: across.minQuarterRatio,
      unrefutedSeconds: across.heldMillis / 1_000,
      lives: across.agreeingLives,
    },
  };
}

/** The newest word on each finding of earlier lives, where it is an alarm. */
function standingOf(findings: readonly Finding[]): Finding[] {
  const latest = new Map<string, Finding>();
  for (const finding of findings) {
    const known = latest.get(finding.id);
    if (known === undefined || known.time <= finding.time) latest.set(finding.id, finding);
  }
  return [...latest.values()].filter(isAlarm);
}

/** Route, or kind where there is none. */
function ownerNameOf({ kind, name }: { readonly kind: OwnerKind; readonly name: string | null }): string {
  return kind === "request" || kind === "background-of" ? (name ?? kind) : kind;
}

function placeKey({ kind, route, site }: Place): string {
  return `${route ?? kind} ${siteKeyOf(site)}`;
}
