"""`lbapp init`, by options and on a real terminal."""

from __future__ import annotations

import sys
from pathlib import Path

from click.testing import CliRunner, Result

from lbapp.cli.context import Settings
from lbapp.cli.init import init
from lbapp.config.load import load_configuration
from tests.system.terminal import Terminal


def done(*arguments: str) -> Result:
    return CliRunner().invoke(init, list(arguments), obj=Settings())


def on_terminal(file: Path, *answers: str) -> tuple[int, str]:
    """Press each answer, and Enter behind it but for Ctrl-C, when it is waited for; return the exit status and what is shown."""
    # What runs in the background of a shell ignores SIGINT, and so would its children.
    start = "import signal; signal.signal(2, signal.default_int_handler); from lbapp.cli.main import main; main()"
    with Terminal([sys.executable, "-c", start, "init", str(file)]) as terminal:
        for answer in answers:
            terminal.until(lambda: terminal.text.rstrip().endswith(":"))
            terminal.wait_until_idle()  # a signal right before it reads would be heard of only behind the next key
            terminal.press(*([answer] if answer == "ctrl+c" else [answer, "enter"]))
        return terminal.wait_for_end(), terminal.text


def test_options_alone_write_a_valid_file_and_say_what_is_next(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    said = done(str(file), "--listen", "8080", "--server", "a=127.0.0.1:1", "--server", "127.0.0.1:2", "--check", "/up")
    assert said.exit_code == 0, said.stderr
    made = load_configuration(file)
    assert [each.name for each in made.servers] == ["a", "s1"]
    assert f"lbapp check {file}" in said.stdout
    assert f"lbapp run -c {file}" in said.stdout
    again = done(str(file), "--listen", "8080", "--server", "h:1")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "is there already" in again.stderr


def test_without_a_terminal_what_is_missing_is_said(tmp_path: Path) -> None:
    said = done(str(tmp_path / "f"), "--listen", "80")
    assert said.exit_code == 2
    assert "no terminal to ask on, and no --server is given" in said.stderr
    assert not (tmp_path / "f").exists()


def test_option_that_cannot_be_used_is_wrong_usage(tmp_path: Path) -> None:
    said = done("--print", "--listen", "x", "--server", "h:1")
    assert said.exit_code == 2
    assert "--listen: 'x' is not an address" in said.stderr
    assert done("--print", "--listen", "80", "--server", "h:1", "--protocol", "tcp", "--check", "/").exit_code == 2


def test_printed_configuration_is_not_written(tmp_path: Path) -> None:
    said = done(str(tmp_path / "f"), "--print", "--listen", "80", "--server", "h:1")
    assert said.exit_code == 0
    assert said.stdout.startswith("# The configuration of lbapp")
    assert list(tmp_path.iterdir()) == []


def test_bad_answer_is_asked_for_again_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    status, shown = on_terminal(file, "udp", "tcp", "nowhere", "127.0.0.1:80", "x", "", "a=127.0.0.1:1", "")
    assert status == 0, shown
    assert "'udp' is not known" in shown
    assert "'nowhere' is not an address" in shown
    assert shown.count("a first server is needed; allowed: HOST:PORT or unix:/PATH") == 1
    made = load_configuration(file)
    assert (made.listeners[0].protocol.value, [each.name for each in made.servers]) == ("tcp", ["a"])


def test_interrupt_writes_nothing(tmp_path: Path) -> None:
    status, shown = on_terminal(tmp_path / "f", "http", "127.0.0.1:80", "ctrl+c")
    assert status == 1
    assert "interrupted; nothing is written" in shown
    assert list(tmp_path.iterdir()) == []
