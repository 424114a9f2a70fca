"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { Detector } = require("../../../dist/detector/detector");
const { namePool, POOL_KEY, RoutePool, standsFor } = require("../../../dist/detector/route-pool");
const { observations } = require("./stream");

const FOREVER = Number.POSITIVE_INFINITY;
const HORIZON_MILLIS = 30_000;

/**
 * The stream's samples and requests spread over several routes.
 * @param names of the routes. @param routeOf ordinal of a sample => index into `names`. @param stackOf => one of the stream's
 */
function run({ names, routeOf, stackOf = () => 0, knownSiteFunctions, prepare = () => {}, ...family }) {
  const given = { horizonMillis: HORIZON_MILLIS, windowMillis: 250, applicationRoot: "/srv/app" };
  const detector = new Detector({ ...given, knownSiteFunctions });
  prepare(detector);
  const transitions = [];
  for (const observation of observations({ seed: 4, captureSeconds: 2, ...family })) {
    const changed = { ...observation };
    if (observation.newRoutes !== undefined) {
      const routes = names.map((name) => ({ name, method: name.split(" ")[0], template: name.split(" ")[1] }));
      changed.newRoutes = [observation.newRoutes[0], ...routes];
    }
    changed.requests = observation.requests?.flatMap(([time, , count]) =>
      names.map((_, index) => [time, 1 + index, count / names.length]),
    );
    changed.matured = observation.matured?.map((sample) => ({
      ...sample,
      route: 1 + routeOf(Number(sample.key.split(":")[2])),
      stack: stackOf(Number(sample.key.split(":")[2])),
    }));
    transitions.push(...detector.observe(changed));
  }
  return Object.assign(transitions, { detector });
}

const STATIONS = Array.from("abcdefghijklmnopqrstuvwxyz", (letter) => `GET /watch/${letter}`);
const spread = { names: STATIONS, routeOf: (ordinal) => ordinal % STATIONS.length };
const alarmsOf = (transitions) => transitions.filter(({ verdict }) => verdict === "leak" || verdict === "urgent");

test("a leak that is spread over 26 routes is one finding under their common template (seeds 1-4)", () => {
  // 3 samples/s at 50 requests/s, each standing for 400/p bytes.
  const truth = (3 * 400) / -Math.expm1(-400 / 32_769) / 50;
  for (let seed = 1; seed <= 4; seed++) {
    const leaks = alarmsOf(run({ ...spread, seed, lifeSeconds: () => FOREVER }));
    assert.deepEqual(
      leaks.map(({ route }) => route),
      [{ name: "GET /watch/:id", method: "GET", template: "/watch/:id" }],
      `seed ${seed}`,
    );
    const [leak] = leaks;
    assert.equal(leak.site.function, "remember");
    assert.equal(leak.pooledRoutes, 26);
    assert.equal(leak.otherRoutes.length, 8);
    assert.ok(STATIONS.includes(leak.otherRoutes[0]));
    const { bytesPerRequest } = leak.growth;
    assert.ok(Math.abs(bytesPerRequest / truth - 1) < 0.35, `seed ${seed}: ${bytesPerRequest} of ${truth}`);
  }
});

test("bytes per request are those of the routes that share the template, not of all that are judged (seeds 1-4)", () => {
  // Half of the 50 requests/s go to 26 routes that keep nothing; four in five of the 6 samples/s are the family's.
  const truth = (0.8 * 6 * 400) / -Math.expm1(-400 / 32_769) / 25;
  const names = [...STATIONS, ...STATIONS.map((name) => name.replace("GET /watch", "POST /other"))];
  const isOther = (ordinal) => ordinal % 5 === 0;
  const routeOf = (ordinal) => (isOther(ordinal) ? STATIONS.length : 0) + (ordinal % STATIONS.length);
  for (let seed = 1; seed <= 4; seed++) {
    const lifeSeconds = (_t, ordinal) => (isOther(ordinal) ? 8 : FOREVER);
    const [leak] = alarmsOf(run({ names, routeOf, seed, samplesPerSecond: 6, lifeSeconds }));
    assert.equal(leak?.route.name, "GET /watch/:id", `seed ${seed}`);
    const { bytesPerRequest } = leak.growth;
    assert.ok(Math.abs(bytesPerRequest / truth - 1) < 0.4, `seed ${seed}: ${bytesPerRequest} of ${truth}`);
  }
});

