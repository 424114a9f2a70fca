/**
 * Owns the field numbers of OTLP Profiles: opentelemetry-proto 1.11.0, package `opentelemetry.proto.profiles.v1development`
 * (status alpha, so they may move between versions), and of the common messages it uses. Only fields that are written.
 */

/** Wire-identical to `ProfilesData`. */
export const EXPORT_PROFILES_SERVICE_REQUEST = { resourceProfiles: 1, dictionary: 2 } as const;

export const RESOURCE_PROFILES = { resource: 1, scopeProfiles: 2, schemaUrl: 3 } as const;

export const SCOPE_PROFILES = { scope: 1, profiles: 2 } as const;

export const PROFILE = {
  sampleType: 1,
  samples: 2,
  timeUnixNano: 3,
  durationNano: 4,
  periodType: 5,
  period: 6,
  profileId: 7,
} as const;

export const VALUE_TYPE = { typeStrindex: 1, unitStrindex: 2 } as const;

export const SAMPLE = { stackIndex: 1, attributeIndices: 2, values: 4 } as const;

export const PROFILES_DICTIONARY = {
  mappingTable: 1,
  locationTable: 2,
  functionTable: 3,
  linkTable: 4,
  stringTable: 5,
  attributeTable: 6,
  stackTable: 7,
} as const;

/** `mapping_index` stays 0: JavaScript functions belong to no mapping. */
export const LOCATION = { lines: 3, attributeIndices: 4 } as const;

export const LINE = { functionIndex: 1, line: 2, column: 3 } as const;

/** `system_name_strindex` stays 0: JavaScript names are not mangled. */
export const FUNCTION = { nameStrindex: 1, filenameStrindex: 3, startLine: 4 } as const;

/** Leaf first. */
export const STACK = { locationIndices: 1 } as const;

export const KEY_VALUE_AND_UNIT = { keyStrindex: 1, value: 2 } as const;

/** opentelemetry.proto.resource.v1 */
export const RESOURCE = { attributes: 1 } as const;

/** opentelemetry.proto.common.v1 */
export const INSTRUMENTATION_SCOPE = { name: 1, version: 2, attributes: 3 } as const;

/** `key_strindex` is not used: older collectors and some backends do not resolve it. */
export const KEY_VALUE = { key: 1, value: 2 } as const;

/** A oneof: its member is written even when it is 0, "" or false. */
export const ANY_VALUE = { stringValue: 1, boolValue: 2, intValue: 3, doubleValue: 4, arrayValue: 5 } as const;

export const ARRAY_VALUE = { values: 1 } as const;
