/** Without labels nobody owns the samples: the leaking route is found by the requests that came while the heap grew. */
"use strict";
const assert = require("node:assert/strict");
const { join } = require("node:path");
const test = require("node:test");
const { environment, findings } = require("../harness/deployed-service");
const { assertFinding } = require("../harness/finding-schema");
const { APPS, PRELOAD, Service, temporaryFolder } = require("../harness/service");

test("with labels off, the route of a leak is inferred, and said to be", async (context) => {
  const folder = temporaryFolder(context);
  // 24 windows of at least a second each must have matured before the leak is told.
  const env = environment(folder, { horizon: "30s", env: { LEAK_AGENT_LABELS: "off", LEAK_AGENT_CPU_BUDGET: "10" } });
  const service = new Service(["-r", PRELOAD, join(APPS, "mixed-service.js")], { env, deadlineMillis: 150_000 });
  context.after(() => service.stop());
  const isInferred = ({ verdict, agent }) => verdict === "leak" && agent.attribution === "inferred";
  const leak = await service.until(() => findings(folder).find(isInferred), "the leak's route was inferred");
  assertFinding(leak);
  assert.equal(leak.route.name, "GET /leak");
  assert.equal(leak.site.function, "remember");
  assert.match(leak.text, /The route is inferred from the routes' request counts, not observed/);
  const others = findings(folder).filter(({ verdict, route }) => verdict === "leak" && route?.name !== "GET /leak");
  context.diagnostic(JSON.stringify(others.map(({ route, site }) => [route?.name ?? null, site.function])));
  service.say("leave");
  assert.equal((await service.ended).code, 0);
});
