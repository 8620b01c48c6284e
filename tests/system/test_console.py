"""The console in a terminal of its own, over a whole engine: what it writes, what its keys do, how it ends.

Nothing here is timed: how fast it is, `python -m tests.bench tui` says.
"""

from __future__ import annotations

import os
import random
import re
import signal
import string
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engine.worker.harness import TcpServer, scripted
from tests.system.hands import go_to_servers, take_back, type_bursts, under_cursor
from tests.system.harness import (
    Engine,
    listener_toml,
    pool_toml,
    request,
    running_engine,
    servers,
    wait_for,
)
from tests.system.terminal import Terminal
from tests.tui.engine_double import EngineDouble, server
from tests.tui.engine_double import answering as double_answering

pytestmark = pytest.mark.system

PROFILES = [("linux", (80, 24)), ("xterm-256color", (120, 40))]
# What the kernel's own font and the console fonts of Debian have in common; the anchors of the project list them.
SAFE = set(string.printable[:95]) | set("─│┌┐└┘├┤┬┴┼═║╔╗╚╝░▒█■▲▼▶◀←↑→↓•·±≤≥≈°µ«»")
LINUX_SGR = {0, 1, 7, 22, 27, *range(30, 38), 39, *range(40, 48), 49}
COLOURLESS_SGR = {0, 1, 2, 7, 22, 27, 39, 49}
SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])")
CLIPBOARD = rb"\x1b\]52;c;[A-Za-z0-9+/=]*\x07"  # what y copies, to terminals that have a clipboard
POINTER = b"\x1b]22;default\x07"  # the only one that the console's library writes: how the mouse's pointer looks
STATE = re.compile(r"[▲▼■]|\b(?:UP|DOWN|MAINT)\b")
F5, F6, F7, F8, F9 = (f"\x1b[{number}~" for number in (15, 17, 18, 19, 20))
DIALOGS = {
    "Cancel",
    "Sort by",
    "Actions: ",
    "find: ",
    "Show an earlier time",
    "Throw the draft away",
    "Unlock this console?",
}
PALETTE = "\x10"
SELECT_UP = "\x1b[1;2A"
SETTLED_S = 0.13  # longer than a lone Esc waits for what may follow it


