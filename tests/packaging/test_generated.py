"""What is made of the commands and the schema: man pages and completions."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lbapp.cli.complete import ANSWER_TIMEOUT_S
from lbapp.cli.verbs import VERBS
from lbapp.config.schema import LimitsTable
from tests.system.harness import listener_toml, pool_toml, running_engine

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.system

# What each shell does at TAB, printed: the words that would be offered.
_BASH = """
source "$1/lbapp.bash"
COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
_lbapp_completion lbapp
printf '%s\\n' "${COMPREPLY[@]}"
"""
_ZSH = """
autoload -Uz compinit && compinit -u -d "$1/dump"
source "$1/_lbapp"
compadd() {
    while [[ $1 == -* && $1 != -- ]]; do [[ $1 == -V ]] && shift; shift; done
    [[ $1 == -- ]] && shift
    print -l -- ${(P)1:-$@}
}
_describe() { print -l -- ${(P)3} }  # -V NAME ARRAY -U
words=("${@:2}") CURRENT=$(($# - 1))
_lbapp_completion
"""
_FISH = 'source $argv[1]/lbapp.fish; complete -C "$argv[2]"'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    subprocess.run([sys.executable, str(ROOT / "packaging" / "generate.py"), str(folder)], cwd=ROOT, check=True)
    return folder


def offered(shell: str, made: Path, control: Path, *words: str) -> set[str]:
    """Return what a shell offers behind words, the last of which is begun."""
    script = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}[shell]
    line = [" ".join(["lbapp", *words])] if shell == "fish" else ["lbapp", *words]
    start = {"bash": ["bash", "--norc"], "zsh": ["zsh", "-f"], "fish": ["fish", "--no-config"]}[shell]
    command = [*start, "-c", script, *([] if shell == "fish" else [shell])]
    done = subprocess.run(
        [*command, str(made), *line],
        env={"PATH": f"{BIN}:/usr/bin:/bin", "LBAPP_SOCKET": str(control), "HOME": str(made), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr, done.stderr
    return {part.split("\t")[0].split(":")[0] for part in done.stdout.splitlines() if part}


def test_no_line_of_a_man_page_is_set_apart_by_blanks(made: Path) -> None:
    for page in ("lbapp.1", "lbapp.toml.5"):
        assert [line for line in (made / page).read_text().splitlines() if line.startswith(" ")] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_offers_verbs_and_the_servers_and_pools_of_the_engine(shell: str, made: Path, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    with running_engine(
        tmp_path, listener_toml("app") + pool_toml("app", {"s1": 9, "s2": 9}) + pool_toml("api", {"a1": 9})
    ) as engine:
        assert {"drain", "ready", "status"} <= offered(shell, made, engine.control, "")
        assert offered(shell, made, engine.control, "drain", "app/") == {"app/s1", "app/s2"}
        assert offered(shell, made, engine.control, "drain", "app/s1", "app/") == {"app/s2"}
        assert offered(shell, made, engine.control, "status", "ap") == {"app", "api"}
        assert offered(shell, made, engine.control, "drain", "--dry") == {"--dry-run"}


def test_without_an_engine_nothing_is_offered_and_nothing_said(made: Path, tmp_path: Path) -> None:
    assert offered("bash", made, tmp_path / "none.sock", "drain", "a") == set()


def test_an_engine_that_does_not_answer_is_not_waited_for(made: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "c.sock"))
        silent.listen()
        began = time.monotonic()
        assert offered("bash", made, tmp_path / "c.sock", "drain", "a") == set()
        assert (
            time.monotonic() - began < ANSWER_TIMEOUT_S + 10
        )  # of which almost all is for a busy machine to start two processes
        silent.settimeout(20)
        with silent.accept()[0] as asked:
            assert asked.recv(100).startswith(b"GET "), "it was not asked"


def test_pages_have_every_verb_and_every_limit(made: Path) -> None:
    commands, keys = (made / "lbapp.1").read_text(), (made / "lbapp.toml.5").read_text()
    for verb in VERBS:
        assert f"\n.SS {verb}\n".replace("-", "\\-") in commands, verb
    for key in LimitsTable.model_fields:
        assert f"\n.BR {key} " in keys, key


@pytest.mark.parametrize("page", ["lbapp.1", "lbapp.toml.5"])
def test_pages_are_good_roff(page: str, made: Path) -> None:
    for command in (["mandoc", "-T", "lint"], ["groff", "-ww", "-man", "-Tutf8", "-z"]):
        if shutil.which(command[0]) is None:
            pytest.skip(f"needs {command[0]}")
        done = subprocess.run([*command, str(made / page)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
