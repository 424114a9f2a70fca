/**
 * A minimal decoder of OTLP Profiles that shares nothing with src/export: the messages are written down here once more,
 * field by field. Throws on what the schema does not know. Whole numbers come as BigInt where 64 bits are declared.
 */
"use strict";

const MESSAGES = {
  ExportProfilesServiceRequest: {
    1: ["resourceProfiles", ["ResourceProfiles"]],
    2: ["dictionary", "ProfilesDictionary"],
  },
  ResourceProfiles: {
    1: ["resource", "Resource"],
    2: ["scopeProfiles", ["ScopeProfiles"]],
    3: ["schemaUrl", "string"],
  },
  ScopeProfiles: { 1: ["scope", "InstrumentationScope"], 2: ["profiles", ["Profile"]], 3: ["schemaUrl", "string"] },
  Profile: {
    1: ["sampleType", "ValueType"],
    2: ["samples", ["Sample"]],
    3: ["timeUnixNano", "fixed64"],
    4: ["durationNano", "uint64"],
    5: ["periodType", "ValueType"],
    6: ["period", "int64"],
    7: ["profileId", "bytes"],
    8: ["droppedAttributesCount", "int32"],
    9: ["originalPayloadFormat", "string"],
    10: ["originalPayload", "bytes"],
    11: ["attributeIndices", ["int32"]],
  },
  ValueType: { 1: ["typeStrindex", "int32"], 2: ["unitStrindex", "int32"] },
  Sample: {
    1: ["stackIndex", "int32"],
    2: ["attributeIndices", ["int32"]],
    3: ["linkIndex", "int32"],
    4: ["values", ["int64"]],
    5: ["timestampsUnixNano", ["fixed64"]],
  },
  ProfilesDictionary: {
    1: ["mappingTable", ["Mapping"]],
    2: ["locationTable", ["Location"]],
    3: ["functionTable", ["Function"]],
    4: ["linkTable", ["Link"]],
    5: ["stringTable", ["string"]],
    6: ["attributeTable", ["KeyValueAndUnit"]],
    7: ["stackTable", ["Stack"]],
  },
  Mapping: {
    1: ["memoryStart", "uint64"],
    2: ["memoryLimit", "uint64"],
    3: ["fileOffset", "uint64"],
    4: ["filenameStrindex", "int32"],
    5: ["attributeIndices", ["int32"]],
  },
  Location: {
    1: ["mappingIndex", "int32"],
    2: ["address", "uint64"],
    3: ["lines", ["Line"]],
    4: ["attributeIndices", ["int32"]],
  },
  Line: { 1: ["functionIndex", "int32"], 2: ["line", "int64"], 3: ["column", "int64"] },
  Function: {
    1: ["nameStrindex", "int32"],
    2: ["systemNameStrindex", "int32"],
    3: ["filenameStrindex", "int32"],
    4: ["startLine", "int64"],
  },
  Link: { 1: ["traceId", "bytes"], 2: ["spanId", "bytes"] },
  Stack: { 1: ["locationIndices", ["int32"]] },
  KeyValueAndUnit: { 1: ["keyStrindex", "int32"], 2: ["value", "AnyValue"], 3: ["unitStrindex", "int32"] },
  Resource: { 1: ["attributes", ["KeyValue"]], 2: ["droppedAttributesCount", "int32"] },
  InstrumentationScope: {
    1: ["name", "string"],
    2: ["version", "string"],
    3: ["attributes", ["KeyValue"]],
    4: ["droppedAttributesCount", "int32"],
  },
  KeyValue: { 1: ["key", "string"], 2: ["value", "AnyValue"], 3: ["keyStrindex", "int32"] },
  AnyValue: {
    1: ["stringValue", "string"],
    2: ["boolValue", "bool"],
    3: ["intValue", "int64"],
    4: ["doubleValue", "double"],
    5: ["arrayValue", "ArrayValue"],
    8: ["stringValueStrindex", "int32"],
  },
  ArrayValue: { 1: ["values", ["AnyValue"]] },
};

/** What an absent field means; a submessage and the members of AnyValue stay absent. */
const DEFAULTS = { string: "", int32: 0, int64: 0n, uint64: 0n, fixed64: 0n, bytes: Buffer.alloc(0) };
const WIRE_TYPES = { int32: 0, int64: 0, uint64: 0, bool: 0, fixed64: 1, double: 1 };
const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  get atEnd() {
    return this.at === this.bytes.length;
  }

  take(count) {
    if (this.at + count > this.bytes.length) throw new Error("the message is cut off");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  varint() {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const [byte] = this.take(1);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new Error("a varint of more than 10 bytes");
  }

  scalar(type) {
    switch (type) {
      case "int32":
        return Number(BigInt.asIntN(32, this.varint()));
      case "int64":
        return BigInt.asIntN(64, this.varint());
      case "uint64":
        return BigInt.asUintN(64, this.varint());
      case "bool":
        return this.varint() !== 0n;
      case "fixed64":
        return this.take(8).readBigUInt64LE();
      case "double":
        return this.take(8).readDoubleLE();
      default:
        throw new Error(`no scalar: ${type}`);
    }
  }
}

