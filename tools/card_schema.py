#!/usr/bin/env python3
"""Write models.d/card.schema.json and docs/card-options.md from the table of options.

card_schema.py [--check] [--validate]

The table is models.d/options.json. --check compares the two files with what they would
be. --validate holds every card against the schema with the package jsonschema.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "models.d/options.json"
SCHEMA = ROOT / "models.d/card.schema.json"
TEXT = ROOT / "docs/card-options.md"
NOT_CARDS = {"releases.json", "ideas.json", TABLE.name, SCHEMA.name}

STRINGS = {"type": "array", "items": {"type": "string"}}
STRING_OR_STRINGS = {"anyOf": [{"type": "string"}, STRINGS]}
MEMBERS: dict[str, tuple[dict[str, Any], str]] = {
    "model_type": (STRING_OR_STRINGS, "the configs to which the card applies"),
    "plugin": ({"type": "string"}, "name of the plugin file, without suffix"),
    "refused": ({"type": "string"}, "a sentence: why these configs are not supported"),
    "about": (
        {
            "type": "object",
            "properties": {k: {"type": "string"} for k in ("released", "link", "new")},
        },
        "information for readers",
    ),
    "aliases": (
        {"type": "object", "additionalProperties": STRING_OR_STRINGS},
        "the plugin's key: the file's spelling, or a list of them",
    ),
    "defaults": ({"type": "object"}, "values of keys that the file does not have"),
    "fixed": ({"type": "object"}, "values that override the file"),
    "ignored": (
        {
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    {"type": "string"},
                    {
                        "type": "object",
                        "properties": {"is": {}, "why": {"type": "string"}},
                        "required": ["is", "why"],
                        "additionalProperties": False,
                    },
                ]
            },
        },
        "keys that the reference does not read either, each with its reason",
    ),
    "must": (
        {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"is": {}, "why": {"type": "string"}},
                "required": ["is", "why"],
                "additionalProperties": False,
            },
        },
        "values, or lists of them, that keys of the file must have, each with its reason",
    ),
    "tensors": (
        {"type": "array", "items": {**STRINGS, "minItems": 2, "maxItems": 2}},
        "pairs [canonical, stored]: parts of tensor names, applied in order",
    ),
    "ignored_tensors": (STRING_OR_STRINGS, "patterns with *: stored tensors that are not weights"),
    "output": ({}, "syntax of reasoning and tool calls"),
    "class": ({"type": "string"}, "the model_type whose class file is used"),
    "prediction_layers": (
        {"type": "boolean"},
        "files may have layers after the last one, which are not loaded",
    ),
    "trace": (
        {"type": "object", "additionalProperties": {"type": "string"}},
        "module of the reference: trace point with the same output",
    ),
    "cache": (
        {"type": "string"},
        "default of --cache: a kind, or STREAM=KIND separated by commas; not used with float32 "
        "weights",
    ),
}
KINDS: dict[str, dict[str, Any]] = {
    "flag": {"type": "boolean"},
    "number": {"type": "number"},
    "list": STRINGS,
    "key": {"type": "string"},
    "text": {"type": "string"},
}


class Option(NamedTuple):
    """A row of the table."""

    name: str
    readers: list[str]
    kinds: list[str]
    words: list[str]
    what: str


def read_table() -> list[Option]:
    """Rows of the table."""
    return [
        Option(row["name"], row["readers"], row["kinds"], row.get("words", []), row["what"])
        for row in json.loads(TABLE.read_text())
    ]


def option_schema(option: Option) -> dict[str, Any]:
    """What a value of the option may be."""
    kinds = []
    for kind in option.kinds:
        schema = dict(KINDS[kind])
        if kind == "text" and option.words and "key" not in option.kinds:
            schema = {"enum": option.words}
        if schema not in kinds:
            kinds.append(schema)
    only = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return {**only, "description": option.what}


def make_schema(options: list[Option]) -> dict[str, Any]:
    """The schema of a card."""
    properties = {k: {**schema, "description": what} for k, (schema, what) in MEMBERS.items()}
    properties["options"] = {
        "type": "object",
        "description": "what the plugin reads as @name",
        "properties": {o.name: option_schema(o) for o in options},
        "patternProperties": {r"^[^.]+\.": {}},
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A model card of lmzoo",
        "type": "object",
        "properties": properties,
        "required": ["model_type"],
        "anyOf": [{"required": ["plugin"]}, {"required": ["refused"]}],
        "additionalProperties": False,
    }


def make_text(options: list[Option]) -> str:
    """The list of options for a reader."""
    lines = [
        "# Options of cards",
        "",
        "Generated by `tools/card_schema.py` from `models.d/options.json`; a test compares them.",
        "The heads of the source files that read the options have details",
        "(`docs/adding-a-model.md` names them). Values: a flag is true or false, a key is the name",
        "of a config key that holds the value, else one of the words listed, a text, a number or a",
        "list. Options of a plugin outside the tree begin with its name and a dot and are not",
        "checked. `models.d/card.schema.json` is the same for editors: name it in their settings",
        "and they complete members, options and words.",
        "",
    ]
    groups: dict[str, list[Option]] = {}
    for option in options:
        groups.setdefault(", ".join(option.readers), []).append(option)
    for readers in sorted(groups, key=lambda r: (r != "shared", r)):
        plugins = readers.replace(", ", " and ")
        lines += [
            "## Every plugin of the tree" if readers == "shared" else f"## Plugin {plugins}",
            "",
            "| option | value | what |",
            "|---|---|---|",
        ]
        for option in groups[readers]:
            kinds = [k for k in option.kinds if not (k == "text" and option.words)]
            words = [f"`{w}`" for w in option.words]
            lines.append(f"| `{option.name}` | {', '.join(kinds + words)} | {option.what} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def validate(schema: dict[str, Any]) -> int:
    """Every card against the schema."""
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    cards = [p for p in sorted((ROOT / "models.d").glob("*.json")) if p.name not in NOT_CARDS]
    bad = 0
    for path in cards:
        for error in validator.iter_errors(json.loads(path.read_text())):
            where = "/".join(map(str, error.path))
            print(f"{path.name}: {where}: {error.message[:200]}")
            bad += 1
    print(f"{len(cards)} cards, {bad} errors")
    return bad


def main() -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--validate", action="store_true")
    args = parser.parse_args()
    options = read_table()
    schema = make_schema(options)
    files = {SCHEMA: json.dumps(schema, indent=1) + "\n", TEXT: make_text(options)}
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if args.validate:
        return int(validate(schema) > 0)
    if args.check:
        for path in stale:
            print(f"{path}: not what tools/card_schema.py makes of the table")
        return int(bool(stale))
    for path in stale:
        path.write_text(files[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
