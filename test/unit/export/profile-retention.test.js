"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { profileSpacingMillis, profilesToThin } = require("../../../dist/export/profile-retention.js");

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe("profile spacing", () => {
  it("follows the horizon between ten seconds and an hour", () => {
    assert.equal(profileSpacingMillis(30_000), 10_000);
    assert.equal(profileSpacingMillis(2 * HOUR), 300_000);
    assert.equal(profileSpacingMillis(DAY), HOUR);
    assert.equal(profileSpacingMillis(30 * DAY), HOUR);
  });
});

describe("profile retention", () => {
  /** Writes one profile each spacing for `days` and thins after each, as a long process would. */
  function live(days, spacing, processIds = [1]) {
    let kept = [];
    let now = 1_700_000_000_000;
    for (const end = now + days * DAY; now < end; now += spacing) {
      for (const processId of processIds) kept.push({ name: `${now}-${processId}`, timeMillis: now, processId });
      const gone = new Set(profilesToThin(kept, now, spacing));
      kept = kept.filter((file) => !gone.has(file.name));
    }
    return kept.map((file) => ({ ...file, ageMillis: now - spacing - file.timeMillis }));
  }

  it("keeps every recent profile, few old ones and none beyond a month", () => {
    const kept = live(40, HOUR);
    assert.equal(kept.filter((file) => file.ageMillis < 24 * HOUR).length, 24);
    assert.ok(kept.length < 100, `${kept.length} files`);
    assert.ok(kept.every((file) => file.ageMillis <= 31 * DAY));
  });

  it("leaves no hole larger than a quarter of the age", () => {
    const kept = live(40, HOUR);
    for (let index = 1; index < kept.length; index++) {
      const gap = kept[index].timeMillis - kept[index - 1].timeMillis;
      assert.ok(
        gap <= Math.max(HOUR, kept[index - 1].ageMillis / 4),
        `gap of ${gap / HOUR} h at ${kept[index].ageMillis / HOUR} h`,
      );
    }
  });

  it("thins each process by itself", () => {
    const kept = live(3, HOUR, [1, 2]);
    const times = (id) => kept.filter((file) => file.processId === id).map((file) => file.timeMillis);
    assert.deepEqual(times(1), times(2));
  });
});
