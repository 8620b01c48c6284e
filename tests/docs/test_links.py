"""Every page, and every heading of one, that a page or a message of lbapp leads to is there."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted({ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")})
_FENCE = re.compile(r"^(```+).*?^\1$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_NAMED = re.compile(r"(?<![\w/.-])(?<!glb-director, )(docs/[\w/-]+\.md)(#[\w-]+)?")


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    times: Counter[str] = Counter()
    for heading in re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).strip().replace(" ", "-")
        found.add(f"{slug}-{times[slug]}" if times[slug] else slug)
        times[slug] += 1
    return found


def is_there(target: Path, anchor: str) -> bool:
    return target.exists() and (not anchor or target.suffix != ".md" or anchor in anchors(target))


def test_anchors_are_those_of_github() -> None:
    assert {"poolhealth_check", "life-of-a-request"}.isdisjoint(anchors(ROOT / "docs/glossary.md"))
    assert {"poolhealth_checkagent", "records-in-dns"} <= anchors(ROOT / "docs/configuration.md") | anchors(
        ROOT / "docs/operations.md"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        name, _, anchor = link.partition("#")
        if not re.match(r"[a-z]+:", name) and not is_there((page.parent / name) if name else page, anchor):
            broken.append(link)
    assert broken == []


def test_pages_that_files_name_are_there() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    broken = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in {".md", ".py", ".toml", ".service", ".yml"} and path.is_file():
            found = _NAMED.findall(path.read_text())
            broken += [f"{name}: {page}{anchor}" for page, anchor in found if not is_there(ROOT / page, anchor[1:])]
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, new = set(), {ROOT / "README.md"}
    while new:
        page = new.pop()
        reached.add(page)
        for link in _LINK.findall(page.read_text()):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists() and target not in reached:
                new.add(target)
    assert set(PAGES) - reached == set()