test("what was told of many routes is in the summary, under the name it was told with; nothing before", () => {
  const { detector } = run({ ...spread, lifeSeconds: () => FOREVER });
  const pooled = detector.summary(20, new Set()).sites.filter(({ owner }) => owner === POOL_KEY);
  assert.deepEqual(
    pooled.map(({ route, site, verdict }) => [route.name, site.function, verdict]),
    [["GET /watch/:id", "remember", "leak"]],
  );
  const { detector: early } = run({ ...spread, seconds: 20, lifeSeconds: () => FOREVER });
  assert.ok(early.summary(20, new Set()).sites.every(({ owner }) => owner !== POOL_KEY));
});

test("a site that an earlier life told of many routes is asked for under their name, so that its id stays", () => {
  const knownSiteFunctions = (_site, route) => (route === "GET /watch/:id" ? ["as", "it", "was"] : null);
  const [leak] = alarmsOf(run({ ...spread, knownSiteFunctions, lifeSeconds: () => FOREVER }));
  assert.deepEqual(leak.siteFunctions, ["as", "it", "was"]);
});

test("a pooled name stands for the routes it was made of, and for what they are called once they are one", () => {
  assert.ok(standsFor("GET /watch/:id", "GET /watch/a") && standsFor("GET /watch/:id", "GET /watch/:id"));
  assert.ok(standsFor("(several routes)", "POST /other"));
  for (const other of ["POST /watch/a", "GET /watch/a/b", "GET /other/a", "GET /watch", ""])
    assert.ok(!standsFor("GET /watch/:id", other), other);
});

test("a route that has a finding of its own does not lend its samples to the others' (seeds 1-4)", () => {
  for (let seed = 1; seed <= 4; seed++) {
    // Two in five are the first route's, at `remember`; the others' are at `render`.
    const isFirst = (ordinal) => ordinal % 5 < 2;
    const leaks = alarmsOf(
      run({
        ...spread,
        seed,
        samplesPerSecond: 7,
        lifeSeconds: () => FOREVER,
        routeOf: (ordinal) => (isFirst(ordinal) ? 0 : 1 + (ordinal % 25)),
        stackOf: (ordinal) => (isFirst(ordinal) ? 0 : 1),
      }),
    );
    const named = leaks.map(({ route, site }) => `${route.name} ${site.function}`).sort();
    assert.deepEqual(named, ["GET /watch/:id render", "GET /watch/a remember"], `seed ${seed}`);
  }
});

test("survivors are spread when four routes hold some and none holds half", () => {
  const isSpread = (...owners) => RoutePool.isSpread(owners.map((key) => ({ owner: key })));
  assert.equal(isSpread("a", "b", "c", "d"), true);
  assert.equal(isSpread("a", "a", "b", "b", "c", "c"), false);
  assert.equal(isSpread("a", "a", "a", "b", "c", "d"), false);
  assert.equal(isSpread(), false);
});

test("routes without a common template are named one by one", () => {
  const names = Array.from("abcdefghijklmnopqrstuvwxyz", (letter) => `GET /${letter}/${letter}`);
  const [leak] = alarmsOf(run({ ...spread, names, lifeSeconds: () => FOREVER }));
  assert.equal(leak?.route.name, "(several routes)");
  assert.ok(leak.otherRoutes.every((name) => names.includes(name)));
});

test("a leak of one route among many is that route's, and no second finding of all routes (seeds 1-4)", () => {
  for (let seed = 1; seed <= 4; seed++) {
    // Every third object is kept by the first route, the others live 4 s on one of 26 routes.
    const transitions = run({
      ...spread,
      seed,
      samplesPerSecond: 9,
      routeOf: (ordinal) => (ordinal % 3 === 0 ? 0 : ordinal % STATIONS.length),
      lifeSeconds: (_t, index) => (index % 3 === 0 ? FOREVER : 4),
    });
    assert.deepEqual(
      alarmsOf(transitions).map(({ route }) => route.name),
      ["GET /watch/a"],
      `seed ${seed}`,
    );
    assert.ok(
      transitions.every(({ pooledRoutes }) => pooledRoutes === undefined),
      `seed ${seed}`,
    );
  }
});

const HEALTHY = {
  "a cache with a time to live of 6 s": () => 6,
  "a first-in first-out structure of 15 s": () => 15,
  "random evictions, 15 s on average": (_t, _i, rnd) => -15 * Math.log(rnd()),
  "finite keys filling": (t, _i, rnd) => (rnd() < Math.exp(-t / 7) ? FOREVER : 0),
  "a warm-up": (t) => (t < 12 ? FOREVER : 0),
  "a burst that is kept": (t) => (t > 60 && t < 75 ? FOREVER : 0),
};

