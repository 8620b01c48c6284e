"""Write docs/reference.md: every table and key of the configuration with its type, default and meaning.

Usage: python packaging/reference.py [FILE], with an interpreter that has lbapp; without FILE it is docs/reference.md itself.

Responsible for the page: types, limits and defaults come from the schema, words and order from conf/lbapp.reference.toml. Knows
nothing of its own. Invariant: nothing is said here that is not said there; a test holds the page against what this writes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lbapp.config.json_schema import DURATION, SIZE, json_schema
from lbapp.config.reference import ReferenceTable, Said, reference_tables, reference_text

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
HEAD = """\
# Reference of the configuration

Every table and key. `packaging/reference.py` makes this page of the schema (`lbapp schema`) and of `conf/lbapp.reference.toml`,
where all of it stands as one file that loads; a test holds it against both. What the keys mean together is explained by
[configuration](configuration.md).

A *duration* is a number and a unit (`"250ms"`, `"1.5s"`, `"5m"`, `"1h"`), a *size* a whole number and a unit of 1024 (`"512B"`,
`"64KiB"`, `"10MiB"`, `"1GiB"`). Where no default stands, the key is left out by default, and its text says what holds then.
"""
Shape = dict[str, Any]
TABLE, LIST = "[{}]", "[[{}]]"
SCHEMA = json_schema()
SAID = reference_tables(reference_text())


def inner(shape: Shape) -> tuple[Shape, bool]:
    """Return what a key holds, without `or nothing`, and whether it is a list of tables."""
    options = [each for each in shape.get("anyOf", []) if each.get("type") != "null"]
    if len(options) == 1:
        shape = options[0]
    name = shape.get("$ref") or shape.get("items", {}).get("$ref")
    return (SCHEMA["$defs"][name.rpartition("/")[2]], "items" in shape) if name else (shape, False)


def code(value: object) -> str:
    """Return a value as it is written in TOML."""
    return f"`{json.dumps(value)}`"


def type_of(shape: Shape) -> str:
    """Return what may stand at a key, in words."""
    shape, _ = inner(shape)
    bare = {key: value for key, value in shape.items() if key not in ("default", "description", "title")}
    if bare in (DURATION, SIZE):
        return "duration" if bare == DURATION else "size"
    if "anyOf" in shape:
        return ", or ".join(dict.fromkeys(type_of(each) for each in shape["anyOf"]))
    if "enum" in shape:
        return ", ".join(code(value) for value in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {type_of(shape['items'])}"
    if shape.get("type") == "object":
        return "table"
    if "minimum" in shape:
        whole = "" if shape["type"] == "integer" else "decimal, "
        return f"{whole}{shape['minimum']} to {shape['maximum']}"
    names = {"string": "text", "integer": "whole number", "boolean": "`true` or `false`"}
    return names[shape["type"]] if shape.get("pattern") != "^/" else "absolute path"


def sections(table: Shape, path: tuple[str, ...], brackets: str) -> Iterator[str]:
    """Return the section of a table, and those of the tables in it. Keys stand in the order of the reference."""
    said = SAID.get(".".join(path), ReferenceTable())
    yield f"\n## `{brackets.format('.'.join(path))}`\n"
    if said.words:
        yield f"\n{sentence(said.words)}\n"
    yield "\n| key | may be | default | |\n|---|---|---|---|\n"
    shapes, below = table["properties"], []
    for key in dict.fromkeys([*(key for key in said.keys if key in shapes), *shapes]):
        held, is_list = inner(shapes[key])
        if "properties" in held and "$ref" in str(shapes[key]):
            below.append((held, (*path, key), LIST if is_list else TABLE))
            continue
        here = said.keys.get(key, Said())
        words = here.words or shapes[key].get("description", "")
        default = "required" if key in table.get("required", []) else default_of(shapes[key], here)
        yield f"| `{key}` | {cell(type_of(shapes[key]))} | {cell(default)} | {cell(words)} |\n"
    for held, where, kind in below:
        yield from sections(held, where, kind)


def default_of(shape: Shape, said: Said) -> str:
    """Return a default as it is written, empty where none can be: some depend on the machine, or on other keys."""
    if "default" in shape:
        return code(shape["default"])
    # The schema has no defaults of lists; the reference shows an empty one only where that is what holds.
    return "`[]`" if said.value == "[]" else ""


def cell(text: str) -> str:
    """Return a text so that it stands in one cell of a table."""
    return text.replace("|", "\\|")


def sentence(text: str) -> str:
    """Return words as a sentence of their own."""
    return text[0].upper() + text[1:].rstrip(".") + "."


def page() -> str:
    """Return the whole page."""
    text = HEAD
    for name, shape in SCHEMA["properties"].items():
        held, is_list = inner(shape)
        text += "".join(sections(held, (name,), LIST if is_list else TABLE))
    return text


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE).write_text(page())
