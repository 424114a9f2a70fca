"""Rules of OTLP Profiles that a request must keep, on classes that were generated from opentelemetry-proto.

A rule is a function of a decoded ExportProfilesServiceRequest that yields one line for each place where it is broken.
Its name is the function's, with dashes. No rule relies on another one: each tolerates what the others forbid.
"""

from collections import Counter
from typing import Callable, Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

TABLES = ("mapping", "location", "function", "link", "string", "attribute", "stack")
TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8

Finding = Iterator[str]
Rule = Callable[[Message], Finding]


def table(request: Message, name: str):
    return getattr(request.dictionary, f"{name}_table")


def at(entries, index: int):
    """The entry, or None where the index is out of range (which index_in_range reports)."""
    return entries[index] if 0 <= index < len(entries) else None


def profiles(request: Message) -> Iterator[tuple[str, Message]]:
    for r, resource in enumerate(request.resource_profiles):
        for s, scope in enumerate(resource.scope_profiles):
            for p, profile in enumerate(scope.profiles):
                yield f"resource_profiles[{r}].scope_profiles[{s}].profiles[{p}]", profile


def samples(request: Message) -> Iterator[tuple[str, Message, Message]]:
    for path, profile in profiles(request):
        for i, sample in enumerate(profile.samples):
            yield f"{path}.samples[{i}]", profile, sample


def messages(message: Message, path: str = "request") -> Iterator[tuple[str, Message]]:
    """The message and all below it."""
    yield path, message
    for field, value in message.ListFields():
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            continue
        if field.is_repeated:
            for i, element in enumerate(value):
                yield from messages(element, f"{path}.{field.name}[{i}]")
        else:
            yield from messages(value, f"{path}.{field.name}")


def attribute_lists(request: Message) -> Iterator[tuple[str, list[int]]]:
    """Every `attribute_indices` of the request."""
    for path, profile in profiles(request):
        yield f"{path}.attribute_indices", list(profile.attribute_indices)
    for path, _, sample in samples(request):
        yield f"{path}.attribute_indices", list(sample.attribute_indices)
    for name in ("mapping", "location"):
        for i, entry in enumerate(table(request, name)):
            yield f"{name}_table[{i}].attribute_indices", list(entry.attribute_indices)


def references(request: Message) -> Iterator[tuple[str, str, int]]:
    """Every index in the request: (where it stands, table it points into, index)."""
    for path, profile in profiles(request):
        for field in ("sample_type", "period_type"):
            value_type = getattr(profile, field)
            yield f"{path}.{field}.type_strindex", "string", value_type.type_strindex
            yield f"{path}.{field}.unit_strindex", "string", value_type.unit_strindex
    for path, _, sample in samples(request):
        yield f"{path}.stack_index", "stack", sample.stack_index
        yield f"{path}.link_index", "link", sample.link_index
    for path, indices in attribute_lists(request):
        for i, index in enumerate(indices):
            yield f"{path}[{i}]", "attribute", index
    yield from dictionary_references(request)
    yield from common_references(request)


def dictionary_references(request: Message) -> Iterator[tuple[str, str, int]]:
    for i, entry in enumerate(table(request, "mapping")):
        yield f"mapping_table[{i}].filename_strindex", "string", entry.filename_strindex
    for i, entry in enumerate(table(request, "location")):
        yield f"location_table[{i}].mapping_index", "mapping", entry.mapping_index
        for j, line in enumerate(entry.lines):
            yield f"location_table[{i}].lines[{j}].function_index", "function", line.function_index
    for i, entry in enumerate(table(request, "function")):
        for field in ("name_strindex", "system_name_strindex", "filename_strindex"):
            yield f"function_table[{i}].{field}", "string", getattr(entry, field)
    for i, entry in enumerate(table(request, "attribute")):
        yield f"attribute_table[{i}].key_strindex", "string", entry.key_strindex
        yield f"attribute_table[{i}].unit_strindex", "string", entry.unit_strindex
    for i, entry in enumerate(table(request, "stack")):
        for j, index in enumerate(entry.location_indices):
            yield f"stack_table[{i}].location_indices[{j}]", "location", index


