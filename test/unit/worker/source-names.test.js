"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const { dirname, join } = require("node:path");
const { after, describe, it } = require("node:test");
const { findApplicationRoot, SourceNames } = require("../../../dist/worker/source-names.js");
const { AGENT_VERSION } = require("../../../dist/worker/version.js");

const base = fs.realpathSync(fs.mkdtempSync(join(os.tmpdir(), "names-test-")));
after(() => fs.rmSync(base, { recursive: true, force: true }));

function write(name, content) {
  const path = join(base, name);
  fs.mkdirSync(dirname(path), { recursive: true });
  fs.writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}
const frame = (file, line = 1, column = 1) => ({ function: "f", file, line, column });

/** Maps line 2, column 5 of the generated file to line 18, column 3 of the source (all 1-based). */
const MAP = {
  version: 3,
  sources: ["../src/metrics.ts"],
  names: [],
  mappings: ";IAiBE",
  sourcesContent: ["x".repeat(1_000)],
};

describe("packages", () => {
  write("app/package.json", { name: "shop", version: "9.9.9" });
  write("app/node_modules/left/package.json", { name: "left", version: "1.2.3" });
  write("app/node_modules/@scope/pkg/package.json", { name: "@scope/pkg", version: "4.5.6" });
  write("app/node_modules/.pnpm/deep@7.0.0/node_modules/deep/package.json", { name: "deep", version: "7.0.0" });
  const names = new SourceNames(join(base, "app"));
  const CASES = [
    ["app/lib/data.js", "app", "lib/data.js", true],
    ["app/node_modules/left/lib/index.js", "left@1.2.3", "node_modules/left/lib/index.js", false],
    ["app/node_modules/@scope/pkg/a.js", "@scope/pkg@4.5.6", "node_modules/@scope/pkg/a.js", false],
    ["app/node_modules/.pnpm/deep@7.0.0/node_modules/deep/b.js", "deep@7.0.0", "node_modules/deep/b.js", false],
    ["app/node_modules/gone/c.js", "gone", "node_modules/gone/c.js", false],
    ["shared/helper.js", "app", "../shared/helper.js", true],
  ];
  for (const [file, packageName, short, isApplication] of CASES) {
    it(`of ${file}: ${packageName}`, () => {
      const described = names.describe(frame(join(base, file)));
      assert.deepEqual(
        [described.package, described.file, described.isApplication],
        [packageName, short, isApplication],
      );
    });
  }

  for (const [name, source] of [
    ["webpack", "webpack://shop/./node_modules/left/lib/a.js"],
    ["esbuild", "../node_modules/left/lib/a.js"],
  ]) {
    it(`of a bundle by ${name}: the package that the source map tells of`, () => {
      write(`app/dist/${name}.js`, `x\n\n//# sourceMappingURL=${name}.js.map\n`);
      write(`app/dist/${name}.js.map`, { ...MAP, sources: [source] });
      const described = names.describe(frame(join(base, `app/dist/${name}.js`), 2, 5));
      assert.deepEqual([described.package, described.isApplication], ["left@1.2.3", false]);
      assert.equal(described.original.file, "node_modules/left/lib/a.js");
    });
  }

  for (const file of ["node:internal/timers", "", "evalmachine.<anonymous>"]) {
    it(`of ${JSON.stringify(file)}: node, under its own name`, () => {
      const described = names.describe(frame(file));
      assert.deepEqual(described, { file, package: "node", original: null, isApplication: false });
    });
  }

  it("of the agent's own code is the agent", () => {
    const file = require.resolve("../../../dist/worker/source-names.js");
    const described = names.describe(frame(file));
    assert.deepEqual([described.package, described.isApplication], [`leak-agent@${AGENT_VERSION}`, false]);
  });
});

