/** Pure. Owns how a growing container (src/detector/ladder.ts) stands in a finding: growth, evidence, alternatives. */
import type { FindingAlternative, FindingEvidence, FindingGrowth } from "../model/finding";
import { LADDER_MINIMUM_RECORDS, LADDER_SLOPE_HIGH, LADDER_SLOPE_LOW, type LadderReading, perHour } from "./ladder";
import type { OwnerState } from "./owner-state";

/** Fewer samples of what else is kept are noise. */
const MINIMUM_CONTENTS = 8;

/** The bounds are certain, not 95 %: the store was full when it was replaced, and holds no more than its size now. */
export function ladderGrowth(reading: LadderReading, owner: OwnerState, nowMillis: number): FindingGrowth {
  const bytesPerHour = perHour(owner.clock, reading, nowMillis);
  const { perExposure, low, high } = reading;
  const of = (value: number): number | null => (owner.hasRequests ? value : null);
  return {
    bytesPerRequest: of(perExposure),
    bytesPerRequestLow: of(low),
    bytesPerRequestHigh: of(high),
    confidence: 0.95,
    bytesPerHour,
    bytesPerHourLow: (bytesPerHour * low) / perExposure,
    bytesPerHourHigh: (bytesPerHour * high) / perExposure,
    retainedBytes: reading.lastBytes,
    retainedObjects: 1,
    requests: owner.hasRequests ? Math.round(owner.clock.at(nowMillis) - owner.clock.at(reading.firstMillis)) : null,
  };
}

/**
 * A container and what it holds are one leak: what the route keeps beside the container counts, once enough samples show it.
 * @param contents by cohorts, of `sampleCount` living samples.
 */
export function withContents(container: FindingGrowth, contents: FindingGrowth, sampleCount: number): FindingGrowth {
  if (sampleCount < MINIMUM_CONTENTS || contents.bytesPerHourLow <= 0) return container;
  const sum = (one: number | null, other: number | null): number | null =>
    one === null || other === null ? one : one + other;
  return {
    ...container,
    bytesPerRequest: sum(container.bytesPerRequest, contents.bytesPerRequest),
    bytesPerRequestLow: sum(container.bytesPerRequestLow, contents.bytesPerRequestLow),
    bytesPerRequestHigh: sum(container.bytesPerRequestHigh, contents.bytesPerRequestHigh),
    bytesPerHour: container.bytesPerHour + contents.bytesPerHour,
    bytesPerHourLow: container.bytesPerHourLow + contents.bytesPerHourLow,
    bytesPerHourHigh: container.bytesPerHourHigh + contents.bytesPerHourHigh,
    retainedBytes: container.retainedBytes + contents.retainedBytes,
    retainedObjects: container.retainedObjects + contents.retainedObjects,
  };
}

export function ladderEvidence(
  reading: LadderReading,
  heldMillis: number,
): Pick<FindingEvidence, "method" | "samples" | "cohortsMatured" | "cohortsFreed" | "unrefutedSeconds"> {
  return {
    method: "ladder",
    samples: reading.records,
    cohortsMatured: reading.records,
    cohortsFreed: reading.records - 1,
    unrefutedSeconds: heldMillis / 1_000,
  };
}

export function ladderAlternatives(reading: LadderReading): FindingAlternative[] {
  const { slope, records } = reading;
  return [
    {
      name: "a container that is filling up",
      statistic: "sizeExponent",
      value: slope,
      bound: LADDER_SLOPE_LOW,
      rejected: slope >= LADDER_SLOPE_LOW,
    },
    {
      name: "one large insertion",
      statistic: "sizeExponent",
      value: slope,
      bound: LADDER_SLOPE_HIGH,
      rejected: slope <= LADDER_SLOPE_HIGH,
    },
    {
      name: "a container of fixed size",
      statistic: "replacements",
      value: records,
      bound: LADDER_MINIMUM_RECORDS,
      rejected: records >= LADDER_MINIMUM_RECORDS,
    },
  ];
}
