"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { MAX_REQUEST_BYTES, OtlpProfileBuilder } = require("../../../dist/export/otlp-profiles.js");
const bodies = require("../../harness/otlp-bodies.js");
const { ProfilesRequest } = require("../../harness/otlp-profiles-decoder.js");

const { HANDLE, KEEP, LEAF, RESOURCE, TIMES, VERSION, builderOf, deepPath, encode, frame, manyRows, path } = bodies;
const TABLES = ["mapping", "location", "function", "link", "string", "attribute", "stack"].map(
  (name) => `${name}Table`,
);
const decode = (rows) => new ProfilesRequest(encode(builderOf(rows)));
const attributesOf = (rows) =>
  decode(rows)
    .samples("inuse_space")
    .map((sample) => sample.attributes);

describe("a request", () => {
  const request = decode(bodies.ordinaryRows());

  it("has one resource with inline attributes of their types, and its schema", () => {
    assert.equal(request.message.resourceProfiles.length, 1);
    assert.deepEqual(request.plainAttributes(request.resourceProfiles.resource.attributes), RESOURCE.attributes);
    assert.equal(request.resourceProfiles.schemaUrl, RESOURCE.schemaUrl);
    const rare = { attributes: { "": "nameless", no: false, part: -1.5, zero: 0, empty: "" }, schemaUrl: "" };
    const other = new ProfilesRequest(builderOf([]).encode(rare, VERSION, TIMES));
    const { "": _, ...named } = rare.attributes;
    assert.deepEqual(other.plainAttributes(other.resourceProfiles.resource.attributes), named);
  });

  it("has one scope, which names the agent and the profile to show first", () => {
    assert.equal(request.resourceProfiles.scopeProfiles.length, 1);
    const { name, version, attributes } = request.scopeProfiles.scope;
    assert.deepEqual([name, version], ["leak-agent", VERSION]);
    assert.deepEqual(request.plainAttributes(attributes), { "pprof.scope.default_sample_type": "inuse_space" });
  });

  it("has the two profiles of a live heap, with times, period and ids of their own", () => {
    const { profiles } = request.scopeProfiles;
    assert.deepEqual(
      profiles.map((profile) => request.valueType(profile.sampleType)),
      [
        ["inuse_space", "bytes"],
        ["inuse_objects", "count"],
      ],
    );
    for (const profile of profiles) {
      assert.equal(profile.timeUnixNano, 1_764_064_800_123_000_000n);
      assert.equal(profile.durationNano, 60_000_000_000n);
      assert.deepEqual(request.valueType(profile.periodType), ["space", "bytes"]);
      assert.equal(profile.period, 131_071n);
      assert.equal(profile.profileId.length, 16);
    }
    const ids = [...profiles, ...decode([]).scopeProfiles.profiles].map((profile) => profile.profileId.toString("hex"));
    assert.equal(new Set(ids).size, 4);
  });

  it("never states a period of 0 or a negative duration", () => {
    const times = { ...TIMES, durationMillis: -5, intervalBytes: 0.2 };
    const { profiles } = new ProfilesRequest(builderOf([]).encode(RESOURCE, VERSION, times)).scopeProfiles;
    assert.deepEqual([profiles[0].period, profiles[0].durationNano], [1n, 0n]);
  });

  it("starts every table with the zero value", () => {
    const zero = new ProfilesRequest(encode(builderOf([])));
    assert.equal(request.entry("stringTable", 0), "");
    const firsts = TABLES.filter((name) => name !== "stringTable").map((name) => request.entry(name, 0));
    for (const first of firsts) {
      for (const value of Object.values(first)) assert.ok(value.length === 0 || value === 0 || value === 0n);
    }
    assert.equal(request.entry("attributeTable", 0).value, undefined);
    for (const name of ["mappingTable", "locationTable", "functionTable", "linkTable", "attributeTable", "stackTable"])
      assert.equal(zero.dictionary[name].length, 1, name);
  });

  it("estimates bytes and objects by inclusion probability", () => {
    const rows = [
      [LEAF, "request", "GET /a", 1_000],
      [LEAF, "request", "GET /a", 1_000],
      [path([HANDLE]), "request", "GET /a", 10_000_000],
      [LEAF, "request", "GET /empty", 0],
    ];
    const values = (type) =>
      decode(rows)
        .samples(type)
        .map((sample) => sample.value);
    // p = 1 - exp(-1000/131071) = 0.0076004, so one sample stands for 131.57 objects and 131,572 bytes.
    assert.deepEqual(values("inuse_space"), [10_000_000, 263_143]);
    assert.deepEqual(values("inuse_objects"), [1, 263]);
  });

  it("lists stacks leaf first, and the unknown place by name", () => {
    const stacks = decode([
      [LEAF, "request", "GET /a", 200],
      [null, "request", "GET /a", 100],
    ]).samples("inuse_space");
    assert.deepEqual(
      stacks.map((sample) => sample.stack),
      [["keep /srv/store.js:20:5", "handle /srv/server.js:10:3"], ["(unknown) :0:0"]],
    );
  });

  it("says of each location that V8 runs it, and that no mapping holds it", () => {
    for (const { mappingIndex, address, lines, attributeIndices } of request.dictionary.locationTable.slice(1)) {
      assert.deepEqual([mappingIndex, address, lines.length], [0, 0n, 1]);
      assert.deepEqual(request.attributes(attributeIndices), { "profile.frame.type": "v8js" });
    }
  });

  it("has one function for two places that differ only in their column", () => {
    const twin = { ...KEEP, column: 99 };
    const { dictionary } = decode([
      [path([KEEP]), "request", "GET /a"],
      [path([twin]), "request", "GET /a"],
    ]);
    assert.deepEqual([dictionary.functionTable.length, dictionary.locationTable.length], [2, 3]);
    assert.equal(dictionary.functionTable[1].startLine, 20n);
  });

  it("takes a line or column that cannot be as unknown", () => {
    const odd = [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY].map((at) => [
      path([frame("f", "", at, at)]),
      "request",
      "x",
    ]);
    assert.deepEqual(
      decode(odd)
        .samples("inuse_space")
        .map((sample) => sample.stack),
      [["f :0:0"]],
    );
  });
});