function emptyMessage(type) {
  const message = {};
  for (const [name, kind] of Object.values(MESSAGES[type])) {
    if (Array.isArray(kind)) message[name] = [];
    else if (kind in DEFAULTS && type !== "AnyValue") message[name] = DEFAULTS[kind];
  }
  return message;
}

function decodeDelimited(bytes, kind) {
  if (kind === "string") return STRICT_UTF8.decode(bytes);
  return kind === "bytes" ? Buffer.from(bytes) : decodeMessage(bytes, kind);
}

function decodeMessage(bytes, type) {
  const message = emptyMessage(type);
  const reader = new Reader(bytes);
  while (!reader.atEnd) {
    const tag = Number(reader.varint());
    const [field, wireType] = [tag >>> 3, tag & 7];
    const [name, declared] = MESSAGES[type][field] ?? [];
    if (name === undefined) throw new Error(`${type} has no field ${field}`);
    const isRepeated = Array.isArray(declared);
    const kind = isRepeated ? declared[0] : declared;
    const scalarWireType = WIRE_TYPES[kind];
    if (wireType === 2 && scalarWireType !== undefined && isRepeated) {
      const packed = new Reader(reader.take(Number(reader.varint())));
      while (!packed.atEnd) message[name].push(packed.scalar(kind));
      continue;
    }
    if (wireType !== (scalarWireType ?? 2)) throw new Error(`${type}.${name} has wire type ${wireType}`);
    const value = wireType === 2 ? decodeDelimited(reader.take(Number(reader.varint())), kind) : reader.scalar(kind);
    if (isRepeated) message[name].push(value);
    else message[name] = value;
  }
  return message;
}

/** A decoded request, and the same with every index resolved. */
class ProfilesRequest {
  /** @param bytes an uncompressed ExportProfilesServiceRequest. */
  constructor(bytes) {
    this.message = decodeMessage(Buffer.from(bytes), "ExportProfilesServiceRequest");
    this.dictionary = this.message.dictionary;
    [this.resourceProfiles] = this.message.resourceProfiles;
    [this.scopeProfiles] = this.resourceProfiles.scopeProfiles;
  }

  /** The one entry at this index. @throws when there is none, so that no test passes on undefined. */
  entry(table, index) {
    const entries = this.dictionary[table];
    if (!(index in entries)) throw new Error(`${table} has no index ${index}`);
    return entries[index];
  }

  text(index) {
    return this.entry("stringTable", index);
  }

  valueType(type) {
    return [this.text(type.typeStrindex), this.text(type.unitStrindex)];
  }

  attributes(indices) {
    const entries = indices.map((index) => this.entry("attributeTable", index));
    return Object.fromEntries(entries.map((entry) => [this.text(entry.keyStrindex), this.plainValue(entry.value)]));
  }

  /** KeyValues as an object, with inline strings as we write them or in the string table as a Collector does. */
  plainAttributes(keyValues) {
    return Object.fromEntries(
      keyValues.map(({ key, keyStrindex, value }) => [
        keyStrindex === 0 ? key : this.text(keyStrindex),
        this.plainValue(value),
      ]),
    );
  }

  /** Undefined where an AnyValue has no value. */
  plainValue(value) {
    if (value.arrayValue !== undefined) return value.arrayValue.values.map((element) => this.plainValue(element));
    if (value.intValue !== undefined) return Number(value.intValue);
    if (value.stringValueStrindex !== undefined) return this.text(value.stringValueStrindex);
    return value.stringValue ?? value.boolValue ?? value.doubleValue;
  }

  /** `function file:line:column`, leaf first. */
  stack(index) {
    return this.entry("stackTable", index).locationIndices.map((locationIndex) => {
      const { lines } = this.entry("locationTable", locationIndex);
      const { nameStrindex, filenameStrindex } = this.entry("functionTable", lines[0].functionIndex);
      return `${this.text(nameStrindex)} ${this.text(filenameStrindex)}:${lines[0].line}:${lines[0].column}`;
    });
  }

  /** @param type `inuse_space` or `inuse_objects`. */
  profile(type) {
    const found = this.scopeProfiles.profiles.filter((profile) => this.valueType(profile.sampleType)[0] === type);
    if (found.length !== 1) throw new Error(`${found.length} profiles ${type}`);
    return found[0];
  }

  /** [{ stack, attributes, value }] of one profile, in their order. */
  samples(type) {
    return this.profile(type).samples.map((sample) => ({
      stack: this.stack(sample.stackIndex),
      attributes: this.attributes(sample.attributeIndices),
      value: Number(sample.values[0]),
    }));
  }
}

module.exports = { ProfilesRequest };
