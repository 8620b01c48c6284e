"""Whatever the pages about the inside name is there: modules, files, classes, keys of the configuration, and tests."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.test_links import ROOT

_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
# Words of the system's, of HTTP's and of others' that stand between the same marks.
NOT_OURS = {
    "accept", "verify", "lbapp", "traceparent", "Forwarded", "Location", "SO_PEERCRED", "SO_PEERGROUPS", "_",
    "persistence.keys",  # a file of state_dir
}  # fmt: skip


@cache
def names() -> set[str]:
    """Return every class, function, attribute and argument of lbapp, by itself and as `Class.attribute`."""
    found: set[str] = set()
    for path in (ROOT / "lbapp").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                inner = {
                    each.target.id
                    for each in node.body
                    if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
                }
                inner |= {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
                inner |= {each for own in node.body if isinstance(own, ast.FunctionDef) for each in _set_in(own)}
                found |= {node.name, *inner, *(f"{node.name}.{each}" for each in inner)}
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(node.name)
    return found


def _set_in(function: ast.FunctionDef) -> set[str]:
    return {
        node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }


@cache
def modules() -> set[str]:
    """Return every module and package as `a.b.c`, and each end of it."""
    found: set[str] = set()
    for path in [*(ROOT / "lbapp").rglob("*.py"), *(each for each in (ROOT / "lbapp").rglob("*") if each.is_dir())]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        found |= {".".join(parts[at:]) for at in range(len(parts))}
    return found


def is_there(span: str, page: str) -> bool:
    """Say whether what a page names is there."""
    if "::" in span or "/" in span:
        file, _, test = span.partition("::")
        places = [ROOT / file, ROOT / "lbapp/engine" / file]
        found = next((each for each in places if each.exists()), None)
        return found is not None and (not test or f"def {test}(" in found.read_text())
    if (ROOT / span).is_file():
        return True
    if span.endswith(".py"):
        return Path(span).stem in modules()
    return span in modules() or span in names() or (page != "docs/architecture.md" and span in keys())


@cache
def keys() -> set[str]:
    """Return every key and table of the configuration."""
    reference = (ROOT / "conf/lbapp.reference.toml").read_text()
    return set(re.findall(r"^#?\s*([a-z_]+)\s*=", reference, re.MULTILINE)) | set(
        re.findall(r"[a-z_.]+(?=\])", reference)
    )


def spans(page: str) -> set[str]:
    """Return what a page names that may be of lbapp: files, names of modules and of code; no calls, headers or values."""
    found = set(_SPAN.findall(_BLOCK.sub("", (ROOT / page).read_text())))
    paths = {
        each for each in found if re.match(r"(lbapp|tests|packaging|docs|conf|scripts)/", each) and " " not in each
    }
    return paths | {each for each in found if _NAME.fullmatch(each) and each not in NOT_OURS}


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/security.md"])
def test_what_a_page_names_is_there(page: str) -> None:
    assert len(spans(page)) > 10
    assert sorted(each for each in spans(page) if not is_there(each, page)) == []


def test_what_is_not_there_is_found() -> None:
    for gone in (
        "policy.nothing",
        "Endpoint.nothing",
        "lbapp/model/nothing.py",
        "tests/cli/test_context.py::test_nothing",
        "Nothing",
    ):
        assert not is_there(gone, "docs/architecture.md"), gone