describe("the attributes of a sample", () => {
  const main = { "thread.id": 0 };

  it("follow the semantic conventions: the template is the route, the method an attribute of its own", () => {
    const route = { name: "GET /users/:id", method: "GET", template: "/users/:id" };
    const expected = [{ "http.route": "/users/:id", "http.request.method": "GET", ...main }];
    assert.deepEqual(attributesOf([[LEAF, "request", route]]), expected);
    assert.deepEqual(attributesOf([[LEAF, "request", "GET /users/:id"]]), expected);
  });

  it("keep the name of a route that has no template", () => {
    for (const name of ["queue: invoices", "(other)", "GET", "get /a", "GET a"]) {
      const route = { name, method: null, template: null };
      assert.deepEqual(attributesOf([[LEAF, "request", route]]), [{ "http.route": name, ...main }]);
    }
  });

  it("call a method that the conventions do not know _OTHER", () => {
    assert.deepEqual(attributesOf([[LEAF, "request", "PROPFIND /dav"]]), [
      {
        "http.route": "/dav",
        "http.request.method": "_OTHER",
        "http.request.method_original": "PROPFIND",
        ...main,
      },
    ]);
  });

  it("name the special owners and tell them from routes of that name", () => {
    for (const kind of ["background", "startup", "unattributed", "agent"]) {
      const expected = { "http.route": `(${kind})`, "leak_agent.owner": kind, ...main };
      assert.deepEqual(attributesOf([[LEAF, kind, "GET /ignored"]]), [expected]);
    }
    assert.deepEqual(attributesOf([[LEAF, "request", null]]), [{ "http.route": "(unattributed)", ...main }]);
  });

  it("say when it was in the background of a route, and in which thread", () => {
    assert.deepEqual(attributesOf([[LEAF, "background-of", "GET /a", 100, 4, "pool"]]), [
      {
        "http.route": "/a",
        "http.request.method": "GET",
        "leak_agent.owner": "background-of",
        "thread.id": 4,
        "thread.name": "pool",
      },
    ]);
  });
});

