"""Says what OTLP bodies hold, every index resolved: python decode.py [--framed] SIGNAL FILE...

SIGNAL is profiles, metrics or logs. A FILE is one uncompressed request body, or with --framed what a Collector's file
exporter writes: [4 bytes big endian length][message] again and again. Prints one JSON object for each message.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import ExportProfilesServiceRequest

LENGTH_BYTES = 4
STACK_HASH_DIGITS = 24


class Profiles:
    """One profiles request; a Collector moves the strings of resource and scope into the string table."""

    def __init__(self, request: Message):
        self.request = request
        self.dictionary = request.dictionary

    def text(self, index: int) -> str:
        return self.dictionary.string_table[index]

    def value(self, value: Message) -> object:
        """{kind: value}, so that 1 and 1.0 and "1" stay different."""
        kind = value.WhichOneof("value")
        if kind == "string_value_strindex":
            return {"string_value": self.text(value.string_value_strindex)}
        if kind == "array_value":
            return {kind: [self.value(element) for element in value.array_value.values]}
        if kind == "kvlist_value":
            return {kind: self.key_values(value.kvlist_value.values)}
        return {} if kind is None else {kind: getattr(value, kind)}

    def key_values(self, entries) -> dict[str, object]:
        found = {self.text(entry.key_strindex) if entry.key_strindex != 0 else entry.key: entry for entry in entries}
        assert len(found) == len(entries), "a key twice"
        return {key: self.value(entry.value) for key, entry in sorted(found.items())}

    def attributes(self, indices) -> dict[str, object]:
        entries = [self.dictionary.attribute_table[index] for index in indices]
        found = {self.text(entry.key_strindex): entry for entry in entries}
        assert len(found) == len(entries), "a key twice"
        return {key: self.value(entry.value) for key, entry in sorted(found.items())}

    def frame(self, location_index: int) -> str:
        location = self.dictionary.location_table[location_index]
        lines = []
        for line in location.lines:
            function = self.dictionary.function_table[line.function_index]
            names = (self.text(function.name_strindex), self.text(function.filename_strindex))
            lines.append("\n".join((*names, str(line.line), str(line.column))))
        return "\n".join(lines)

    def value_type(self, message: Message) -> list[str]:
        return [self.text(message.type_strindex), self.text(message.unit_strindex)]

    def sample(self, sample: Message) -> dict[str, object]:
        frames = [self.frame(index) for index in self.dictionary.stack_table[sample.stack_index].location_indices]
        return {
            "attributes": self.attributes(sample.attribute_indices),
            "site": frames[0],
            "stack": hashlib.sha256("\n".join(frames).encode()).hexdigest()[:STACK_HASH_DIGITS],
            "values": list(sample.values),
        }

    def profile(self, profile: Message) -> dict[str, object]:
        return {
            "sampleType": self.value_type(profile.sample_type),
            "periodType": self.value_type(profile.period_type),
            "period": profile.period,
            "timeUnixNano": str(profile.time_unix_nano),
            "endUnixNano": str(profile.time_unix_nano + profile.duration_nano),
            "profileId": profile.profile_id.hex(),
            "attributes": self.attributes(profile.attribute_indices),
            "samples": [self.sample(sample) for sample in profile.samples],
        }

    def scope(self, scope_profiles: Message) -> dict[str, object]:
        scope = scope_profiles.scope
        return {
            "name": scope.name,
            "version": scope.version,
            "attributes": self.key_values(scope.attributes),
            "profiles": [self.profile(profile) for profile in scope_profiles.profiles],
        }

    def resolved(self) -> dict[str, object]:
        return {
            "resources": [
                {
                    "schemaUrl": resource_profiles.schema_url,
                    "attributes": self.key_values(resource_profiles.resource.attributes),
                    "scopes": [self.scope(scope_profiles) for scope_profiles in resource_profiles.scope_profiles],
                }
                for resource_profiles in self.request.resource_profiles
            ]
        }


READERS = {
    "profiles": lambda body: Profiles(ExportProfilesServiceRequest.FromString(body)).resolved(),
    "metrics": lambda body: MessageToDict(ExportMetricsServiceRequest.FromString(body)),
    "logs": lambda body: MessageToDict(ExportLogsServiceRequest.FromString(body)),
}


def framed(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        end = at + LENGTH_BYTES + int.from_bytes(content[at : at + LENGTH_BYTES], "big")
        assert end <= len(content), "the last message is cut"
        yield content[at + LENGTH_BYTES : end]
        at = end


def main() -> None:
    parser = argparse.ArgumentParser(description="Says what OTLP bodies hold.")
    parser.add_argument("signal", choices=list(READERS))
    parser.add_argument("--framed", action="store_true", help="the files are of a Collector's file exporter")
    parser.add_argument("file", nargs="*", type=Path)
    options = parser.parse_args()
    for file in options.file:
        content = file.read_bytes()
        for body in framed(content) if options.framed else [content]:
            print(json.dumps(READERS[options.signal](body), ensure_ascii=True))


if __name__ == "__main__":
    main()
