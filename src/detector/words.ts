/** Pure. Owns the sentences of a finding: every number in them is one of the record's own fields. */
import type { Finding } from "../model/finding";

export function findingText(finding: Finding, requestedGcCount: number): string {
  const sentences = [headline(finding), evidenceSentence(finding)];
  if (finding.verdict === "leak" || finding.verdict === "urgent" || finding.verdict === "saturating") {
    sentences.push(
      steadinessSentence(finding),
      contrastSentence(finding),
      explainedSentence(finding),
      forecastSentence(finding),
    );
    sentences.push(lookAlikeSentence(finding));
  }
  if (finding.agent.attribution === "inferred")
    sentences.push("The route is inferred from the routes' request counts, not observed.");
  if (finding.otherRoutes.length > 0) sentences.push(otherRoutesSentence(finding));
  if (requestedGcCount > 0)
    sentences.push(`This was a load test: the agent asked V8 for ${requestedGcCount} mark-compacts.`);
  return sentences.filter((sentence) => sentence !== "").join(" ");
}

function otherRoutesSentence({ route, otherRoutes }: Finding): string {
  const names = otherRoutes.join(", ");
  if (route.pooledRoutes === undefined) return `The same site also leaks on ${names}.`;
  return `${route.pooledRoutes} routes were judged together, since none has enough evidence alone; most lies with ${names}.`;
}

export function nextStep(finding: Finding): string {
  if (finding.verdict !== "leak" && finding.verdict !== "urgent") return "nothing to do yet";
  const frame = finding.appFrame;
  const where =
    frame === null ? `${finding.site.file}:${finding.site.line}` : `${frame.file}:${frame.line} (${frame.function})`;
  return `look for what keeps the objects made at ${sitePosition(finding)}, starting at ${where}`;
}

/** `file:line`, in the original source where a source map says so. */
export function sitePosition(finding: Finding): string {
  const { original, file, line } = finding.site;
  return original === null ? `${file}:${line}` : `${original.file}:${original.line}`;
}

function headline(finding: Finding): string {
  const owner =
    finding.route.kind === "background-of" ? `background work of ${finding.route.name}` : finding.route.name;
  const site = `${sitePosition(finding)} ${finding.site.function}${finding.site.package === "app" ? "" : ` [${finding.site.package}]`}`;
  switch (finding.verdict) {
    case "leak":
    case "urgent":
      return `${owner} retains about ${rate(finding)}${siteShare(finding)} at ${site}.`;
    case "saturating":
      return `${owner} retained about ${rate(finding)} at ${site}, but growth is flattening.`;
    case "retracted":
      return `${owner} at ${site}: withdrawn, ${withdrawal(finding)}.`;
    case "acknowledged":
      return `${owner} retains about ${rate(finding)} at ${site}: acknowledged${acknowledgement(finding)}.`;
    case "inconclusive":
      return `${owner} at ${site}: its samples are now reported under another function.`;
    default:
      return `${owner} keeps what it allocates at ${site}: being watched, not an alarm.`;
  }
}

/** A growing container is one object, which has no share of what survives. */
function siteShare({ evidence, site }: Finding): string {
  return evidence.method === "ladder" ? "" : `, ${percent(site.shareRatio)} of it`;
}

/** What harmless thing nobody can tell from this leak yet, and what would. */
function lookAlikeSentence({ evidence, refutedBy }: Finding): string {
  const alike =
    evidence.method === "ladder"
      ? "A container that is still filling up"
      : `A cache that keeps entries longer than ${duration(evidence.oldestAgeSeconds)}`;
  return `${alike} would look identical; ${refutedBy} would refute this.`;
}

/** Which harmless explanation is no longer rejected: an expiry and flattening say more than evidence that has faded. */
function withdrawal({ alternatives }: Finding): string {
  const open = alternatives.filter(({ rejected }) => !rejected);
  const telling = ["survivalRatio", "halfRatio"].map((name) => open.find(({ statistic }) => statistic === name));
  const fits = telling.find((alternative) => alternative !== undefined) ?? open[0];
  if (fits === undefined) return "the evidence no longer supports it";
  return `the evidence now fits ${fits.name} (${fits.statistic} ${fits.value.toFixed(2)}, bound ${fits.bound.toFixed(2)})`;
}