describe("merging", () => {
  it("adds up what is equal in stack and attributes, whatever objects it came in", () => {
    const twin = path([{ ...HANDLE }, { ...KEEP }]);
    const route = { name: "GET /a", method: "GET", template: "/a" };
    const request = decode([
      [LEAF, "request", "GET /a"],
      [twin, "request", route],
      [LEAF, "request", "GET /a"],
    ]);
    const [sample, ...others] = request.samples("inuse_objects");
    assert.equal(others.length, 0);
    assert.equal(sample.value, Math.round(3 / -Math.expm1(-100 / bodies.INTERVAL_BYTES)));
  });

  it("keeps apart what differs in stack, route, method, owner, thread or thread name", () => {
    const rows = [
      [LEAF, "request", "GET /a"],
      [path([HANDLE]), "request", "GET /a"],
      [LEAF, "request", "GET /b"],
      [LEAF, "request", "POST /a"],
      [LEAF, "background-of", "GET /a"],
      [LEAF, "request", "GET /a", 100, 1],
      [LEAF, "request", "GET /a", 100, 0, "main"],
    ];
    const builder = builderOf([...rows, ...rows]);
    assert.equal(builder.sampleCount, rows.length);
    assert.equal(new ProfilesRequest(encode(builder)).profile("inuse_space").samples.length, rows.length);
  });
});

describe("limits", () => {
  it("put the samples with the most bytes first, and count what one request leaves out", () => {
    const builder = builderOf(manyRows(9_000));
    const request = new ProfilesRequest(encode(builder));
    const values = request.samples("inuse_space").map((sample) => sample.value);
    assert.equal(values.length, 8_000);
    assert.deepEqual(
      values,
      values.toSorted((a, b) => b - a),
    );
    assert.equal(builder.droppedSampleCount, 1_000);
  });

  it("split a large heap into requests that are complete in themselves and lose nothing", () => {
    const builder = builderOf(manyRows(20_000));
    const requests = builder.encodeRequests(RESOURCE, VERSION, TIMES).map((body) => new ProfilesRequest(body));
    assert.deepEqual(
      requests.map((request) => request.profile("inuse_space").samples.length),
      [8_000, 8_000, 4_000],
    );
    const sum = requests
      .flatMap((request) => request.samples("inuse_space"))
      .reduce((total, sample) => total + sample.value, 0);
    const expected = manyRows(20_000).reduce((total, [, , , size]) => {
      return total + Math.round(size / -Math.expm1(-size / bodies.INTERVAL_BYTES));
    }, 0);
    assert.equal(sum, expected);
    assert.equal(builder.droppedSampleCount, 0);
    const least = requests.map((request) => request.samples("inuse_space").at(-1).value);
    assert.ok(least[0] > least[1] && least[1] > least[2]);
  });

  it("drop the smallest when there are more than eight requests of them", () => {
    const builder = builderOf(manyRows(64_010));
    assert.equal(builder.encodeRequests(RESOURCE, VERSION, TIMES).length, 8);
    assert.equal(builder.droppedSampleCount, 10);
  });

  it("are of bytes too: no request is larger than a gRPC receiver takes", () => {
    const requests = bodies.extremeBodies()["more than 4 MiB"];
    assert.ok(requests.length > 1);
    for (const body of requests) assert.ok(body.byteLength <= MAX_REQUEST_BYTES, `${body.byteLength}`);
    const count = requests.reduce((sum, body) => sum + new ProfilesRequest(body).samples("inuse_space").length, 0);
    assert.equal(count, 3_000);
  });

  it("drop and count a sample that is larger than a request", () => {
    const huge = path(
      Array.from({ length: 900 }, (_, index) => frame(`${index}${"x".repeat(4_000)}`, "y".repeat(4_000) + index)),
    );
    const builder = builderOf([
      [huge, "request", "GET /huge", 5_000],
      [LEAF, "request", "GET /a"],
    ]);
    const requests = builder.encodeRequests(RESOURCE, VERSION, TIMES);
    assert.equal(requests.length, 1);
    assert.equal(builder.droppedSampleCount, 1);
    assert.deepEqual(
      new ProfilesRequest(requests[0]).samples("inuse_space").map((sample) => sample.attributes["http.route"]),
      ["/a"],
    );
  });

  it("give nothing to send without samples, but a valid request on demand", () => {
    const builder = new OtlpProfileBuilder();
    assert.deepEqual(builder.encodeRequests(RESOURCE, VERSION, TIMES), []);
    assert.deepEqual(new ProfilesRequest(encode(builder)).samples("inuse_space"), []);
  });

  it("cut stacks above 1,000 frames at their root, visibly, also endless ones", () => {
    const endless = { parent: null, frame: HANDLE };
    endless.parent = endless;
    const builder = builderOf([1_000, 1_001].map((depth) => [deepPath(depth), "request", `GET /${depth}`]));
    builder.add(endless, "startup", null, 100, 1_000, 0, "");
    assert.equal(builder.truncatedStackCount, 2);
    const samples = new ProfilesRequest(encode(builder)).samples("inuse_space");
    for (const { stack, attributes } of samples) {
      assert.equal(stack.length, 1_000);
      assert.equal(stack.at(-1) === "(truncated) :0:0", attributes["http.route"] !== "/1000");
    }
  });
});