describe("original positions", () => {
  const ORIGINAL = { file: "src/metrics.ts", line: 18, column: 3 };
  const code = (comment) => `"use strict";\nfunction recordTimer() {}\n//# sourceMappingURL=${comment}`;
  const inline = (map) =>
    `data:application/json;charset=utf-8;base64,${Buffer.from(JSON.stringify(map)).toString("base64")}`;
  const names = new SourceNames(join(base, "ts"));
  const originalOf = (name, text, line = 2, column = 5) =>
    names.describe(frame(write(name, text), line, column)).original;

  it("come from the map file beside the code", () => {
    write("ts/dist/metrics.js.map", MAP);
    assert.deepEqual(originalOf("ts/dist/metrics.js", `${code("metrics.js.map")}\n`), ORIGINAL);
  });

  it("come from the segment before a position between two", () => {
    assert.deepEqual(originalOf("ts/dist/between.js", code("metrics.js.map"), 2, 21), ORIGINAL);
  });

  it("come from the segment after a position before the first of its line", () => {
    assert.deepEqual(originalOf("ts/dist/before.js", code("metrics.js.map"), 2, 1), ORIGINAL);
  });

  it("come from a short inline map", () => {
    assert.deepEqual(originalOf("ts/dist/inline.js", code(inline(MAP))), ORIGINAL);
  });

  it("come from an inline map longer than a disk block", () => {
    const long = { ...MAP, sourcesContent: ["y".repeat(100_000)] };
    assert.deepEqual(originalOf("ts/dist/long.js", code(inline(long))), ORIGINAL);
  });

  it("lose the scheme that bundlers put before them", () => {
    const bundled = { ...MAP, sources: ["webpack://shop/./src/metrics.ts?3f2a"] };
    assert.equal(originalOf("ts/dist/bundle.js", code(inline(bundled))).file, "src/metrics.ts");
  });

  it("are unknown without a map, with a broken one, one that is not there, or one on the network", () => {
    assert.equal(originalOf("ts/dist/none.js", '"use strict";\nfunction recordTimer() {}\n'), null);
    assert.equal(originalOf("ts/dist/broken.js", code("data:application/json;base64,e30x")), null);
    assert.equal(originalOf("ts/dist/absent.js", code("absent.js.map")), null);
    assert.equal(originalOf("ts/dist/remote.js", code("https://example.invalid/a.map")), null);
    assert.equal(names.describe(frame(join(base, "ts/dist/no-such-file.js"), 2, 5)).original, null);
  });

  it("are unknown where the source is a file of another host", () => {
    const file = write("far/far.js", "x\n\n//# sourceMappingURL=far.js.map\n");
    write("far/far.js.map", { ...MAP, sources: ["file://elsewhere/src/metrics.ts"] });
    assert.equal(new SourceNames(join(base, "far")).describe(frame(file, 2, 5)).original, null);
  });

  it("are not looked for in a map whose mappings would fill the worker's heap", () => {
    write("ts/dist/dense.js.map", { ...MAP, mappings: `${MAP.mappings}${",CAAC".repeat(1_300_000)}` });
    assert.equal(originalOf("ts/dist/dense.js", code("dense.js.map")), null);
  });

  it("are read again after the maps were let go", () => {
    names.maps.release();
    assert.deepEqual(originalOf("ts/dist/again.js", code("metrics.js.map")), ORIGINAL);
  });

  it("are not looked for in a map over the limit", () => {
    const path = write("ts/dist/huge.js.map", MAP);
    fs.truncateSync(path, 33 * 1024 * 1024);
    const before = names.maps.skippedMaps;
    assert.equal(originalOf("ts/dist/huge.js", code("huge.js.map")), null);
    assert.equal(names.maps.skippedMaps, before + 1);
  });
});

describe("the application's root", () => {
  it("is the folder of the nearest package.json above the main script", () => {
    write("mono/package.json", {});
    write("mono/services/shop/package.json", {});
    const script = write("mono/services/shop/dist/server.js", "");
    assert.equal(findApplicationRoot(script, "/"), join(base, "mono/services/shop"));
    assert.equal(
      findApplicationRoot("dist/server.js", join(base, "mono/services/shop")),
      join(base, "mono/services/shop"),
    );
  });

  it("is the working directory where there is no script", () => {
    assert.equal(findApplicationRoot(null, join(base, "mono")), join(base, "mono"));
  });
});
