"""What leak-agent promises of its own requests, beyond conformance: see conformance_rules.py for what a rule is.

Not for what a Collector wrote: it moves the strings of resource and scope into the string table.
"""

from google.protobuf.message import Message

from conformance_rules import Finding, Rule, at, profiles, samples, table

MAX_SAMPLES = 16_000
MAX_BYTES = 4 * 1024 * 1024
MAX_FRAMES = 1_000
SAMPLE_TYPES = [("inuse_space", "bytes"), ("inuse_objects", "count")]
PERIOD_TYPE = ("space", "bytes")
PROFILE_ID_BYTES = 16


def text(request: Message, index: int) -> str | None:
    return at(table(request, "string"), index)


def value_type(request: Message, message: Message) -> tuple[str | None, str | None]:
    return text(request, message.type_strindex), text(request, message.unit_strindex)


def attributes(request: Message, indices) -> dict[str | None, Message]:
    entries = [at(table(request, "attribute"), index) for index in indices]
    return {text(request, entry.key_strindex): entry.value for entry in entries if entry is not None}


def inline_strings(request: Message) -> Finding:
    """Resource and scope attributes have inline, unique, non-empty keys and inline values."""
    for r, resource_profiles in enumerate(request.resource_profiles):
        path = f"resource_profiles[{r}]"
        yield from check_inline(f"{path}.resource", resource_profiles.resource.attributes)
        for s, scope_profiles in enumerate(resource_profiles.scope_profiles):
            yield from check_inline(f"{path}.scope_profiles[{s}].scope", scope_profiles.scope.attributes)


def check_inline(path: str, key_values) -> Finding:
    keys = [entry.key for entry in key_values]
    if len(set(keys)) != len(keys):
        yield f"{path}: a key twice"
    for i, entry in enumerate(key_values):
        if entry.key == "" or entry.key_strindex != 0 or entry.value.WhichOneof("value") == "string_value_strindex":
            yield f"{path}.attributes[{i}]: not inline"


def scope_identity(request: Message) -> Finding:
    """The scope is leak-agent, with a version, and says which profile to show first."""
    for r, resource_profiles in enumerate(request.resource_profiles):
        for s, scope_profiles in enumerate(resource_profiles.scope_profiles):
            scope = scope_profiles.scope
            keys = {entry.key: entry.value.string_value for entry in scope.attributes}
            if scope.name != "leak-agent" or scope.version == "":
                yield f"resource_profiles[{r}].scope_profiles[{s}].scope: {scope.name!r} {scope.version!r}"
            if keys.get("pprof.scope.default_sample_type") != "inuse_space":
                yield f"resource_profiles[{r}].scope_profiles[{s}].scope: no pprof.scope.default_sample_type"


def live_heap_profiles(request: Message) -> Finding:
    """A scope has the two profiles of the live heap, in their order, with a period of space in bytes."""
    for r, resource_profiles in enumerate(request.resource_profiles):
        for s, scope_profiles in enumerate(resource_profiles.scope_profiles):
            types = [value_type(request, profile.sample_type) for profile in scope_profiles.profiles]
            if types != SAMPLE_TYPES:
                yield f"resource_profiles[{r}].scope_profiles[{s}]: {types}"
    for path, profile in profiles(request):
        if value_type(request, profile.period_type) != PERIOD_TYPE or profile.period <= 0:
            yield f"{path}.period: {profile.period} of {value_type(request, profile.period_type)}"
        if profile.time_unix_nano == 0:
            yield f"{path}.time_unix_nano: 0"


def same_samples_in_both(request: Message) -> Finding:
    """The profiles of a scope have the same samples."""
    for r, resource_profiles in enumerate(request.resource_profiles):
        for s, scope_profiles in enumerate(resource_profiles.scope_profiles):
            identities = [
                [(sample.stack_index, frozenset(sample.attribute_indices)) for sample in profile.samples]
                for profile in scope_profiles.profiles
            ]
            if any(sample_list != identities[0] for sample_list in identities):
                yield f"resource_profiles[{r}].scope_profiles[{s}]: the profiles' samples differ"


def profile_ids(request: Message) -> Finding:
    """A profile_id has 16 bytes, is not zero, and belongs to one profile."""
    seen = set()
    for path, profile in profiles(request):
        identifier = profile.profile_id
        if len(identifier) != PROFILE_ID_BYTES or not any(identifier) or identifier in seen:
            yield f"{path}.profile_id: {identifier.hex()}"
        seen.add(identifier)


def v8_frames(request: Message) -> Finding:
    """A location is one JavaScript function: one line, no mapping, no address, profile.frame.type v8js."""
    for i, location in list(enumerate(table(request, "location")))[1:]:
        frame_type = attributes(request, location.attribute_indices).get("profile.frame.type")
        if frame_type is None or frame_type.string_value != "v8js":
            yield f"location_table[{i}]: no profile.frame.type v8js"
        if len(location.lines) != 1 or location.mapping_index != 0 or location.address != 0:
            yield f"location_table[{i}]: not one line without mapping and address"


def sample_attributes(request: Message) -> Finding:
    """Every sample says whose it is and in which thread, and has a stack and a value above 0."""
    for path, _, sample in samples(request):
        found = attributes(request, sample.attribute_indices)
        route, thread = found.get("http.route"), found.get("thread.id")
        if route is None or route.WhichOneof("value") != "string_value":
            yield f"{path}: no http.route"
        if thread is None or thread.WhichOneof("value") != "int_value":
            yield f"{path}: no thread.id"
        if sample.stack_index == 0 or any(value <= 0 for value in sample.values):
            yield f"{path}: no stack, or a value of 0 or less"


def request_limits(request: Message) -> Finding:
    """At most 16,000 samples, 4 MiB, and 1,000 frames in a stack."""
    count = sum(1 for _ in samples(request))
    if count > MAX_SAMPLES:
        yield f"request: {count} samples"
    if request.ByteSize() > MAX_BYTES:
        yield f"request: {request.ByteSize()} bytes"
    for i, stack in enumerate(table(request, "stack")):
        if len(stack.location_indices) > MAX_FRAMES:
            yield f"stack_table[{i}]: {len(stack.location_indices)} frames"


RULES: tuple[Rule, ...] = (
    inline_strings,
    scope_identity,
    live_heap_profiles,
    same_samples_in_both,
    profile_ids,
    v8_frames,
    sample_attributes,
    request_limits,
)