for (const [name, lifeSeconds] of Object.entries(HEALTHY)) {
  test(`${name}, shared by 26 routes, never becomes a leak (seeds 1-6)`, () => {
    for (let seed = 1; seed <= 6; seed++)
      assert.deepEqual(alarmsOf(run({ ...spread, seed, samplesPerSecond: 9, lifeSeconds })), [], `seed ${seed}`);
  });
}

test("a route that is over its threshold when the watched routes together would be told comes first, and is the finding (seed 24)", () => {
  const names = ["GET /a/x", "GET /b/y", "GET /c/z", "GET /d/w", "GET /e/v", "GET /f/u"];
  const routeOf = (ordinal) => (ordinal % 20 < 9 ? 0 : 1 + (ordinal % 5));
  const transitions = run({ names, routeOf, seed: 24, seconds: 130, lifeSeconds: () => FOREVER });
  assert.equal(transitions[0].route.name, "(several routes)");
  assert.deepEqual(
    alarmsOf(transitions).map(({ route }) => route.name),
    ["GET /a/x"],
  );
});

test("what is urgent for all routes together waits for none of them (seed 24)", () => {
  const names = ["GET /a/x", "GET /b/y", "GET /c/z", "GET /d/w", "GET /e/v", "GET /f/u"];
  const routeOf = (ordinal) => (ordinal % 20 < 9 ? 0 : 1 + (ordinal % 5));
  const prepare = (detector) => {
    detector.levelWatch.escalate = (verdict, { key }) => (key === POOL_KEY && verdict === "leak" ? "urgent" : verdict);
  };
  const [alarm] = alarmsOf(run({ names, routeOf, prepare, seed: 24, seconds: 130, lifeSeconds: () => FOREVER }));
  assert.deepEqual([alarm.route.name, alarm.verdict], ["(several routes)", "urgent"]);
});

test("a route that collects enough evidence later stays in the finding of all (seeds 1-4)", () => {
  for (let seed = 1; seed <= 4; seed++) {
    // Four routes: together they speak first, each of them some time later.
    const names = STATIONS.slice(0, 5);
    const routeOf = (ordinal) => ordinal % names.length;
    const leaks = alarmsOf(
      run({ names, routeOf, seed, seconds: 300, samplesPerSecond: 3, lifeSeconds: () => FOREVER }),
    );
    assert.equal(leaks.length, 1, `seed ${seed}: ${leaks.map(({ route }) => route.name)}`);
  }
});

const owner = (key) => ({ key });
const routes = new Map([
  ["1", { name: "GET /a/x", method: "GET", template: "/a/x" }],
  ["2", { name: "GET /b/x", method: "GET", template: "/b/x" }],
  ["3", { name: "GET /c/x", method: "GET", template: "/c/x" }],
  ["4", { name: "GET /d/x", method: "GET", template: "/d/x" }],
  ["5", { name: "POST /d/x", method: "POST", template: "/d/x" }],
]);
const members = [...routes.keys()].map(owner);
const nameOf = (owners) =>
  namePool(
    members,
    owners.map((key) => ({ owner: key })),
    ({ key }) => routes.get(key),
  );

test("the name's requests are those of its family, also of members that keep nothing yet", () => {
  const named = nameOf(["1", "1", "2", "3", "4"]);
  assert.equal(named.route.name, "GET /:id/x");
  assert.deepEqual(
    named.members.map(({ key }) => key),
    ["1", "2", "3", "4"],
  );
  assert.equal(named.largest[0], "GET /a/x");
});

test("paths of a single segment have nothing in common", () => {
  const owners = ["/a", "/b", "/c", "/d", "/e"].map(owner);
  const routeOf = ({ key }) => ({ name: `GET ${key}`, method: "GET", template: key });
  const living = owners.map(({ key }) => ({ owner: key }));
  assert.equal(namePool(owners, living, routeOf).route.name, "(several routes)");
});

test("a family needs four routes and four in five survivors", () => {
  assert.equal(nameOf(["1", "1", "2", "3"]).route.name, "(several routes)");
  assert.equal(nameOf(["1", "2", "3", "4", "5", "5"]).route.name, "(several routes)");
});