def common_references(request: Message) -> Iterator[tuple[str, str, int]]:
    """String indexes in KeyValue and AnyValue, wherever these stand; a Collector writes them."""
    for path, message in messages(request):
        if message.DESCRIPTOR.name == "KeyValue":
            yield f"{path}.key_strindex", "string", message.key_strindex
        elif message.DESCRIPTOR.name == "AnyValue" and message.WhichOneof("value") == "string_value_strindex":
            yield f"{path}.string_value_strindex", "string", message.string_value_strindex


def known_fields(request: Message) -> Finding:
    """No field that the specification does not know: a wrong field number shows here."""
    for path, message in messages(request):
        for field in UnknownFieldSet(message):
            yield f"{path}: field {field.field_number}"


def has_resource_profiles(request: Message) -> Finding:
    """At least one resource_profiles."""
    if len(request.resource_profiles) == 0:
        yield "resource_profiles: empty"


def has_scope_profiles(request: Message) -> Finding:
    """Each resource_profiles has at least one scope_profiles."""
    for r, resource in enumerate(request.resource_profiles):
        if len(resource.scope_profiles) == 0:
            yield f"resource_profiles[{r}].scope_profiles: empty"


def has_profiles(request: Message) -> Finding:
    """Each scope_profiles has at least one profile."""
    for r, resource in enumerate(request.resource_profiles):
        for s, scope in enumerate(resource.scope_profiles):
            if len(scope.profiles) == 0:
                yield f"resource_profiles[{r}].scope_profiles[{s}].profiles: empty"


def zero_value_first(request: Message) -> Finding:
    """Every table of the dictionary has the zero value at index 0."""
    for name in TABLES:
        entries = table(request, name)
        if len(entries) == 0:
            yield f"{name}_table: empty"
        elif not is_zero_value(entries[0]):
            yield f"{name}_table[0]: {str(entries[0])!r}"


def is_zero_value(entry: Message | str) -> bool:
    """An attribute may hold an AnyValue, as long as that has no value."""
    if isinstance(entry, str):
        return entry == ""
    if entry.DESCRIPTOR.name == "KeyValueAndUnit" and entry.value.WhichOneof("value") is None:
        return entry.key_strindex == 0 and entry.unit_strindex == 0
    return entry.ByteSize() == 0


def index_in_range(request: Message) -> Finding:
    """Every index is >= 0 and within its table."""
    lengths = {name: len(table(request, name)) for name in TABLES}
    for path, name, index in references(request):
        if not 0 <= index < lengths[name]:
            yield f"{path}: {index} is outside of {name}_table (0 to {lengths[name] - 1})"


def attribute_index_not_zero(request: Message) -> Finding:
    """No attribute_indices names index 0, which is no attribute."""
    for path, indices in attribute_lists(request):
        if 0 in indices:
            yield f"{path}: names index 0"


def attribute_keys_unique(request: Message) -> Finding:
    """No key twice in one attribute_indices."""
    for path, indices in attribute_lists(request):
        entries = [at(table(request, "attribute"), index) for index in indices if index != 0]
        keys = Counter(at(table(request, "string"), entry.key_strindex) for entry in entries if entry is not None)
        for key, count in keys.items():
            if count > 1:
                yield f"{path}: {key!r} {count} times"


def one_value_per_sample(request: Message) -> Finding:
    """A sample without timestamps has exactly one value, one with timestamps none or as many."""
    for path, _, sample in samples(request):
        values, timestamps = len(sample.values), len(sample.timestamps_unix_nano)
        if timestamps == 0 and values != 1:
            yield f"{path}: {values} values"
        elif timestamps > 0 and values not in (0, timestamps):
            yield f"{path}: {values} values, {timestamps} timestamps"