describe("names of every kind", () => {
  it("arrive as they are, but for lone surrogates and excess length", () => {
    for (const name of bodies.ODD_NAMES.filter((text) => text.isWellFormed() && text !== "" && text.length < 2_000)) {
      const [sample] = decode([[path([frame(name, name)]), "request", name, 100, 0, name]]).samples("inuse_space");
      assert.deepEqual(sample.stack, [`${name} ${name}:1:1`]);
      assert.equal(sample.attributes["http.route"], name);
      assert.equal(sample.attributes["thread.name"], name);
    }
  });

  it("become one when they differ only in lone surrogates", () => {
    const rows = ["\ud800", "\udbff", "\udc00", "\ufffd"].map((name) => [path([frame(name)]), "request", name]);
    assert.equal(builderOf(rows).sampleCount, 1);
    assert.equal(decode(rows).samples("inuse_space")[0].attributes["http.route"], "\ufffd");
  });

  it("are cut to what backends take, never inside a character", () => {
    for (const [name, kept] of [
      ["🙂".repeat(5_000), "🙂".repeat(1_023)],
      [`x${"🙂".repeat(5_000)}`, `x${"🙂".repeat(1_023)}`],
      ["x".repeat(5_000), "x".repeat(2_047)],
      ["x".repeat(2_048), null],
    ]) {
      const [sample] = decode([[path([frame(name)]), "request", name]]).samples("inuse_space");
      assert.equal(sample.attributes["http.route"], kept === null ? name : `${kept}…`);
      const [functionName] = sample.stack[0].split(" ");
      assert.ok(functionName.isWellFormed() && functionName.length <= 4_096, `${functionName.length} units`);
    }
  });
});

describe("every body", () => {
  for (const [name, all] of Object.entries(bodies.extremeBodies())) {
    it(`${name}: no entry twice, none unused, every index within its table`, () => {
      for (const body of all) assertTables(new ProfilesRequest(body));
    });
  }
});

function assertTables(request) {
  const used = Object.fromEntries(TABLES.map((name) => [name, new Set([0])]));
  const use = (table, index) => {
    request.entry(table, index);
    used[table].add(index);
  };
  const { dictionary, scopeProfiles } = request;
  for (const profile of scopeProfiles.profiles) {
    for (const type of [profile.sampleType, profile.periodType]) {
      use("stringTable", type.typeStrindex);
      use("stringTable", type.unitStrindex);
    }
    for (const sample of profile.samples) {
      assert.equal(sample.values.length, 1);
      use("stackTable", sample.stackIndex);
      for (const index of sample.attributeIndices) use("attributeTable", index);
    }
    const identities = profile.samples.map((sample) => `${sample.stackIndex}|${sample.attributeIndices}`);
    assert.equal(new Set(identities).size, identities.length, "samples twice");
  }
  for (const stack of dictionary.stackTable) for (const index of stack.locationIndices) use("locationTable", index);
  for (const location of dictionary.locationTable) {
    for (const line of location.lines) use("functionTable", line.functionIndex);
    for (const index of location.attributeIndices) use("attributeTable", index);
  }
  for (const entry of dictionary.functionTable) {
    use("stringTable", entry.nameStrindex);
    use("stringTable", entry.filenameStrindex);
  }
  for (const entry of dictionary.attributeTable) use("stringTable", entry.keyStrindex);
  for (const table of TABLES) {
    assert.equal(used[table].size, dictionary[table].length, `${table}: an orphan`);
    const entries = dictionary[table].map((entry) => JSON.stringify(entry, (_, value) => plain(value)));
    assert.equal(new Set(entries).size, entries.length, `${table}: an entry twice`);
  }
}

function plain(value) {
  return typeof value === "bigint" ? String(value) : value;
}
