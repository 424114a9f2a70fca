/** Pure. Owns how a finding of one build is put to the lives of another, and the words for the answer. */
import type { Finding, FindingFix } from "../model/finding";
import { type LifeSeries, seriesKey } from "../model/life";
import { type FixQuestion, sideOf } from "./fix-check";
import { bytes, sitePosition } from "./words";

/** A life's build and numbers. */
export interface BuildLife {
  readonly opening: { readonly buildId: string };
  readonly series: readonly LifeSeries[];
}

export function fixQuestionOf(
  finding: Finding,
  lives: readonly BuildLife[],
  beforeBuildId: string,
  afterBuildId: string,
  movedTo: string | null = null,
): FixQuestion {
  const before = lives.filter((life) => life.opening.buildId === beforeBuildId);
  const after = lives.filter((life) => life.opening.buildId === afterBuildId);
  const [siteKey, routeKey] = keysOf(finding);
  const hasRoute = finding.growth.bytesPerRequest !== null;
  const routeAfter = hasRoute ? sideOf(afterBuildId, seriesOf(after, routeKey)) : null;
  return {
    before: sideOf(beforeBuildId, seriesOf(before, siteKey)),
    // Without a sample at the site, the route's own requests are what was looked at.
    after: sideOf(
      afterBuildId,
      after.flatMap((life) => siteSeries(life, siteKey, routeKey)),
    ),
    routeBefore: hasRoute ? sideOf(beforeBuildId, seriesOf(before, routeKey)) : null,
    routeAfter,
    unit: hasRoute ? "request" : "hour",
    movedTo,
  };
}

/** The finding as it stands once its fix was checked. */
export function withFix(finding: Finding, fix: FindingFix, given: Pick<Finding, "time" | "service">): Finding {
  const isOver = fix.verdict === "fixed" || fix.verdict === "moved";
  const changed: Finding = {
    ...finding,
    ...given,
    verdict: isOver ? "retracted" : finding.verdict,
    previousVerdict: finding.verdict,
    fix,
  };
  return { ...changed, nextStep: nextStepOf(fix), text: fixText(changed, fix) };
}

export function fixText(finding: Finding, fix: FindingFix): string {
  const where = `${finding.route.name} at ${sitePosition(finding)} ${finding.site.function}`;
  const rates =
    `${rate(fix.beforeBytes, fix.beforeBytesLow, fix.beforeBytesHigh, fix)} in build ${fix.beforeBuildId}, ` +
    `${rate(fix.afterBytes, fix.afterBytesLow, fix.afterBytesHigh, fix)} in build ${fix.afterBuildId}`;
  return `${where} is ${headOf(fix)}: ${rates}. ${remainsOf(fix)}`.trim();
}

function headOf(fix: FindingFix): string {
  switch (fix.verdict) {
    case "moved":
      return `quiet, but its route keeps as much as before${fix.movedTo === null ? "" : `, now at ${fix.movedTo}`}: moved`;
    case "undecided":
      return "not decided yet";
    default:
      return fix.verdict;
  }
}

function rate(value: number, low: number, high: number, { unit }: FindingFix): string {
  return `${bytes(value)}/${unit} (95 % ${bytes(low)}-${bytes(high)})`;
}

function remainsOf(fix: FindingFix): string {
  const { verdict, exposureNeeded, unit, ratioLow, ratioHigh, confidence } = fix;
  const counted = `${amount(fix.beforeExposure)} ${unit}s before and ${amount(fix.afterExposure)} after count`;
  if (verdict === "undecided") {
    const needed =
      exposureNeeded === null
        ? "the evidence of the earlier build is too thin to show a fix"
        : `${amount(exposureNeeded)} more ${unit}s are needed to say that it is fixed, if nothing more is kept`;
    return `${counted}; ${needed}.`;
  }
  if (ratioLow === null) return `${counted}.`;
  const high = ratioHigh === null ? "" : ` to ${percent(ratioHigh)}`;
  return `Of what survived before, ${percent(ratioLow)}${high} survives per ${unit} now (${percent(confidence)} confidence); ${counted}.`;
}

function nextStepOf({ verdict, movedTo }: FindingFix): string {
  if (verdict === "fixed") return "nothing to do";
  if (verdict === "moved") return `look for what the route keeps now${movedTo === null ? "" : ` at ${movedTo}`}`;
  return "look again at what keeps these objects: the change did not let go of all of them";
}

/** Route and site of a finding, as lives name them. */
export function keysOf(finding: Finding): [site: string, route: string] {
  const { kind } = finding.route;
  const isRoute = kind === "request" || kind === "background-of";
  const route = isRoute ? finding.route.name : null;
  const version = finding.site.package.lastIndexOf("@");
  const site = {
    package: version > 0 ? finding.site.package.slice(0, version) : finding.site.package,
    file: finding.site.original?.file ?? finding.site.file,
    function: finding.site.function,
    holder: null,
    functions: [],
  };
  return [seriesKey({ kind, route, site }), seriesKey({ kind, route, site: null })];
}

function seriesOf(lives: readonly BuildLife[], key: string): LifeSeries[] {
  return lives.flatMap((life) => life.series.filter((series) => seriesKey(series) === key));
}

function siteSeries({ series }: BuildLife, siteKey: string, routeKey: string): LifeSeries[] {
  const at = series.filter((one) => seriesKey(one) === siteKey);
  if (at.length > 0) return at;
  const nothing = { matured: 0, freed: 0, survivors: 0, bytes: 0, varianceBytes2: 0, matureBytes: 0 };
  return series.filter((one) => seriesKey(one) === routeKey).map((route) => ({ ...route, ...nothing }));
}

/** Whole numbers for requests; hours with what they need. */
function amount(value: number): string {
  return value >= 10 ? String(Math.round(value)) : String(+value.toPrecision(2));
}

function percent(ratio: number): string {
  const value = 100 * ratio;
  return `${value >= 10 ? Math.round(value) : +value.toPrecision(2)} %`;
}
