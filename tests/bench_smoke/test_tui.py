"""The benchmarks of the console run and give figures; what they judge by can tell right from wrong.

Nothing here is timed: what good figures are, `tests/bench/tui.py` says.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.operator import Operator
from tests.system.terminal import Terminal

REPOSITORY = Path(__file__).parents[2]

pytestmark = pytest.mark.system


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=110, check=False)


def test_console_bench_reads_every_figure_off_the_terminal(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = _bench("tui", "--servers", "48", "--seconds", "1", "--brief", "--only", "lbapp 48", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(figures.read_text())["results"].values()
    assert found["screens"] >= 3
    assert found["bytes_per_s"] > 0 < found["rss_bytes"]
    for name in ("start", "cursor_painted_max", "dialog_p95", "filter_p95", "filter_key_p95", "switch_p95"):
        assert 0 < found[f"{name}_ms"] < 60_000, name
    assert 0 < found["stale_s"] < 60 > found["live_again_s"] > 0


def test_soak_presses_keys_and_finds_no_change_at_a_server_that_was_not_meant(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = _bench("soak", "--minutes", "0.12", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())["results"]
    assert found["keys"] > 20
    assert found["problems"] == []


def test_hands_do_everything_once_and_find_nothing_wrong(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    few = ("--bursts", "3", "--dialogs", "1", "--undos", "3", "--changes", "50", "--keys", "12")
    done = _bench("hands", *few, "--json", str(figures))
    found = json.loads(figures.read_text())["results"]
    assert [each["goal"] for each in found] == ["T15", "T16", "T17", "T18", "T21", "T21"], done.stderr
    # How long a key takes is no matter of this test: the machine is shared.
    assert [each["wrong"] for each in found if each["goal"] != "T21"] == [[], [], [], []]
    assert all(each["tried"] for each in found)


@contextmanager
def _showing(*rows: str) -> Iterator[Terminal]:
    """Show a screen on which the row that begins with `>` is the one of the cursor."""
    painted = "".join(f"\x1b[7m{row:<80}\x1b[0m" if row.startswith(">") else f"{row:<80}" for row in rows)
    with Terminal(
        [sys.executable, "-c", f"print({painted!r}, end='', flush=True); input()"], size=(80, 24)
    ) as terminal:
        terminal.wait_for(rows[-1])
        yield terminal


def _action(
    *servers: str, setting: str = "state", after: object = "ready", undoes: tuple[int, ...] = ()
) -> dict[str, object]:
    changes = [{"on": server, "setting": setting, "before": None, "after": after} for server in servers]
    return {"number": 1, "at": time.time(), "undoes": list(undoes), "changes": changes}


def test_change_at_another_server_than_that_of_the_cursor_is_found_with_what_was_seen() -> None:
    with _showing("  app/s1", "> app/s2", "  app/s3", "undo z: drain app/s1") as terminal:
        operator = Operator(terminal, random.Random(1))
        operator.judge([_action("app/s2")])
        assert "no key had asked" in operator.verdict.wrong.pop()
        operator.note("e")
        operator.judge([_action("app/s2")])
        assert not operator.verdict.wrong
        operator.judge([_action("app/s3")])
        told = operator.verdict.wrong.pop()
        assert "changed ['app/s3'] and not of ['app/s2']" in told
        assert "> app/s2" in told


def test_change_belongs_to_the_last_key_that_asks_for_such() -> None:
    with _showing("  app/s1", "> app/s2") as terminal:
        operator = Operator(terminal, random.Random(1))
        operator.note("m")
        operator.note("+")
        operator.judge([_action("app/s2", after="maint"), _action("app/s2", setting="weight", after=110)])
        assert not operator.verdict.wrong
        operator.judge([_action("app/s2", after="drain")])
        assert "no key had asked" in operator.verdict.wrong.pop()


def test_on_the_screen_of_a_pool_rows_are_its_servers_and_what_z_would_take_back_is_none() -> None:
    with _showing("  s1  127.0.0.1:1", "> s2  127.0.0.1:2", "pool app  2 of 12   undo z: drain app/s1") as terminal:
        assert Operator(terminal, random.Random(1)).target() == "app/s2"
    with _showing("  app/s9 is DOWN", " server app/s4  4 of 12 in its pool    undo z: drain app/s1") as terminal:
        assert Operator(terminal, random.Random(1)).target() == "app/s4"
    with _showing("  all is well", " undo z: drain app/s1") as terminal:
        assert Operator(terminal, random.Random(1)).target() == ""


def test_what_is_chosen_in_the_menu_is_about_what_the_menu_names() -> None:
    with _showing("  app/s1", "> app/s2", "  Actions: app/s3", "> e  ready") as terminal:
        operator = Operator(terminal, random.Random(1))
        operator.note("enter")
        operator.judge([_action("app/s3")])
        assert (operator.verdict.judged, operator.verdict.wrong) == (1, [])


def test_undo_may_go_to_what_was_changed_before_and_to_nothing_else() -> None:
    with _showing("  app/s1", "> app/s2") as terminal:
        operator = Operator(terminal, random.Random(1))
        operator.note("e")
        operator.judge([_action("app/s2")])
        operator.note("z")
        operator.judge([_action("app/s2", after="drain", undoes=(1,))])
        assert not operator.verdict.wrong
        operator.judge([_action("app/s1", after="drain", undoes=(1,))])
        assert operator.verdict.wrong
