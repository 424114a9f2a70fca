/**
 * Runs on the agent's worker thread. Owns the seven tables of one request's `ProfilesDictionary`: index 0 of each is the
 * zero value, no entry is there twice. Whoever asks for an index must use it: what nothing refers to is an orphan.
 */
import type { Frame } from "../model/observation";
import { writeAnyValue } from "./otlp-attributes";
import {
  FUNCTION,
  KEY_VALUE_AND_UNIT,
  LINE,
  LOCATION,
  PROFILES_DICTIONARY,
  STACK,
  VALUE_TYPE,
} from "./otlp-profiles-fields";
import type { ProtobufWriter } from "./protobuf-writer";

const ATTRIBUTE_FRAME_TYPE = "profile.frame.type";
const FRAME_TYPE_V8 = "v8js";

interface FunctionEntry {
  readonly nameStrindex: number;
  readonly filenameStrindex: number;
  readonly startLine: number;
}

interface LocationEntry {
  readonly functionIndex: number;
  readonly line: number;
  readonly column: number;
  readonly frameTypeIndex: number;
}

interface AttributeEntry {
  readonly keyStrindex: number;
  readonly value: string | number;
}

/** Entries in order of their first use; what is written at index 0 is the encoder's matter. */
class Table<Entry> {
  readonly entries: Entry[] = [];
  private readonly indexes = new Map<string, number>();

  /** @param zeroKey the key whose entry equals the zero value, if one can. */
  constructor(zeroKey?: string) {
    if (zeroKey !== undefined) this.indexes.set(zeroKey, 0);
  }

  indexOf(key: string, make: () => Entry): number {
    const known = this.indexes.get(key);
    if (known !== undefined) return known;
    const index = this.entries.push(make()); // Index 0 is not among the entries.
    this.indexes.set(key, index);
    return index;
  }
}

export class ProfilesDictionary {
  private readonly strings = new Table<string>("");
  private readonly attributes = new Table<AttributeEntry>();
  private readonly functions = new Table<FunctionEntry>("0|0|0");
  private readonly locations = new Table<LocationEntry>();
  private readonly stacks = new Table<readonly number[]>("");

  /** @param text well-formed Unicode: two texts of equal UTF-8 would be one string twice. */
  string(text: string): number {
    return this.strings.indexOf(text, () => text);
  }

  attribute(key: string, value: string | number): number {
    const keyStrindex = this.string(key);
    return this.attributes.indexOf(`${keyStrindex}|${typeof value}|${value}`, () => ({ keyStrindex, value }));
  }

  /** @param frame line and column are whole numbers >= 0. */
  location(frame: Frame): number {
    const { line, column } = frame;
    const functionIndex = this.function(frame);
    return this.locations.indexOf(`${functionIndex}|${line}|${column}`, () => {
      return { functionIndex, line, column, frameTypeIndex: this.attribute(ATTRIBUTE_FRAME_TYPE, FRAME_TYPE_V8) };
    });
  }

  /** @param locationIndices leaf first. */
  stack(locationIndices: readonly number[]): number {
    return this.stacks.indexOf(locationIndices.join(","), () => locationIndices);
  }

  /** Writes a `ValueType`. */
  writeValueType(writer: ProtobufWriter, field: number, type: string, unit: string): void {
    writer.message(field, () => {
      writer.int(VALUE_TYPE.typeStrindex, this.string(type));
      writer.int(VALUE_TYPE.unitStrindex, this.string(unit));
    });
  }

  /** Writes every table; no index may be asked for afterwards. */
  write(writer: ProtobufWriter): void {
    writer.message(PROFILES_DICTIONARY.mappingTable, zeroValue);
    this.writeLocations(writer);
    this.writeFunctions(writer);
    writer.message(PROFILES_DICTIONARY.linkTable, zeroValue);
    writer.presentString(PROFILES_DICTIONARY.stringTable, "");
    for (const text of this.strings.entries) writer.presentString(PROFILES_DICTIONARY.stringTable, text);
    this.writeAttributes(writer);
    this.writeStacks(writer);
  }

  private function(frame: Frame): number {
    const nameStrindex = this.string(frame.function);
    const filenameStrindex = this.string(frame.file);
    const startLine = frame.line; // V8 names the line where the function starts, not the one that allocated.
    const key = `${nameStrindex}|${filenameStrindex}|${startLine}`;
    return this.functions.indexOf(key, () => ({ nameStrindex, filenameStrindex, startLine }));
  }

  private writeLocations(writer: ProtobufWriter): void {
    writer.message(PROFILES_DICTIONARY.locationTable, zeroValue);
    for (const location of this.locations.entries) {
      writer.message(PROFILES_DICTIONARY.locationTable, () => {
        writer.message(LOCATION.lines, () => {
          writer.int(LINE.functionIndex, location.functionIndex);
          writer.int(LINE.line, location.line);
          writer.int(LINE.column, location.column);
        });
        writer.packed(LOCATION.attributeIndices, [location.frameTypeIndex]);
      });
    }
  }

  private writeFunctions(writer: ProtobufWriter): void {
    writer.message(PROFILES_DICTIONARY.functionTable, zeroValue);
    for (const entry of this.functions.entries) {
      writer.message(PROFILES_DICTIONARY.functionTable, () => {
        writer.int(FUNCTION.nameStrindex, entry.nameStrindex);
        writer.int(FUNCTION.filenameStrindex, entry.filenameStrindex);
        writer.int(FUNCTION.startLine, entry.startLine);
      });
    }
  }

  private writeAttributes(writer: ProtobufWriter): void {
    writer.message(PROFILES_DICTIONARY.attributeTable, zeroValue);
    for (const attribute of this.attributes.entries) {
      writer.message(PROFILES_DICTIONARY.attributeTable, () => {
        writer.int(KEY_VALUE_AND_UNIT.keyStrindex, attribute.keyStrindex);
        writer.message(KEY_VALUE_AND_UNIT.value, () => writeAnyValue(writer, attribute.value));
      });
    }
  }

  private writeStacks(writer: ProtobufWriter): void {
    writer.message(PROFILES_DICTIONARY.stackTable, zeroValue);
    for (const locationIndices of this.stacks.entries) {
      writer.message(PROFILES_DICTIONARY.stackTable, () => writer.packed(STACK.locationIndices, locationIndices));
    }
  }
}

/** Every field of the message at its default: nothing to write. */
function zeroValue(): void {}