function acknowledgement({ acknowledgement: said }: Finding): string {
  if (said === undefined || said === null) return "";
  return `${said.until === null ? "" : ` until ${said.until}`}, because ${JSON.stringify(said.reason)} (${said.file})`;
}

function rate(finding: Finding): string {
  const { growth } = finding;
  if (growth.bytesPerRequest === null) return `${bytes(growth.bytesPerHour)}/hour`;
  const low = growth.bytesPerRequestLow ?? 0;
  const high = growth.bytesPerRequestHigh ?? 0;
  return `${bytes(growth.bytesPerRequest)}/request (${Math.round(100 * growth.confidence)} % ${bytes(low)}-${bytes(high)})`;
}

function evidenceSentence(finding: Finding): string {
  const { evidence } = finding;
  if (evidence.method === "ladder") {
    return `It is one container that grows: V8 has replaced its store ${evidence.cohortsFreed} times; it and what it holds have ${bytes(finding.growth.retainedBytes)}.`;
  }
  const freed =
    evidence.cohortsFreed === 0
      ? "none was freed"
      : `${evidence.cohortsFreed} ${evidence.cohortsFreed === 1 ? "was" : "were"} freed`;
  const lives = evidence.lives > 1 ? `In the later halves of ${evidence.lives} lives that agree, ` : "";
  return `${lives}${evidence.cohortsMatured} cohorts of its allocations matured and ${freed}; the oldest living one is ${duration(evidence.oldestAgeSeconds)} old (${evidence.majorGcs} mark-compacts so far).`;
}

function steadinessSentence(finding: Finding): string {
  const { halfRatio, minQuarterRatio } = finding.evidence;
  if (halfRatio === null || minQuarterRatio === null) return "";
  return `Rate between halves ${halfRatio.toFixed(2)}x, poorest quarter ${minQuarterRatio.toFixed(2)} of the mean.`;
}

function contrastSentence(finding: Finding): string {
  const { contrast } = finding;
  const parts: string[] = [];
  if (contrast.idleBytesPerHour !== null && contrast.busyBytesPerHour !== null) {
    parts.push(
      `${bytes(contrast.busyBytesPerHour)}/hour while busy against ${bytes(contrast.idleBytesPerHour)}/hour while idle`,
    );
  }
  if (contrast.otherRoutesBytesPerRequest !== null) {
    parts.push(`other routes retain ${bytes(contrast.otherRoutesBytesPerRequest)}/request there`);
  }
  return parts.length === 0 ? "" : `${capitalise(parts.join("; "))}.`;
}

function explainedSentence(finding: Finding): string {
  const { heapGrowthRatio, rssGrowthRatio } = finding.explained;
  if (heapGrowthRatio === null && rssGrowthRatio === null) return "";
  const parts: string[] = [];
  if (heapGrowthRatio !== null) parts.push(`${percent(heapGrowthRatio)} of the heap's growth`);
  if (rssGrowthRatio !== null) parts.push(`${percent(rssGrowthRatio)} of the growth of RSS`);
  return `It explains about ${parts.join(" and ")}.`;
}

function forecastSentence(finding: Finding): string {
  const { forecast } = finding;
  if (forecast === null || forecast.hoursP50 === null) return "";
  const limit = forecast.limit === "heap" ? "heap limit" : "container's limit";
  return `At this trend the ${limit} is reached in about ${duration(forecast.hoursP50 * 3_600)}.`;
}

/** At most three significant digits, binary units. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let scaled = Math.abs(value);
  let unit = 0;
  while (scaled >= 1_000 && unit < units.length - 1) {
    scaled /= 1024;
    unit++;
  }
  const digits = scaled >= 100 || unit === 0 ? 0 : scaled >= 10 ? 1 : 2;
  return `${value < 0 ? "-" : ""}${scaled.toFixed(digits)} ${units[unit] ?? "B"}`;
}

export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${(seconds / 86_400).toFixed(1)} days`;
}

function percent(ratio: number): string {
  return `${Math.round(100 * Math.min(1, ratio))} %`;
}

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
