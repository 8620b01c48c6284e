"""What a benchmark prints.

Responsible for tables that read well in a terminal and in Markdown, for the facts of the machine that belong
above them, and for the JSON file. Knows nothing of how figures are measured. Invariant: no figure without its
machine.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Several rounds of one figure."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle round."""
        return median(self.values)

    def show(self, digits: int = 1) -> str:
        """Return `median [lowest-highest]`."""
        low, high = min(self.values), max(self.values)
        return f"{self.median:.{digits}f} [{low:.{digits}f}-{high:.{digits}f}]"


def ratio(value: float, reference: float | None) -> str:
    """Return how many times the reference a value is, or a dash without one."""
    return f"{value / reference:.2f}" if reference else "-"


def format_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, the first column left-aligned and all others right-aligned."""
    widths = [max(len(row[number]) for row in (columns, *rows)) for number in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return " | ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)])

    marks = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(f"| {text} |" for text in (line(columns), " | ".join(marks), *map(line, rows)))


def machine_facts(versions: Mapping[str, str]) -> dict[str, str]:
    """Return what a reader needs to judge figures by: kernel, CPU, load and versions."""
    model = next(
        (line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")),
        platform.machine(),
    )
    return {
        "kernel": platform.release(),
        "cpu": f"{os.cpu_count()} x {model}",
        "load at start": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        **versions,
    }


def show_facts(facts: Mapping[str, str]) -> str:
    """Return the facts on one line, with a warning when the machine is busy."""
    text = " · ".join(f"{name} {value}" for name, value in facts.items())
    if float(facts["load at start"]) > 0.5:
        text += "\nThe machine is busy with other work: expect noise; CPU per request or byte is what holds best."
    return text


def write_json(path: Path | None, bench: str, facts: Mapping[str, str], results: object) -> None:
    """Write everything measured to `path`, if one is given."""
    if path is not None:
        whole = {"bench": bench, "machine": dict(facts), "results": results}
        path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")


def _cpu_lines() -> list[str]:
    return Path("/proc/cpuinfo").read_text().splitlines()
