"use strict";
const assert = require("node:assert/strict");
const { mkdtempSync, mkdirSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { basename, join } = require("node:path");
const { test } = require("node:test");
const { parseDuration, readConfiguration, SETTINGS } = require("../../dist/config");

test("no variable at all gives the documented defaults and no problem", () => {
  const { settings, problems } = readConfiguration({});
  assert.deepEqual(problems, []);
  assert.equal(settings.enabled, true);
  assert.equal(settings.horizonMillis, 86_400_000);
  assert.equal(settings.cpuBudgetRatio, 0.005);
  assert.equal(settings.samplingIntervalBytes, null);
  assert.ok(settings.directory.startsWith(tmpdir()));
});

test("durations are read with their unit, and only with one", () => {
  assert.equal(parseDuration("500ms"), 500);
  assert.equal(parseDuration("30s"), 30_000);
  assert.equal(parseDuration("1.5h"), 5_400_000);
  for (const text of ["30", "s", "-5s", "1y", "5 s x"]) assert.equal(parseDuration(text), null, text);
});

test("an unknown variable is one line that names the nearest setting", () => {
  const { problems } = readConfiguration({ LEAK_AGENT_HORIZONT: "30s", LEAK_AGENT_COMPLETELY_ELSE: "1" });
  assert.equal(problems.length, 2);
  assert.match(problems[0], /LEAK_AGENT_HORIZONT .*did you mean LEAK_AGENT_HORIZON\?/);
  assert.match(problems[1], /LEAK_AGENT_COMPLETELY_ELSE .*remove it/);
});

for (const [name, bad] of [
  ["LEAK_AGENT_HORIZON", "1s"],
  ["LEAK_AGENT_HORIZON", "soon"],
  ["LEAK_AGENT_CPU_BUDGET", "50"],
  ["LEAK_AGENT_PAUSE_BUDGET_MS", "0"],
  ["LEAK_AGENT_DIR_MAX_MB", "1"],
  ["LEAK_AGENT_LABELS", "maybe"],
  ["LEAK_AGENT_ENGINE", "v8"],
  ["LEAK_AGENT_LOG", "/var/log/x"],
  ["LEAK_AGENT_SAMPLING_INTERVAL", "12"],
  ["LEAK_AGENT_MAX_ROUTES", "1e9"],
]) {
  test(`${name}=${bad} is refused with one line and the default is used`, () => {
    const { settings, problems } = readConfiguration({ [name]: bad });
    assert.equal(problems.length, 1);
    assert.match(problems[0], new RegExp(`^${name}="${bad.replace(/[/.]/g, "\\$&")}" is not usable: write `));
    assert.deepEqual(settings, readConfiguration({}).settings);
  });
}

test("the service's name comes from OTEL_SERVICE_NAME, then the resource, then package.json", () => {
  const folder = mkdtempSync(join(tmpdir(), "leak-agent-config-"));
  try {
    mkdirSync(join(folder, "src"));
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "@shop/api", version: "2.1.0" }));
    const script = join(folder, "src", "server.js");
    const name = (env) => readConfiguration(env, script).settings.serviceName;
    assert.equal(name({}), "@shop/api");
    assert.equal(name({ OTEL_RESOURCE_ATTRIBUTES: "a=b,service.name=from%20resource" }), "from resource");
    const unset = { OTEL_RESOURCE_ATTRIBUTES: "service.name=,service.version= ,team=shop," };
    assert.equal(name(unset), name({}));
    assert.deepEqual(readConfiguration(unset, null).settings.resourceAttributes, { team: "shop" });
    assert.deepEqual(readConfiguration(unset, null).problems, []);
    assert.equal(readConfiguration({ OTEL_RESOURCE_ATTRIBUTES: "a,b,c=d" }, null).problems.length, 1, "told once");
    assert.equal(name({ OTEL_SERVICE_NAME: "named", OTEL_RESOURCE_ATTRIBUTES: "service.name=r" }), "named");
    assert.equal(readConfiguration({}, script).settings.serviceVersion, "2.1.0");
    assert.match(readConfiguration({}, script).settings.directory, /[/\\]shop-api-[0-9a-f]{8}$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("two services never share a folder by default, whatever their names", () => {
  const folder = (name) => basename(readConfiguration({ OTEL_SERVICE_NAME: name }).settings.directory);
  for (const safe of ["shop", "a-b", "Orders_2.x"]) assert.equal(folder(safe), safe);
  const odd = ["注文", "支払い", "a/b", "a b", ".a-b", "-", "..", "x".repeat(300), "x".repeat(301)];
  const folders = odd.map(folder);
  assert.equal(new Set([...folders, folder("a-b")]).size, odd.length + 1, folders.join(" "));
  for (const name of folders) assert.match(name, /^[A-Za-z0-9_][A-Za-z0-9._-]{0,208}$/);
  assert.equal(folder("注文"), "service-596729ab", "a service finds its folder again");
});

test("LEAK_AGENT_ENABLED=0 and false switch off", () => {
  assert.equal(readConfiguration({ LEAK_AGENT_ENABLED: "0" }).settings.enabled, false);
  assert.equal(readConfiguration({ LEAK_AGENT_ENABLED: "false" }).settings.enabled, false);
});

test("every setting is described once", () => {
  const names = SETTINGS.map((setting) => setting.name);
  assert.equal(new Set(names).size, names.length);
});