def same_sample_shape(request: Message) -> Finding:
    """All samples of a profile have values, or timestamps, or both."""
    for path, profile in profiles(request):
        shapes = [(len(sample.values) > 0, len(sample.timestamps_unix_nano) > 0) for sample in profile.samples]
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                yield f"{path}.samples[{i}]: not the shape of the first sample"


def timestamps_in_profile(request: Message) -> Finding:
    """Timestamps lie in [time_unix_nano, time_unix_nano + duration_nano)."""
    for path, profile, sample in samples(request):
        end = profile.time_unix_nano + profile.duration_nano
        for timestamp in sample.timestamps_unix_nano:
            if not profile.time_unix_nano <= timestamp < end:
                yield f"{path}: {timestamp} is outside of [{profile.time_unix_nano}, {end})"


def positions_not_negative(request: Message) -> Finding:
    """line, column and start_line are >= 0."""
    for i, location in enumerate(table(request, "location")):
        for j, line in enumerate(location.lines):
            if line.line < 0 or line.column < 0:
                yield f"location_table[{i}].lines[{j}]: {line.line}:{line.column}"
    for i, function in enumerate(table(request, "function")):
        if function.start_line < 0:
            yield f"function_table[{i}].start_line: {function.start_line}"


def mapping_range(request: Message) -> Finding:
    """A mapping has memory_start < memory_limit, or both are 0."""
    for i, mapping in enumerate(table(request, "mapping")):
        start, limit = mapping.memory_start, mapping.memory_limit
        if (start, limit) != (0, 0) and start >= limit:
            yield f"mapping_table[{i}]: {start:#x} to {limit:#x}"


def link_ids(request: Message) -> Finding:
    """Links after index 0 have a trace_id of 16 bytes and a span_id of 8."""
    for i, link in list(enumerate(table(request, "link")))[1:]:
        if len(link.trace_id) != TRACE_ID_BYTES or len(link.span_id) != SPAN_ID_BYTES:
            yield f"link_table[{i}]: trace_id of {len(link.trace_id)} bytes, span_id of {len(link.span_id)}"


def no_duplicates(request: Message) -> Finding:
    """No table holds an entry twice; the order of attribute_indices does not count."""
    for name in TABLES:
        seen: dict[object, int] = {}
        for i, entry in enumerate(table(request, name)):
            first = seen.setdefault(identity(entry), i)
            if first != i:
                yield f"{name}_table[{i}]: the same as index {first}"


def identity(entry: Message | str) -> object:
    if isinstance(entry, str):
        return entry
    if "attribute_indices" not in entry.DESCRIPTOR.fields_by_name:
        return entry.SerializeToString(deterministic=True)
    rest = type(entry)()
    rest.CopyFrom(entry)
    rest.ClearField("attribute_indices")
    return rest.SerializeToString(deterministic=True), frozenset(entry.attribute_indices)


def no_duplicate_samples(request: Message) -> Finding:
    """No two samples of a profile have the same stack, attribute set and link."""
    for path, profile in profiles(request):
        seen: dict[object, int] = {}
        for i, sample in enumerate(profile.samples):
            key = (sample.stack_index, frozenset(sample.attribute_indices), sample.link_index)
            first = seen.setdefault(key, i)
            if first != i:
                yield f"{path}.samples[{i}]: the same as sample {first}"


def no_orphans(request: Message) -> Finding:
    """Every entry of a table but index 0 is referred to."""
    used: dict[str, set[int]] = {name: {0} for name in TABLES}
    for _, name, index in references(request):
        used[name].add(index)
    for name in TABLES:
        for i in range(len(table(request, name))):
            if i not in used[name]:
                yield f"{name}_table[{i}]: nothing refers to it"


RULES: tuple[Rule, ...] = (
    known_fields,
    has_resource_profiles,
    has_scope_profiles,
    has_profiles,
    zero_value_first,
    index_in_range,
    attribute_index_not_zero,
    attribute_keys_unique,
    one_value_per_sample,
    same_sample_shape,
    timestamps_in_profile,
    positions_not_negative,
    mapping_range,
    link_ids,
    no_duplicates,
    no_duplicate_samples,
    no_orphans,
)
