/** Reads OTLP metrics and logs in protobuf's JSON form, as decode.py prints them. */
"use strict";

/** Plain values of an AnyValue; null where it has none. 64-bit numbers are text in this form. */
function plainValue(value) {
  if (value === undefined) return null;
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plainValue);
  if (value.kvlistValue !== undefined) return plainAttributes(value.kvlistValue.values ?? []);
  if (value.intValue !== undefined) return Number(value.intValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? null;
}

/** @throws when a key comes twice. */
function plainAttributes(keyValues = []) {
  const plain = {};
  for (const { key, value } of keyValues) {
    if (key in plain) throw new Error(`${key} comes twice`);
    plain[key] = plainValue(value);
  }
  return plain;
}

const bodyOfFinding = (record) => plainValue(record.body);

function pointsOf(metric) {
  const data = metric.sum ?? metric.gauge ?? metric.histogram;
  return (data.dataPoints ?? []).map((point) => ({
    attributes: plainAttributes(point.attributes),
    value: Number(point.asDouble ?? point.asInt ?? point.sum ?? 0),
  }));
}

/** @returns name => for each export that had it, its points. */
function metricsByName(messages) {
  const found = new Map();
  for (const { resourceMetrics = [] } of messages)
    for (const { scopeMetrics = [] } of resourceMetrics)
      for (const { metrics = [] } of scopeMetrics)
        for (const metric of metrics) found.set(metric.name, [...(found.get(metric.name) ?? []), pointsOf(metric)]);
  return found;
}

module.exports = { bodyOfFinding, metricsByName, plainAttributes };
