"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { gunzipSync } = require("node:zlib");
const { Profile } = require("pprof-format");
const { ProfileBuilder, profileName } = require("../../../dist/export/pprof-file.js");

const frame = (name, file, line = 1, column = 1) => ({ function: name, file, line, column });
const ROOT = { parent: null, frame: frame("handle", "/srv/server.js", 10, 3) };
const LEAF = { parent: ROOT, frame: frame("keep", "/srv/store.js", 20, 5) };
const TIMES = { timeMillis: 1_764_064_800_123, durationMillis: 60_000, intervalBytes: 131_071 };

function decode(bytes) {
  const profile = Profile.decode(gunzipSync(bytes));
  const text = (index) => profile.stringTable.strings[Number(index)];
  const functions = new Map(profile.function.map((entry) => [Number(entry.id), entry]));
  const locations = new Map(profile.location.map((entry) => [Number(entry.id), entry]));
  const samples = profile.sample.map((sample) => ({
    stack: sample.locationId.map((id) => {
      const line = locations.get(Number(id)).line[0];
      const owner = functions.get(Number(line.functionId));
      return `${text(owner.name)} ${text(owner.filename)}:${line.line}`;
    }),
    values: sample.value.map(Number),
    labels: Object.fromEntries(
      sample.label.map((label) => [text(label.key), Number(label.str) === 0 ? Number(label.num) : text(label.str)]),
    ),
  }));
  return { profile, text, samples };
}

describe("a pprof file", () => {
  it("has the sample types, period and times that pprof's heap tools expect", () => {
    const builder = new ProfileBuilder();
    builder.add(LEAF, "request", "GET /a", 100, 131_071);
    const { profile, text } = decode(builder.encode(TIMES, ["service.name=shop"]));
    const type = (value) => [text(value.type), text(value.unit)];
    assert.deepEqual(profile.sampleType.map(type), [
      ["inuse_objects", "count"],
      ["inuse_space", "bytes"],
    ]);
    assert.deepEqual(type(profile.periodType), ["space", "bytes"]);
    assert.equal(Number(profile.period), 131_071);
    assert.equal(text(profile.defaultSampleType), "inuse_space");
    assert.equal(BigInt(profile.timeNanos), 1_764_064_800_123_000_000n);
    assert.equal(BigInt(profile.durationNanos), 60_000_000_000n);
    assert.deepEqual(profile.comment.map(text), ["service.name=shop"]);
  });

  it("estimates objects and bytes by inclusion probability", () => {
    const builder = new ProfileBuilder();
    builder.add(LEAF, "request", "GET /a", 1_000, 100_000);
    builder.add(LEAF, "request", "GET /a", 1_000, 100_000);
    builder.add(ROOT, "request", "GET /a", 10_000_000, 100_000);
    const { samples } = decode(builder.encode(TIMES, []));
    // p = 1 - exp(-0.01) = 0.00995017: one sample stands for 100.5008 objects.
    assert.deepEqual(samples[0].values, [201, 201_002]);
    assert.deepEqual(samples[1].values, [1, 10_000_000]);
  });

  it("lists stacks leaf first and gives each function one location", () => {
    const builder = new ProfileBuilder();
    builder.add(LEAF, "request", "GET /a", 100, 1_000);
    builder.add({ parent: ROOT, frame: LEAF.frame }, "request", "GET /b", 100, 1_000);
    const { profile, samples } = decode(builder.encode(TIMES, []));
    assert.deepEqual(samples[0].stack, ["keep /srv/store.js:20", "handle /srv/server.js:10"]);
    assert.equal(profile.location.length, 2);
    assert.equal(profile.function.length, 2);
  });

  it("merges samples of equal stack and labels, also from different nodes, and keeps others apart", () => {
    const builder = new ProfileBuilder();
    const twin = { parent: { parent: null, frame: { ...ROOT.frame } }, frame: { ...LEAF.frame } };
    for (const node of [LEAF, twin]) builder.add(node, "request", "GET /a", 100, 1_000);
    builder.add(LEAF, "background-of", "GET /a", 100, 1_000);
    builder.add(LEAF, "request", "GET /b", 100, 1_000);
    assert.equal(decode(builder.encode(TIMES, [])).samples.length, 3);
  });

  it("labels every sample with its route or the name of its special owner", () => {
    const builder = new ProfileBuilder();
    const owners = [
      ["request", "GET /a", { "http.route": "GET /a" }],
      ["background-of", "GET /a", { "http.route": "GET /a", "leak_agent.owner": "background-of" }],
      ["background", null, { "http.route": "(background)", "leak_agent.owner": "background" }],
      ["startup", null, { "http.route": "(startup)", "leak_agent.owner": "startup" }],
      ["unattributed", null, { "http.route": "(unattributed)", "leak_agent.owner": "unattributed" }],
      ["agent", null, { "http.route": "(agent)", "leak_agent.owner": "agent" }],
    ];
    for (const [kind, route] of owners) builder.add(LEAF, kind, route, 100, 1_000);
    const { samples } = decode(builder.encode(TIMES, []));
    assert.deepEqual(
      samples.map((sample) => sample.labels),
      owners.map(([, , labels]) => labels),
    );
  });

  it("labels samples with their thread, and keeps threads apart", () => {
    const builder = new ProfileBuilder();
    const threads = [
      [
        { id: 0, name: "main" },
        { "thread.id": "0", "thread.name": "main" },
      ],
      [
        { id: 3, name: "pool" },
        { "thread.id": "3", "thread.name": "pool" },
      ],
      [{ id: 4, name: "" }, { "thread.id": "4" }],
    ];
    for (const [thread] of threads) builder.add(LEAF, "request", "GET /a", 100, 1_000, thread);
    const { samples } = decode(builder.encode(TIMES, []));
    assert.deepEqual(
      samples.map((sample) => sample.labels),
      threads.map(([, labels]) => ({ "http.route": "GET /a", ...labels })),
    );
  });

  it("leaves out objects of no size, which have no probability", () => {
    const builder = new ProfileBuilder();
    builder.add(LEAF, "request", "GET /a", 0, 1_000);
    assert.equal(builder.sampleCount, 0);
  });

  it("is named by UTC time and process", () => {
    assert.equal(profileName(Date.UTC(2026, 10, 25, 10, 0, 0, 7), 42), "profile-20261125T100000007Z-42.pb.gz");
  });
});
