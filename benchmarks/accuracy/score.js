/**
 * Pure. Owns what counts as right: one case's finding records against its truth.json.
 * A `leak` or `urgent` is an alarm; `watch` and `saturating` never are. functionRegex is reported, it decides nothing.
 */
"use strict";
const { isAlarm } = require("./findings-file.js");

/**
 * @typedef {{at: number, answered: Record<string, number>}} Progress answered requests by route at a time (ms since epoch)
 * @typedef {"strict" | "normalised" | "listed" | null} RouteMatch `normalised`: equal only after rewriting parameter
 *   syntax; `listed`: named among the other routes of the finding
 */

/**
 * @param {object} truth the parsed truth.json
 * @param {object[]} records the finding records, oldest first
 * @param {{startedAt: number, progress: Progress[]}} load when it began, and how far it was when
 */
function scoreCase(truth, records, load) {
  const alarms = alarmsById(records);
  const pairs = matchAlarms(truth.leaks ?? [], alarms);
  const leaks = pairs.map(({ leak, alarm }) => scoreLeak(leak, alarm, load));
  // A level names no route and no line: it finds nothing, and where memory outside the heap leaks it says nothing false.
  const hasLeakOutside = (truth.leaks ?? []).some(({ kind }) => kind === "external");
  const used = new Set(pairs.flatMap(({ alarm }) => (alarm === null ? [] : [alarm.id])));
  const duplicates = alarms.filter(
    (alarm) => !used.has(alarm.id) && (truth.leaks ?? []).some((leak) => explains(leak, alarm)),
  );
  const isTrueLevel = ({ alarm }) => hasLeakOutside && alarm.outside !== undefined;
  const falseFindings = alarms
    .filter((alarm) => !used.has(alarm.id) && !duplicates.includes(alarm) && !isTrueLevel(alarm))
    .map(summarise);
  return {
    healthy: truth.healthy === true,
    leaks,
    falseFindings,
    duplicates: duplicates.map(summarise),
    right: falseFindings.length === 0 && leaks.every((leak) => leak.verdictRight && leak.routeRight && leak.fileRight),
  };
}

/** One entry per finding that ever was an alarm: its first alarm, its last alarm, and its last record. */
function alarmsById(records) {
  const found = new Map();
  for (const record of records) {
    // In a cluster every process reports its own instance of one finding.
    const known = found.get(record.id);
    if (known !== undefined) {
      known.last = record;
      if (isAlarm(record)) known.alarm = record;
    } else if (isAlarm(record)) {
      found.set(record.id, { id: record.id, first: record, alarm: record, last: record });
    }
  }
  return [...found.values()];
}

/** Gives every leak its best alarm: right route and file, then right route, then right file. */
function matchAlarms(leaks, alarms) {
  const taken = new Set();
  const chosen = new Map();
  const routeFits = (leak, alarm) => routeMatch(leak.route, alarm.alarm) !== null;
  const fileFits = (leak, alarm) => fileMatches(leak, alarm.alarm);
  for (const fits of [explains, routeFits, fileFits]) {
    for (const leak of leaks) {
      if (chosen.has(leak)) continue;
      // One finding may cover several leaks: one site that several routes reach.
      const alarm = alarms.find(
        (candidate) => (fits === explains || !taken.has(candidate.id)) && fits(leak, candidate),
      );
      if (alarm === undefined) continue;
      taken.add(alarm.id);
      chosen.set(leak, alarm);
    }
  }
  return leaks.map((leak) => ({ leak, alarm: chosen.get(leak) ?? null }));
}

function explains(leak, alarm) {
  return routeMatch(leak.route, alarm.alarm) !== null && fileMatches(leak, alarm.alarm);
}

function scoreLeak(leak, alarm, load) {
  if (alarm === null) {
    return {
      route: leak.route,
      verdict: null,
      verdictRight: false,
      routeRight: false,
      fileRight: false,
      appFrameNamed: false,
    };
  }
  const record = alarm.alarm;
  const match = routeMatch(leak.route, record);
  const detectedAt = Date.parse(alarm.first.time);
  const requests = requestsAt(load.progress, detectedAt, leak.route);
  const bytes = record.growth?.bytesPerRequest ?? null;
  return {
    route: leak.route,
    verdict: alarm.last.verdict,
    verdictRight: isAlarm(alarm.last),
    routeRight: match !== null,
    routeMatch: match,
    fileRight: fileMatches(leak, record),
    functionRight: new RegExp(leak.functionRegex ?? "").test(record.site?.function ?? ""),
    appFrameNamed: record.appFrame !== null && record.appFrame !== undefined,
    appFrameRight: matchesAny(leak.fileRegex, [record.appFrame?.file]),
    named: summarise(alarm),
    bytesPerRequest: bytes,
    bytesRatio: bytes === null || !leak.expectedBytesPerRequest ? null : bytes / leak.expectedBytesPerRequest,
    secondsToDetection: (detectedAt - load.startedAt) / 1000,
    requestsAtDetection: requests,
    bytesAtDetection:
      requests === null || !leak.expectedBytesPerRequest ? null : requests * leak.expectedBytesPerRequest,
  };
}

function summarise({ first, alarm, last }) {
  const { site, route } = alarm;
  const original = site?.original ? ` (${site.original.file}:${site.original.line})` : "";
  return {
    id: alarm.id,
    route: route?.name ?? null,
    kind: route?.kind ?? null,
    site: `${site?.function} ${site?.file}:${site?.line}${original} [${site?.package}]`,
    appFrame: alarm.appFrame ? `${alarm.appFrame.function} ${alarm.appFrame.file}:${alarm.appFrame.line}` : null,
    firstAlarm: first.time,
    verdict: last.verdict,
  };
}

/** @returns {RouteMatch} how the finding's route is the expected one, or null */
function routeMatch(expected, record) {
  const name = (record.route?.name ?? "").replace(/^background of /, "");
  if (name === expected) return "strict";
  if (normaliseRoute(name) === normaliseRoute(expected)) return "normalised";
  const others = (record.otherRoutes ?? []).map((other) => other.replace(/^background of /, ""));
  return others.includes(expected) ? "listed" : null;
}

/** Writes every parameter (`:id`, `:id(\\d+)`, `{id}`, `<id>`, `[id]`) as `:` and drops a trailing slash. */
function normaliseRoute(name) {
  return name.replace(/\{[^}]*\}|<[^>]*>|\[[^\]]*\]|:[A-Za-z_]\w*(\([^)]*\))?[?*+]?/g, ":").replace(/([^ ])\/$/, "$1");
}

function fileMatches(leak, record) {
  const { site } = record;
  if (!site) return false;
  // `debug@4.1.1` and `src/common.js` together are the package's path.
  const packageName = /^(@?[^@]+)@/.exec(site.package ?? "")?.[1];
  return matchesAny(leak.fileRegex, [site.file, site.original?.file, packageName && `${packageName}/${site.file}`]);
}

function matchesAny(pattern, files) {
  const expression = new RegExp(pattern);
  return files.some((file) => typeof file === "string" && expression.test(file.replaceAll("\\", "/")));
}

/** Requests of the route answered when the finding was written, or null when the load was not on. */
function requestsAt(progress, at, route) {
  const before = progress.filter((entry) => entry.at <= at).at(-1);
  return before?.answered[route] ?? null;
}

module.exports = { alarmsById, normaliseRoute, routeMatch, scoreCase };
