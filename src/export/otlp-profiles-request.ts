/**
 * Runs on the agent's worker thread. Owns the messages of one `ExportProfilesServiceRequest` (opentelemetry-proto 1.11.0):
 * one resource, one scope, two profiles of the same samples. Pure but for the random profile ids.
 */
import { randomBytes } from "node:crypto";
import type { Frame } from "../model/observation";
import { nanosOfMillis, UNKNOWN_FRAME } from "./live-heap";
import { type OtlpAttributes, writeAttributes } from "./otlp-attributes";
import { ProfilesDictionary } from "./otlp-profiles-dictionary";
import {
  EXPORT_PROFILES_SERVICE_REQUEST,
  INSTRUMENTATION_SCOPE,
  PROFILE,
  RESOURCE,
  RESOURCE_PROFILES,
  SAMPLE,
  SCOPE_PROFILES,
} from "./otlp-profiles-fields";
import type { SampleAttribute } from "./otlp-sample-attributes";
import { ProtobufWriter } from "./protobuf-writer";

const SCOPE_NAME = "leak-agent";
const ATTRIBUTE_DEFAULT_SAMPLE_TYPE = "pprof.scope.default_sample_type";
const PROFILE_ID_BYTES = 16;

export interface OtlpResource {
  readonly attributes: OtlpAttributes;
  /** Of the semantic conventions that `attributes` follow; may be empty. */
  readonly schemaUrl: string;
}

export interface OtlpProfileTimes {
  /** Start of the capture window, ms since the Unix epoch: backends refuse what is old, so not that of the process. */
  readonly startMillis: number;
  readonly durationMillis: number;
  /** V8's mean sampling interval in bytes. */
  readonly intervalBytes: number;
}

/** One sample of both profiles. Its identity is {stack, attributes}: there are no links. */
export interface MergedSample {
  /** Indexes of frames, leaf first. */
  readonly stack: readonly number[];
  readonly attributes: readonly SampleAttribute[];
  readonly objects: number;
  readonly bytes: number;
}

/**
 * @param merged no two of equal stack and attributes. @param frames what the numbers in `stack` mean.
 * @returns an uncompressed request, valid also without samples.
 */
export function encodeProfilesRequest(
  merged: readonly MergedSample[],
  frames: readonly Frame[],
  resource: OtlpResource,
  scopeVersion: string,
  times: OtlpProfileTimes,
): Uint8Array {
  const writer = new ProtobufWriter();
  const dictionary = new ProfilesDictionary();
  const samples = samplesOf(merged, frames, dictionary);
  writer.message(EXPORT_PROFILES_SERVICE_REQUEST.resourceProfiles, () => {
    writer.message(RESOURCE_PROFILES.resource, () => {
      writeAttributes(writer, RESOURCE.attributes, resource.attributes);
    });
    writer.message(RESOURCE_PROFILES.scopeProfiles, () => {
      writer.message(SCOPE_PROFILES.scope, () => writeScope(writer, scopeVersion));
      // Viewers show the first profile by default.
      writer.message(SCOPE_PROFILES.profiles, () => {
        writeProfile(writer, dictionary, "inuse_space", "bytes", times, samples);
      });
      writer.message(SCOPE_PROFILES.profiles, () => {
        writeProfile(writer, dictionary, "inuse_objects", "count", times, samples);
      });
    });
    writer.string(RESOURCE_PROFILES.schemaUrl, resource.schemaUrl);
  });
  writer.message(EXPORT_PROFILES_SERVICE_REQUEST.dictionary, () => dictionary.write(writer));
  return writer.finish();
}

interface SampleRow {
  readonly stackIndex: number;
  readonly attributeIndices: readonly number[];
  readonly objects: number;
  readonly bytes: number;
}

function samplesOf(
  merged: readonly MergedSample[],
  frames: readonly Frame[],
  dictionary: ProfilesDictionary,
): readonly SampleRow[] {
  const locations = new Map<number, number>();
  const locationOf = (frameNumber: number): number => {
    let index = locations.get(frameNumber);
    if (index === undefined) {
      index = dictionary.location(frames[frameNumber] ?? UNKNOWN_FRAME);
      locations.set(frameNumber, index);
    }
    return index;
  };
  return merged.map((sample) => ({
    stackIndex: dictionary.stack(sample.stack.map(locationOf)),
    attributeIndices: sample.attributes.map(([key, value]) => dictionary.attribute(key, value)),
    objects: Math.round(sample.objects),
    bytes: Math.round(sample.bytes),
  }));
}

function writeScope(writer: ProtobufWriter, version: string): void {
  writer.string(INSTRUMENTATION_SCOPE.name, SCOPE_NAME);
  writer.string(INSTRUMENTATION_SCOPE.version, version);
  writeAttributes(writer, INSTRUMENTATION_SCOPE.attributes, { [ATTRIBUTE_DEFAULT_SAMPLE_TYPE]: "inuse_space" });
}

function writeProfile(
  writer: ProtobufWriter,
  dictionary: ProfilesDictionary,
  type: "inuse_space" | "inuse_objects",
  unit: "bytes" | "count",
  times: OtlpProfileTimes,
  samples: readonly SampleRow[],
): void {
  dictionary.writeValueType(writer, PROFILE.sampleType, type, unit);
  for (const sample of samples) {
    writer.message(PROFILE.samples, () => {
      writer.int(SAMPLE.stackIndex, sample.stackIndex);
      writer.packed(SAMPLE.attributeIndices, sample.attributeIndices);
      writer.packed(SAMPLE.values, [type === "inuse_space" ? sample.bytes : sample.objects]);
    });
  }
  writer.fixed64(PROFILE.timeUnixNano, nanosOfMillis(times.startMillis));
  writer.int(PROFILE.durationNano, nanosOfMillis(Math.max(0, times.durationMillis)));
  dictionary.writeValueType(writer, PROFILE.periodType, "space", "bytes");
  writer.int(PROFILE.period, Math.max(1, Math.round(times.intervalBytes))); // Pyroscope drops a profile of period 0.
  writer.bytes(PROFILE.profileId, randomBytes(PROFILE_ID_BYTES));
}
