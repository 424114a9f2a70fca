"""Breaks a good request body in every way the rules forbid: python break_body.py GOOD FOLDER

Writes one body per case into FOLDER and prints for each a line of JSON: file, rule, what was done, which other rules the
same change cannot but break, and whether the rule is one of the agent's own.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from google.protobuf.message import Message
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import ExportProfilesServiceRequest

TABLES = ("mapping", "location", "function", "link", "string", "attribute", "stack")
UNKNOWN_FIELD = b"\xc0\x3e\x01"  # field 1000, varint 1


@dataclass(frozen=True)
class Case:
    rule: str
    what: str
    change: Callable[[Message], Message | bytes | None]
    also: tuple[str, ...] = ()


CASES: list[Case] = []
AGENT_CASES: list[Case] = []


def case(rule: str, what: str, *also: str, agent: bool = False):
    def register(change):
        (AGENT_CASES if agent else CASES).append(Case(rule, what, change, also))
        return change

    return register


def table(request: Message, name: str):
    return getattr(request.dictionary, f"{name}_table")


def profile(request: Message, index: int = 0) -> Message:
    return request.resource_profiles[0].scope_profiles[0].profiles[index]


def scope(request: Message) -> Message:
    return request.resource_profiles[0].scope_profiles[0].scope


def new_string(request: Message, text: str) -> int:
    table(request, "string").append(text)
    return len(table(request, "string")) - 1


def only_zero_values(request: Message) -> None:
    for name in TABLES:
        del table(request, name)[1:]


def attribute_index(request: Message, key: str, without: int = -1) -> int:
    """An attribute of this key that is not the given one."""
    strings = table(request, "string")
    for index, entry in enumerate(table(request, "attribute")):
        if strings[entry.key_strindex] == key and index != without:
            return index
    raise ValueError(f"the good body has no second {key}")


# decodable, known-fields


@case("decodable", "cut off")
def _(request):
    return request.SerializeToString()[:-1]


@case("decodable", "a string that is not UTF-8")
def _(request):
    new_string(request, "@@@@")
    return request.SerializeToString().replace(b"@@@@", b"@\xed\xa0\x80")


@case("known-fields", "an unknown field in the request")
def _(request):
    return request.SerializeToString() + UNKNOWN_FIELD


@case("known-fields", "an unknown field in a sample")
def _(request):
    profile(request).samples[0].MergeFromString(UNKNOWN_FIELD)


# has-*


@case("has-resource-profiles", "none")
def _(request):
    del request.resource_profiles[:]
    only_zero_values(request)


@case("has-scope-profiles", "none")
def _(request):
    del request.resource_profiles[0].scope_profiles[:]
    only_zero_values(request)


@case("has-profiles", "none")
def _(request):
    del request.resource_profiles[0].scope_profiles[0].profiles[:]
    only_zero_values(request)


# zero-value-first


@case("zero-value-first", "no dictionary", "index-in-range")
def _(request):
    request.ClearField("dictionary")


@case("zero-value-first", "no link_table", "index-in-range")
def _(request):
    del table(request, "link")[:]


@case("zero-value-first", "no mapping_table", "index-in-range")
def _(request):
    del table(request, "mapping")[:]


@case("zero-value-first", "mapping_table[0]")
def _(request):
    table(request, "mapping")[0].memory_limit = 1


@case("zero-value-first", "location_table[0]")
def _(request):
    table(request, "location")[0].address = 1


@case("zero-value-first", "function_table[0]")
def _(request):
    table(request, "function")[0].start_line = 1_000_000


@case("zero-value-first", "link_table[0]")
def _(request):
    table(request, "link")[0].trace_id = bytes(range(16))


@case("zero-value-first", "string_table[0]")
def _(request):
    table(request, "string")[0] = "not empty"


@case("zero-value-first", "attribute_table[0] with a key")
def _(request):
    table(request, "attribute")[0].key_strindex = 1


@case("zero-value-first", "attribute_table[0] with a value")
def _(request):
    table(request, "attribute")[0].value.string_value = ""


@case("zero-value-first", "stack_table[0]")
def _(request):
    table(request, "stack")[0].location_indices.append(1)


# index-in-range


def out_of_range(what: str, table_name: str, put: Callable[[Message, int], None]) -> None:
    """One past the end, and -1; the entry that was meant may be an orphan then."""
    ends = {"one past the end": lambda request: len(table(request, table_name)), "negative": lambda request: -1}
    for words, index_of in ends.items():

        def change(request, index_of=index_of):
            put(request, index_of(request))

        CASES.append(Case("index-in-range", f"{what}: {words}", change, ("no-orphans",)))


def put_in_new_mapping(request: Message, field: str, index: int) -> None:
    mapping = table(request, "mapping").add(memory_limit=1)
    table(request, "location")[1].mapping_index = len(table(request, "mapping")) - 1
    if field == "filename_strindex":
        mapping.filename_strindex = index
    else:
        mapping.attribute_indices.append(index)


out_of_range("stack_index", "stack", lambda request, i: setattr(profile(request).samples[0], "stack_index", i))
out_of_range("link_index", "link", lambda request, i: setattr(profile(request).samples[0], "link_index", i))
out_of_range("attribute of a sample", "attribute", lambda r, i: profile(r).samples[0].attribute_indices.append(i))
out_of_range("attribute of a profile", "attribute", lambda r, i: profile(r).attribute_indices.append(i))
out_of_range("attribute of a location", "attribute", lambda r, i: table(r, "location")[1].attribute_indices.append(i))
out_of_range("attribute of a mapping", "attribute", lambda r, i: put_in_new_mapping(r, "attribute_indices", i))
out_of_range("filename of a mapping", "string", lambda r, i: put_in_new_mapping(r, "filename_strindex", i))
out_of_range("mapping of a location", "mapping", lambda r, i: setattr(table(r, "location")[1], "mapping_index", i))
out_of_range("function", "function", lambda r, i: setattr(table(r, "location")[1].lines[0], "function_index", i))
out_of_range("location", "location", lambda r, i: table(r, "stack")[1].location_indices.append(i))
for string_field in ("name_strindex", "system_name_strindex", "filename_strindex"):
    out_of_range(
        f"{string_field} of a function",
        "string",
        lambda r, i, field=string_field: setattr(table(r, "function")[1], field, i),
    )
out_of_range("key of an attribute", "string", lambda r, i: setattr(table(r, "attribute")[1], "key_strindex", i))
out_of_range("unit of an attribute", "string", lambda r, i: setattr(table(r, "attribute")[1], "unit_strindex", i))
for type_field in ("sample_type", "period_type"):
    for string_field in ("type_strindex", "unit_strindex"):
        out_of_range(
            f"{type_field}.{string_field}",
            "string",
            lambda r, i, outer=type_field, inner=string_field: setattr(getattr(profile(r, 1), outer), inner, i),
        )
out_of_range("key of a resource attribute", "string", lambda r, i: r.resource_profiles[0].resource.attributes.add(key_strindex=i))


@case("index-in-range", "string value of a scope attribute")
def _(request):
    scope(request).attributes.add(key="x").value.string_value_strindex = 1_000_000


# attributes


@case("attribute-index-not-zero", "in a sample")
def _(request):
    profile(request).samples[0].attribute_indices.append(0)


@case("attribute-index-not-zero", "in a location")
def _(request):
    table(request, "location")[1].attribute_indices.append(0)


@case("attribute-keys-unique", "two routes on a sample")
def _(request):
    indices = profile(request).samples[0].attribute_indices
    indices.append(attribute_index(request, "http.route", without=indices[0]))


@case("attribute-keys-unique", "one attribute twice on a location")
def _(request):
    indices = table(request, "location")[1].attribute_indices
    indices.append(indices[0])


# values and timestamps


@case("one-value-per-sample", "two values")
def _(request):
    profile(request).samples[0].values.append(1)


@case("one-value-per-sample", "no values in the whole profile")
def _(request):
    for sample in profile(request).samples:
        del sample.values[:]


@case("one-value-per-sample", "two timestamps for one value")
def _(request):
    for sample in profile(request).samples:
        sample.timestamps_unix_nano.extend([profile(request).time_unix_nano] * 2)


@case("same-sample-shape", "one sample with timestamps alone")
def _(request):
    sample = profile(request).samples[1]
    del sample.values[:]
    sample.timestamps_unix_nano.append(profile(request).time_unix_nano)


@case("timestamps-in-profile", "at the end")
def _(request):
    target = profile(request)
    for sample in target.samples:
        sample.timestamps_unix_nano.append(target.time_unix_nano + target.duration_nano)


@case("timestamps-in-profile", "before the start")
def _(request):
    for sample in profile(request).samples:
        sample.timestamps_unix_nano.append(profile(request).time_unix_nano - 1)


# numbers


@case("positions-not-negative", "line")
def _(request):
    table(request, "location")[1].lines[0].line = -1


@case("positions-not-negative", "column")
def _(request):
    table(request, "location")[1].lines[0].column = -1


@case("positions-not-negative", "start_line")
def _(request):
    table(request, "function")[1].start_line = -1


def use_mapping(request: Message, **fields) -> None:
    table(request, "mapping").add(**fields)
    table(request, "stack")[1].location_indices.append(len(table(request, "location")))
    location = table(request, "location").add()
    location.CopyFrom(table(request, "location")[1])
    location.mapping_index = len(table(request, "mapping")) - 1


@case("mapping-range", "empty")
def _(request):
    use_mapping(request, memory_start=5, memory_limit=5)


@case("mapping-range", "backwards")
def _(request):
    use_mapping(request, memory_start=5, memory_limit=4)


def use_link(request: Message, sample: int, trace_id: bytes, span_id: bytes) -> None:
    table(request, "link").add(trace_id=trace_id, span_id=span_id)
    profile(request).samples[sample].link_index = len(table(request, "link")) - 1


@case("link-ids", "trace_id of 15 bytes")
def _(request):
    use_link(request, 0, bytes(15), bytes(8))


@case("link-ids", "span_id of 9 bytes")
def _(request):
    use_link(request, 0, bytes(16), bytes(9))


# no-duplicates


@case("no-duplicates", "string")
def _(request):
    table(request, "function")[1].system_name_strindex = new_string(request, table(request, "string")[1])


@case("no-duplicates", "string: empty at another index")
def _(request):
    table(request, "function")[1].system_name_strindex = new_string(request, "")


@case("no-duplicates", "mapping")
def _(request):
    use_mapping(request, memory_start=4, memory_limit=5)
    use_mapping(request, memory_start=4, memory_limit=5)


@case("no-duplicates", "location")
def _(request):
    table(request, "stack")[1].location_indices.append(len(table(request, "location")))
    table(request, "location").add().CopyFrom(table(request, "location")[1])


@case("no-duplicates", "location with its attributes in another order")
def _(request):
    locations = table(request, "location")
    route = attribute_index(request, "http.route")
    locations[1].attribute_indices.append(route)
    table(request, "stack")[1].location_indices.append(len(locations))
    twin = locations.add()
    twin.CopyFrom(locations[1])
    twin.attribute_indices[:] = reversed(locations[1].attribute_indices)


@case("no-duplicates", "function")
def _(request):
    functions = table(request, "function")
    table(request, "location")[1].lines.add(function_index=len(functions))
    functions.add().CopyFrom(functions[1])


@case("no-duplicates", "link")
def _(request):
    for sample in (0, 1):
        use_link(request, sample, bytes(16), bytes(8))


@case("no-duplicates", "attribute")
def _(request):
    attributes = table(request, "attribute")
    profile(request).attribute_indices.append(len(attributes))
    attributes.add().CopyFrom(attributes[1])


@case("no-duplicates", "stack")
def _(request):
    stacks = table(request, "stack")
    samples = profile(request).samples
    twin = samples.add()
    twin.CopyFrom(samples[0])
    twin.stack_index = len(stacks)
    stacks.add().CopyFrom(stacks[samples[0].stack_index])


@case("no-duplicate-samples", "a copy")
def _(request):
    samples = profile(request).samples
    samples.add().CopyFrom(samples[0])


@case("no-duplicate-samples", "a copy with its attributes in another order")
def _(request):
    samples = profile(request, 1).samples
    twin = samples.add()
    twin.CopyFrom(samples[0])
    twin.attribute_indices[:] = reversed(samples[0].attribute_indices)


# no-orphans


@case("no-orphans", "mapping")
def _(request):
    table(request, "mapping").add(memory_start=4, memory_limit=5)


@case("no-orphans", "location")
def _(request):
    table(request, "location").add(address=1)


@case("no-orphans", "function")
def _(request):
    table(request, "function").add(start_line=1_000_000)


@case("no-orphans", "link")
def _(request):
    table(request, "link").add(trace_id=bytes(16), span_id=bytes(8))


@case("no-orphans", "string")
def _(request):
    new_string(request, "nobody names this")


@case("no-orphans", "attribute")
def _(request):
    table(request, "attribute").add(key_strindex=1).value.bool_value = True


@case("no-orphans", "stack")
def _(request):
    table(request, "stack").add(location_indices=[1] * 300)


# The agent's own rules


@case("inline-strings", "key in the string table", agent=True)
def _(request):
    request.resource_profiles[0].resource.attributes.add(key_strindex=1).value.bool_value = True


@case("inline-strings", "value in the string table", agent=True)
def _(request):
    scope(request).attributes.add(key="x").value.string_value_strindex = 1


@case("inline-strings", "a key twice", agent=True)
def _(request):
    attributes = request.resource_profiles[0].resource.attributes
    attributes.add().CopyFrom(attributes[0])


@case("scope-identity", "no version", agent=True)
def _(request):
    scope(request).version = ""


@case("scope-identity", "no default sample type", agent=True)
def _(request):
    del scope(request).attributes[:]


@case("live-heap-profiles", "in the other order", agent=True)
def _(request):
    first, second = profile(request, 0).sample_type, profile(request, 1).sample_type
    types = (first.type_strindex, first.unit_strindex)
    first.CopyFrom(second)
    second.type_strindex, second.unit_strindex = types


@case("live-heap-profiles", "period 0", agent=True)
def _(request):
    profile(request, 1).period = 0


@case("live-heap-profiles", "no time", agent=True)
def _(request):
    profile(request).time_unix_nano = 0


@case("same-samples-in-both", "one missing", agent=True)
def _(request):
    del profile(request, 1).samples[-1]


@case("profile-ids", "15 bytes", agent=True)
def _(request):
    profile(request).profile_id = profile(request).profile_id[:15]


@case("profile-ids", "zero", agent=True)
def _(request):
    profile(request).profile_id = bytes(16)


@case("profile-ids", "the same twice", agent=True)
def _(request):
    profile(request).profile_id = profile(request, 1).profile_id


@case("v8-frames", "no frame type", agent=True)
def _(request):
    del table(request, "location")[1].attribute_indices[:]


@case("v8-frames", "two lines", agent=True)
def _(request):
    table(request, "location")[1].lines.add(function_index=1)


@case("sample-attributes", "no route", "no-orphans", agent=True)
def _(request):
    for index in (0, 1):
        indices = profile(request, index).samples[0].attribute_indices
        strings, entries = table(request, "string"), table(request, "attribute")
        indices[:] = [i for i in indices if strings[entries[i].key_strindex] != "http.route"]


@case("sample-attributes", "a value of 0", agent=True)
def _(request):
    profile(request).samples[0].values[0] = 0


@case("request-limits", "16,001 samples", "no-duplicate-samples", "same-samples-in-both", agent=True)
def _(request):
    samples = profile(request).samples
    samples.extend([samples[0]] * (16_001 - len(samples) - len(profile(request, 1).samples)))


@case("request-limits", "a stack of 1,001 frames", agent=True)
def _(request):
    table(request, "stack")[1].location_indices[:] = list(table(request, "stack")[1].location_indices) + [1] * 1_000


@case("request-limits", "more than 4 MiB", agent=True)
def _(request):
    table(request, "function")[1].system_name_strindex = new_string(request, "x" * 4 * 1024 * 1024)


def main(good: Path, folder: Path) -> None:
    cases = [(False, entry) for entry in CASES] + [(True, entry) for entry in AGENT_CASES]
    for number, (is_agent, entry) in enumerate(cases):
        request = ExportProfilesServiceRequest.FromString(good.read_bytes())
        changed = entry.change(request)
        file = folder / f"{number:03}-{entry.rule}.pb"
        file.write_bytes(changed if isinstance(changed, bytes) else request.SerializeToString())
        line = {"file": str(file), "rule": entry.rule, "what": entry.what, "also": entry.also, "agent": is_agent}
        print(json.dumps(line))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