@contextmanager
def console(
    control: Path, term: str = "xterm-256color", size: tuple[int, int] = (80, 24), env: dict[str, str] | None = None
) -> Iterator[Terminal]:
    """Run the console until the block ends; it is live when the block begins."""
    command = [sys.executable, "-m", "lbapp", "--socket", str(control), "tui"]
    env = {"XDG_STATE_HOME": str(control.parent / "state"), **(env or {})}  # drafts and hints are a test's own
    with Terminal(command, term=term, size=size, env=env) as terminal:
        terminal.wait_for("LIVE")
        yield terminal


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine for all that leave it as it was: starting one takes longer than most of them."""
    with servers() as ports, running_engine(tmp_path_factory.mktemp("engine"), toml(ports)) as running:
        yield running


@pytest.fixture
def nothing_happens(engine: Engine) -> Iterator[None]:
    """Make sure that nobody changes anything at the engine."""
    before = actions(engine)
    yield
    assert actions(engine) == before


def toml(ports: dict[str, int]) -> str:
    return listener_toml("app") + pool_toml("app", ports)


def press(terminal: Terminal, *keys: str) -> None:
    """Press keys at once, and wait until the console has done what they ask for."""
    terminal.press(*keys)
    if keys[-1] == "escape":
        terminal.pump_for(SETTLED_S)
    terminal.wait_until_idle()


def actions(engine: Engine) -> list[object]:
    with engine.client() as client:
        return list(client.changes(100)["actions"])


def tour(terminal: Terminal) -> Iterator[str]:
    """See every screen with its help, its pages and its lists, and every dialog, say yes to none; yield what is shown."""
    for screen in "1234567":
        for key in (
            screen,
            "?",
            "escape",
            "down",
            "enter",
            "escape",
            "s",
            "!",
            "!",
            "right",
            "/",
            "a",
            "escape",
            "escape",
        ):
            press(terminal, key)
            yield terminal.text
    go_to_servers(terminal)
    asking = (
        "d",
        "escape",
        "m",
        "escape",
        "w",
        "9",
        "escape",
        "K",
        "escape",
        "x",
        "escape",
        "space",
        "d",
        "escape",
        "p",
        "p",
    )
    others = (
        "t",
        "1",
        "escape",
        "W",
        "escape",
        "[",
        "0",
        "Y",
        "y",
        ":drain app",
        "tab",
        "escape",
        ":neon",
        "enter",
        "escape",
    )
    marking = (PALETTE, "s1", "down", "escape", "a", "m", "escape", "v", "down", "v", "escape", "escape")
    for key in (*asking, *others, *marking):
        press(terminal, key)
        yield terminal.text
    yield from tour_of_a_draft(terminal)
    for key in ("3", "R", "d", "e", "R", "escape"):
        press(terminal, key)
        yield terminal.text


def tour_of_a_draft(terminal: Terminal) -> Iterator[str]:
    """Write drafts that are not sound, see what is said of them, and throw them away; yield what is shown."""
    terminal.press("6")
    terminal.wait_for("no draft")
    for text in ("# x", "{"):
        terminal.press("i", text)
        terminal.wait_for(text)
        press(terminal, SELECT_UP, "escape")
        terminal.press(F5)
        terminal.wait_for("problem")
        for key in (F8, F6, F9, "down", "enter", "escape", F7):  # F8 opens nothing while there are problems
            press(terminal, key)
            yield terminal.text
        terminal.wait_for("Throw the draft away?")
        yield terminal.text
        terminal.press("y")
        terminal.wait_for("no draft")


def painted(raw: bytes) -> str:
    """Return every character that was written, without the sequences between them."""
    return SEQUENCE.sub(b"", raw).decode(errors="replace")


def attributes(raw: bytes) -> set[int]:
    """Return the parameters of every SGR that was written."""
    found = re.findall(rb"\x1b\[([\d;:]*)m", raw)
    return {int(part or 0) for each in found for part in re.split(rb"[;:]", each)}


def foreign_controls(raw: bytes) -> set[str]:
    """Return control characters outside of sequences, and sequences that are no cursor, colour, mode or question."""
    loose = {character for character in painted(raw) if not character.isprintable()} - set("\r\n")
    whole = {match[0] for match in SEQUENCE.finditer(raw)}
    strange = {each for each in whole if not re.fullmatch(rb"\x1b\[[<>=?]?[\d;]*\$?[ABCDHJKfhlmpur]", each)} - {POINTER}
    strange = {each for each in strange if not re.fullmatch(CLIPBOARD, each)}
    return {ascii(each) for each in loose | {each.decode("latin-1") for each in strange}}


def is_restored(terminal: Terminal) -> bool:
    """Say whether the terminal is as its shell had it: modes of the line, screen, cursor, mouse, pasting."""
    raw = bytes(terminal.raw)
    ends = [
        raw.rfind(b"\x1b[?1049l") > raw.rfind(b"\x1b[?1049h") >= 0,
        raw.rfind(b"\x1b[?25h") > raw.rfind(b"\x1b[?25l"),
    ]
    ends += [raw.rfind(b"\x1b[?%dl" % mode) >= raw.rfind(b"\x1b[?%dh" % mode) for mode in (1000, 1003, 1006, 2004)]
    return all(ends) and terminal.modes == terminal.modes_before


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize(("term", "size"), PROFILES)
def test_every_screen_and_dialog_is_drawn_with_what_a_console_font_has(
    engine: Engine, term: str, size: tuple[int, int]
) -> None:
    with console(engine.control, term, size) as terminal:
        seen = {title for shown in tour(terminal) for title in DIALOGS if title in shown}
        assert terminal.process.poll() is None, terminal.text
    assert seen == DIALOGS, "not every dialog was seen"
    raw = bytes(terminal.raw)
    assert foreign_controls(raw) == set()
    if term == "linux":
        assert not re.search(CLIPBOARD, raw), "a Linux console has none"
        assert set(painted(raw)) - SAFE - {"\r", "\n"} == set()
        assert attributes(raw) - LINUX_SGR == set()


def test_states_read_the_same_without_colours(tmp_path: Path) -> None:
    with servers() as ports, running_engine(tmp_path, toml({**ports, "s4": 1})) as engine:
        wait_for(lambda: engine.server("app/s4")["health"] == "down" and engine.server("app/s1")["health"] == "up")
        with engine.client() as client:
            client.patch_server("app", "s2", {"state": "maint"})
        states = []
        for env in (None, {"NO_COLOR": "1"}):
            with console(engine.control, env=env) as terminal:
                go_to_servers(terminal)
                terminal.wait_for("DOWN", "MAINT", "UP")
                rows = [line for line in terminal.lines if "app/s" in line]
                states.append([found for row in rows if (found := STATE.findall(row))])
            written = attributes(bytes(terminal.raw)) - COLOURLESS_SGR
            assert not written if env else written
    assert states[0] == states[1]
    # Three symbols and three words, one of each in every row.
    assert sorted({tuple(state) for state in states[0]}) == [("■", "MAINT"), ("▲", "UP"), ("▼", "DOWN")]


@pytest.mark.parametrize(("term", "size"), PROFILES)
def test_d_and_y_drain_the_server_under_the_cursor_and_z_takes_it_back(
    engine: Engine, term: str, size: tuple[int, int]
) -> None:
    with console(engine.control, term, size) as terminal:
        go_to_servers(terminal)
        terminal.press("down")
        terminal.until(lambda: under_cursor(terminal) == "app/s2")
        terminal.press("d")
        terminal.wait_for("Cancel", "app/s2", "stay for new clients")
        terminal.press("y")
        terminal.wait_for("DRAIN")
        assert [engine.server(f"app/s{number}")["admin"] for number in (1, 2, 3)] == ["ready", "drain", "ready"]
        terminal.press("z")
        terminal.until(lambda: engine.server("app/s2")["admin"] == "ready")
        terminal.until(lambda: not any("DRAIN" in line for line in terminal.lines if "app/s2 " in line))


def click(terminal: Terminal, text: str) -> None:
    """Press and release the left button on a text, as a terminal that reports the mouse says it."""
    terminal.wait_until_idle()
    row = next(number for number, line in enumerate(terminal.lines) if text in line)
    column = terminal.lines[row].index(text) + len(text) // 2
    terminal.send(b"".join(b"\x1b[<0;%d;%d%s" % (column + 1, row + 1, end) for end in (b"M", b"m")))


def test_mouse_selects_asks_and_answers(engine: Engine) -> None:
    with console(engine.control) as terminal:
        go_to_servers(terminal)
        click(terminal, "app/s3")
        terminal.until(lambda: under_cursor(terminal) == "app/s3")
        terminal.press("x")
        click(terminal, "no new clients; what is in flight finishes")
        terminal.wait_for("Drain app/s3", "stay for new clients")
        click(terminal, "Cancel")
        terminal.wait_until_gone("Cancel")
        assert engine.server("app/s3")["admin"] == "ready"
        terminal.press("d")
        terminal.wait_for("Drain app/s3", "stay for new clients")
        click(terminal, "not even for clients that had it before")
        click(terminal, "Drain (y)")
        terminal.until(lambda: engine.server("app/s3")["admin"] == "drain")
        drain = engine.server("app/s3")["drain"]
        assert drain is not None
        assert drain["hard"]
        terminal.wait_for("DRAIN")
        terminal.press("z")
        terminal.until(lambda: engine.server("app/s3")["admin"] == "ready")


@pytest.mark.usefixtures("nothing_happens")
def test_enter_right_behind_the_key_of_a_dialog_changes_nothing(engine: Engine) -> None:
    with console(engine.control) as terminal:
        go_to_servers(terminal)
        for _ in range(20):
            press(terminal, "d", "enter")
            press(terminal, "m", "enter")
        assert terminal.process.poll() is None, terminal.text


@pytest.mark.usefixtures("nothing_happens")
def test_what_is_typed_behind_the_key_of_a_filter_a_weight_or_a_command_is_text(engine: Engine) -> None:
    with console(engine.control) as terminal:
        assert len(list(type_bursts(terminal, random.Random(15), 90))) == 90
        assert terminal.process.poll() is None, terminal.text


@pytest.mark.usefixtures("nothing_happens")
def test_coloured_text_that_is_pasted_is_text_in_a_field_and_nothing_elsewhere(engine: Engine) -> None:
    with console(engine.control) as terminal:
        go_to_servers(terminal)
        pasted = b"\x1b[200~\x1b[31mdown\x1b[0m 3 mKdy\x1b[201~"
        terminal.send(pasted)
        terminal.press("/")
        terminal.wait_for("/")
        terminal.send(pasted)
        terminal.wait_for("[31mdown[0m 3 mKdy")
        assert not any(dialog in terminal.text for dialog in DIALOGS)
        assert engine.server("app/s1")["admin"] == "ready"


def test_z_takes_back_whatever_a_key_did_to_a_server(tmp_path: Path) -> None:
    with (
        servers() as ports,
        running_engine(tmp_path, toml(ports)) as engine,
        engine.client() as client,
        console(engine.control) as terminal,
    ):
        done = list(take_back(terminal, client, random.Random(17), 15))
        assert {each[0] for each in done} == set("demw+-")
        assert [each for each in done if each.startswith("!")] == []


def test_console_outlives_its_engine_and_follows_the_next_one(tmp_path: Path) -> None:
    with servers() as ports, running_engine(tmp_path, toml(ports)) as engine, console(engine.control) as terminal:
        go_to_servers(terminal)
        os.kill(engine.process.pid, signal.SIGKILL)
        engine.process.wait()
        terminal.wait_for("STALE")
        terminal.press("e")  # something that needs no dialog, and cannot be done now
        terminal.wait_for("no engine answers")
        with running_engine(tmp_path, toml(ports)) as following:
            terminal.wait_until_gone("STALE")
            terminal.wait_for("LIVE", "app/s3")
            terminal.press("q")
            assert terminal.wait_for_end() == 0
            assert actions(following) == []


@pytest.mark.usefixtures("nothing_happens")
def test_smaller_terminal_and_the_former_size_are_painted_whole(engine: Engine) -> None:
    with console(engine.control) as terminal:
        go_to_servers(terminal)
        for columns, rows in ((60, 20), (80, 24), (132, 50), (80, 24)):
            terminal.resize(columns, rows)
            terminal.until(
                lambda: "LIVE" in terminal.lines[0] and under_cursor(terminal) and terminal.lines[-1].strip()
            )
            assert terminal.text.count("app/s") >= 3, terminal.text


def test_console_works_inside_tmux(engine: Engine, tmp_path: Path) -> None:
    tmux = ["tmux", "-S", str(tmp_path / "tmux"), "-f", os.devnull]
    inner = [sys.executable, "-m", "lbapp", "--socket", str(engine.control), "tui"]
    try:
        with Terminal([*tmux, "new-session", "-x", "120", "-y", "40", *inner], size=(120, 40)) as terminal:
            terminal.wait_for("LIVE", "app")
            go_to_servers(terminal)
            terminal.press("down")
            terminal.until(lambda: under_cursor(terminal) == "app/s2")
            terminal.press("d")
            terminal.wait_for("Cancel", "app/s2")
            terminal.press("escape")
            terminal.wait_until_gone("Cancel")
            terminal.press("q")
            assert terminal.wait_for_end() == 0
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True, check=False)


HOSTILE = "\x1b]0;pwned\x07\x1b[2J\x1b[31;46m\x9b35mowned\u202e\x00\x7f\r\nagain"


def test_hostile_answers_and_requests_send_no_control_to_the_terminal(tmp_path: Path) -> None:
    body = HOSTILE.encode()
    head = b"HTTP/1.1 503 Down\r\nServer: \x1b[31;46m\r\nContent-Length: %d\r\n\r\n" % len(body)
    hostile = TcpServer(scripted(head + body))
    check = '[pool.health_check]\ntype = "http"\ninterval = "500ms"\n'
    try:
        with running_engine(
            tmp_path, listener_toml("app") + pool_toml("app", {"s3": hostile.port}, extra=check)
        ) as engine:
            wait_for(lambda: engine.server("app/s3")["health"] == "down")
            with console(engine.control, size=(120, 40)) as terminal:
                for path in (b"/%1b]0;pwned%07", b"/\x1b]0;pwned\x07", b"/\xc2\x9b35m"):
                    request(engine.port(), b"GET " + path + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                shown = list(tour(terminal))
            assert any("DOWN" in text for text in shown)
            assert foreign_controls(bytes(terminal.raw)) == set()
    finally:
        hostile.close()


def test_hostile_texts_of_the_engine_itself_are_painted_harmlessly(tmp_path: Path) -> None:
    double = EngineDouble([server("app" + HOSTILE, "s3" + HOSTILE), server("app", "s1")])
    double.servers[0]["health_reason"] = double.servers[0]["ejected"] = HOSTILE
    double.events.append(
        {
            "seq": 1,
            "at": 0.0,
            "kind": HOSTILE,
            "subject": HOSTILE,
            "message": HOSTILE,
            "actor": None,
            "before": None,
            "after": None,
        }
    )
    with double_answering(double, tmp_path / "c.sock"):
        with console(tmp_path / "c.sock", size=(120, 40)) as terminal:
            for screen in "1234567":
                for key in (screen, "enter", "escape", "d", "escape"):
                    press(terminal, key)
        assert "pwned" in painted(bytes(terminal.raw))
        assert foreign_controls(bytes(terminal.raw)) == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_ends_the_console_and_leaves_the_terminal_as_it_was(engine: Engine, number: signal.Signals) -> None:
    with console(engine.control) as terminal:
        assert not is_restored(terminal)
        os.kill(terminal.process.pid, number)
        terminal.wait_for_end()
        assert is_restored(terminal), bytes(terminal.raw)[-200:]
        assert b"Traceback" not in terminal.raw


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_keys_that_leave_give_the_terminal_back(engine: Engine, key: str) -> None:
    with console(engine.control) as terminal:
        terminal.press(key)
        assert terminal.wait_for_end() == 0, terminal.text
        assert is_restored(terminal)


def test_console_ends_when_its_line_is_lost(engine: Engine) -> None:
    with console(engine.control) as terminal:
        terminal.hang_up()
        wait_for(lambda: terminal.process.poll() is not None)
    assert engine.status()["engine"]["phase"] == "serving"
