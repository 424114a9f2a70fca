/**
 * Runs on the agent's worker thread. Owns the encoding of OpenTelemetry attributes with inline keys and values
 * (opentelemetry.proto.common.v1). Pure.
 */
import { ANY_VALUE, ARRAY_VALUE, KEY_VALUE } from "./otlp-profiles-fields";
import type { ProtobufWriter } from "./protobuf-writer";

export type OtlpScalar = string | number | boolean;
export type OtlpAttributes = Readonly<Record<string, OtlpScalar | readonly OtlpScalar[]>>;

/** Writes a `repeated KeyValue`; an attribute without a name, which the specification forbids, is left out. */
export function writeAttributes(writer: ProtobufWriter, field: number, attributes: OtlpAttributes): void {
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "") continue;
    writer.message(field, () => {
      writer.string(KEY_VALUE.key, key);
      writer.message(KEY_VALUE.value, () => writeAnyValue(writer, value));
    });
  }
}

/** Writes the member of an `AnyValue`. Whole numbers become int64, all others double. */
export function writeAnyValue(writer: ProtobufWriter, value: OtlpScalar | readonly OtlpScalar[]): void {
  if (typeof value === "string") writer.presentString(ANY_VALUE.stringValue, value);
  else if (typeof value === "boolean") writer.presentBool(ANY_VALUE.boolValue, value);
  else if (typeof value !== "number") writeArray(writer, value);
  else if (Number.isSafeInteger(value)) writer.presentInt(ANY_VALUE.intValue, value);
  else writer.presentDouble(ANY_VALUE.doubleValue, value);
}

function writeArray(writer: ProtobufWriter, elements: readonly OtlpScalar[]): void {
  writer.message(ANY_VALUE.arrayValue, () => {
    for (const element of elements) writer.message(ARRAY_VALUE.values, () => writeAnyValue(writer, element));
  });
}

/** Well-formed Unicode of bounded length: lone surrogates become U+FFFD, a longer text ends in an ellipsis. */
export function boundedText(text: string, maxLength: number): string {
  return (text.length > maxLength ? `${cutText(text, maxLength - 1)}…` : text).replace(/\p{Surrogate}/gu, "\ufffd");
}

/** Not between the halves of a surrogate pair. */
function cutText(text: string, length: number): string {
  return text.slice(0, text.codePointAt(length - 1) === text.charCodeAt(length - 1) ? length : length - 1);
}
