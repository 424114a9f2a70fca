"""Checks uncompressed request bodies of OTLP Profiles: python validate.py [--leak-agent] [--rules] FILE...

Prints `FILE: RULE: where and what` for each rule that is broken. Exit code: 0 all kept, 1 a rule is broken, 2 wrong usage.
With --leak-agent also what the agent promises of its own bodies; --rules lists the rules instead.
"""

import argparse
import sys
from itertools import islice
from pathlib import Path

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import ExportProfilesServiceRequest

import agent_rules
import conformance_rules
from conformance_rules import Rule

DECODABLE = "decodable"
# Places printed for one rule of one file.
MAX_PLACES = 5


def name_of(rule: Rule) -> str:
    return rule.__name__.replace("_", "-")


def broken_rules(body: bytes, rules: tuple[Rule, ...]) -> dict[str, list[str]]:
    try:
        request = ExportProfilesServiceRequest.FromString(body)
    except DecodeError as error:
        return {DECODABLE: [str(error)]}
    found = {name_of(rule): list(rule(request)) for rule in rules}
    return {name: places for name, places in found.items() if places}


def print_rules(rules: tuple[Rule, ...]) -> None:
    print(f"{DECODABLE}: The body is an ExportProfilesServiceRequest; its strings are UTF-8.")
    for rule in rules:
        print(f"{name_of(rule)}: {rule.__doc__}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks uncompressed request bodies of OTLP Profiles.")
    parser.add_argument("--leak-agent", action="store_true", help="also what the agent promises of its own bodies")
    parser.add_argument("--rules", action="store_true", help="list the rules")
    parser.add_argument("file", nargs="*", type=Path)
    options = parser.parse_args()
    rules = conformance_rules.RULES + (agent_rules.RULES if options.leak_agent else ())
    if options.rules:
        print_rules(rules)
        return 0
    if not options.file:
        parser.error("no file")
    is_broken = False
    for file in options.file:
        for name, places in broken_rules(file.read_bytes(), rules).items():
            is_broken = True
            for place in islice(places, MAX_PLACES):
                print(f"{file}: {name}: {place}")
            if len(places) > MAX_PLACES:
                print(f"{file}: {name}: and {len(places) - MAX_PLACES} more")
    return 1 if is_broken else 0


if __name__ == "__main__":
    sys.exit(main())
