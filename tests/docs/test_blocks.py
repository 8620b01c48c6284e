"""Every block of the pages is run, or read by what would run it: commands at a real engine, configurations by their own checkers.

README and tutorial are done word by word elsewhere (`test_pages`). Here are the others, whose blocks are lists of what one may
type: a word in capitals is a value that stands for others, and what is in brackets may be left out.
"""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import pytest
import tomlkit
from click.testing import CliRunner

from lbapp.cli.context import Settings
from lbapp.cli.main import cli
from lbapp.config.load import parse_configuration
from tests.bench.options import parse as parse_bench
from tests.docs.test_links import PAGES, ROOT
from tests.system.harness import Engine, lbapp, listener_toml, pool_toml, request, running_engine, servers, wait_for
from tests.tls_material import Authority

_BLOCK = re.compile(r"^```(\w*)(?: \w+)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DONE_ELSEWHERE = ("README.md", "docs/tutorial.md")
# Blocks that nobody types and nothing reads, by their first lines.
SHOWN = {
    'lbapp.toml:3: listener[0].pool: there is no pool "ap"; did you mean "app"?': "what check prints",
    "~ server app/s2 changed: in place": "what reload prints",
    "www.example.com: 192.0.2.11 in (TTL 20 s)": "lines of a log",
    "$ lbapp why app --client 192.0.2.7 -n 1": "what why prints of a pool with more servers than one engine here",
}
# What a page means by a word in capitals.
MEANT = {
    "POOL/SERVER": "app/s1",
    "POOL": "app",
    "ADDRESS": "192.0.2.7",
    "NO": "1",
    "N": "50",
    "TIME": "14:05",
    "VERB": "status",
}
# Words of calls that are read by the parser alone, each with the reason.
ONLY_READ = {
    "run": "it goes on", "-f": "it goes on", "tui": "it takes the terminal", "demo": "it takes the terminal",
    "handoff": "it changes the kernel", "--host": "it needs a host",
    "--at": "an engine that has just begun has no such past", "doctor": "what it says is the machine's",
    **dict.fromkeys(("reload", "ready", "publish", "weight", "drain", "stop"), "it changes something"),
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A block of a page: its kind as Markdown says it, and its text."""

    page: str
    line: int
    kind: str
    text: str

    @property
    def first(self) -> str:
        return next((line for line in self.text.splitlines() if line.strip()), "")

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        text = page.read_text()
        for found in _BLOCK.finditer(text) if name not in DONE_ELSEWHERE else ():
            yield Block(name, text.count("\n", 0, found.start()) + 1, found[1], found[2])


def in_sentences() -> Iterator[Block]:
    """Yield the calls in the sentences of the page of incidents, all that have more than a verb."""
    page = ROOT / "docs/incidents.md"
    for call in re.findall(r"`(lbapp [^`\s]+ [^`]+)`", _BLOCK.sub("", page.read_text())):
        yield Block("docs/incidents.md", 0, "sh", call)


def commands(block: Block, program: str) -> Iterator[list[str]]:
    """Yield the words of each line of a block that calls a program, with values in place of what stands for them."""
    for line in block.text.splitlines():
        for part in re.split(r"\s*(?:&&|\||[12]?>)\s*", re.sub(r"\s#.*", "", line)):
            if re.match(rf"{program}(\s|$)", part):
                bare = re.sub(r"\[-f\]", "", part)
                words = shlex.split(re.sub(r"(?<=\s)\[([^\]]*)\]", r"\1", bare))
                yield [_meant(word) for word in words[1:]]


def _meant(word: str) -> str:
    for name, value in MEANT.items():
        word = re.sub(rf"(?<![\w-]){name}(?![\w-])", value, word)
    return word


def why_only_read(words: list[str]) -> str:
    """Return why a call of lbapp is not made here; empty: it is."""
    if words[:1] == ["init"] and "--listen" not in words:
        return "it asks on a terminal"
    return next((ONLY_READ[word] for word in words if word in ONLY_READ), "" if words else "it takes the terminal")


def refused(words: list[str]) -> str:
    """Return what lbapp's own argument parser says against a call; empty: it takes it. Nothing is done."""
    with patch.object(click.Command, "invoke", lambda _self, _context: None):
        done = CliRunner().invoke(cli, words, obj=Settings(), prog_name="lbapp")
    return done.stderr if done.exit_code == 2 else ""


def test_every_block_is_run_or_read_by_something_and_no_exception_is_out_of_date() -> None:
    found = list(blocks())
    unread = [str(each) for each in found if not (readers_of(each) or each.first in SHOWN)]
    assert unread == []
    assert set(SHOWN) <= {each.first for each in found}
    typed = [words for each in (*found, *in_sentences()) for words in commands(each, "lbapp")]
    assert len(typed) > 55
    assert [word for word in ONLY_READ if not any(word in words for words in typed)] == []


def readers_of(block: Block) -> set[str]:
    """Return by what a block is read."""
    by_tools = {tool for tool, mark in READ_BY.items() if mark in block.text}
    return by_tools | ({"shell"} if is_typed(block) else set()) | ({block.kind} & {"toml", "json", "ini"})


def is_typed(block: Block) -> bool:
    """Say whether a block is of commands."""
    words = re.match(r"[\w./-]+", block.first)
    return block.kind == "sh" or (block.kind == "" and words is not None and words[0] in TYPED)


TYPED = ("lbapp", "etcdctl", ".venv/bin/python")
READ_BY = {
    "logrotate": "postrotate", "promtool": "scrape_configs:", "bird": "protocol kernel", "knotc": "update-owner-name:",
    "named-checkconf": "update-policy", "a drawing": "──",
}  # fmt: skip


@pytest.mark.parametrize("page", sorted({each.page for each in blocks() if any(commands(each, "lbapp"))}))
def test_calls_of_a_page_are_taken_by_the_parser_of_arguments(page: str) -> None:
    calls = [words for each in (*blocks(), *in_sentences()) if each.page == page for words in commands(each, "lbapp")]
    assert {" ".join(words): said for words in calls if (said := refused(words))} == {}


@pytest.mark.parametrize("block", [each for each in blocks() if is_typed(each)], ids=str)
def test_commands_of_a_block_are_such_for_the_shell_and_name_files_that_are_there(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    named = re.findall(r"(?<![\w./])((?:packaging|conf|scripts|tests)/[\w./-]+)", block.text)
    assert [each for each in named if not (ROOT / each).exists()] == []
    for words in commands(block, r"\.venv/bin/python -m tests\.bench"):
        assert parse_bench(words[2:]).bench


def test_parser_refuses_what_is_no_call() -> None:
    assert "No such option" in refused(["status", "--patiently"])
    assert "No such command" in refused(["drian", "app/s1"])
    assert "duration" in refused(["drain", "app/s1", "--timeout", "soon"])
    assert refused(["drain", "app/s1", "--timeout", "5m"]) == ""


@pytest.mark.system
def test_calls_of_the_pages_are_made_at_one_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        servers() as ports,
        running_engine(tmp_path, listener_toml("app") + pool_toml("app", ports), workers=1) as engine,
    ):
        wait_for(lambda: request(engine.port()).startswith(b"HTTP/1.1 200"))
        wait_for(lambda: lbapp(engine, "history", "app", "--last", "1m").returncode == 0)  # it has its first second
        made = {f"{block}: {' '.join(words)}": said for block, words, said in _made(engine, tmp_path)}
    assert {call: said for call, said in made.items() if said} == {}
    assert len(made) > 20


def _made(engine: Engine, folder: Path) -> Iterator[tuple[Block, list[str], str]]:
    """Make each call that can be made here; yield it with what went wrong."""
    (folder / "FILE").symlink_to(engine.control.with_name("lbapp.toml"))
    (folder / "etc").mkdir()
    for block in (*blocks(), *in_sentences()):
        for words in commands(block, "lbapp"):
            if not why_only_read(words):
                local = [
                    word.replace("/etc/lbapp", f"{folder}/etc").replace("/var/lib/lbapp", str(folder)) for word in words
                ]
                for written in folder.glob("*.tar.gz"):
                    written.unlink()
                done = lbapp(engine, *local)
                yield block, words, "" if done.returncode == 0 else f"{done.returncode}: {done.stderr}"
        for words in commands(block, "curl"):
            if "--unix-socket" in words:
                yield block, words, _asked(engine, words)


def _asked(engine: Engine, words: list[str]) -> str:
    """Ask the control socket with curl; return what went wrong. A watch goes on, and its first line is enough."""
    command = ["curl", "-sfN", *(str(engine.control) if word == "PATH" else word for word in words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        said = process.stdout.readline() if "watch" in command[-1] else process.stdout.read()
        process.terminate()
    return "" if said.lstrip()[:1] in (b"{", b"#") else repr(said)


def whole(fragment: str) -> str:
    """Return a configuration that has what a page shows of one: the rest is the smallest there can be."""
    server = {"name": "s1", "address": "127.0.0.1:1"}
    base: dict[str, Any] = {
        "listener": [{"name": "web", "bind": "127.0.0.1:0", "protocol": "http", "pool": "app"}],
        "pool": [{"name": "app", "server": [server]}],
    }
    for key, value in tomllib.loads(fragment).items():
        if key in base and isinstance(value, dict):
            base[key][0] |= value
        else:
            base[key] = value
    return tomlkit.dumps(base)


@pytest.mark.parametrize("block", [each for each in blocks() if each.kind == "toml"], ids=str)
def test_configurations_of_the_pages_are_valid(block: Block, tmp_path: Path) -> None:
    authority = Authority()
    pair = authority.issue("app.example.com").write(tmp_path, "app")
    (tmp_path / "etcd.password").touch(0o600)
    (tmp_path / "etcd.password").write_text("secret\n")
    files = {"app.pem": pair.file, "app.key": pair.key, "etcd-ca.pem": str(authority.write(tmp_path))}
    text = block.text
    for name, file in files.items():
        text = text.replace(f"/etc/lbapp/{name}", file)
    assert parse_configuration(whole(text.replace("/etc/lbapp/", f"{tmp_path}/")), "page.toml").pools
    assert tomllib.loads(block.text) or block.first.startswith("#:schema")


def test_configuration_that_a_page_has_wrong_is_found() -> None:
    for wrong in ("[pool.tls]\nverfy = true\n", '[[listener]]\nname = "x"\n', '[cluster]\nlease = "soon"\n'):
        with pytest.raises(Exception, match=r"page\.toml"):
            parse_configuration(whole(wrong), "page.toml")


def _of_bird(text: str) -> str:
    return f"router id 192.0.2.1;\nprotocol device {{}}\n{text}"


def _with_secret(text: str) -> str:
    return text.replace("THE SECRET", "c2VjcmV0")


# What reads the files of others, and what of such a file a page leaves out.
TOOLS: dict[str, tuple[list[str], Callable[[str], str]]] = {
    "logrotate": (["logrotate", "-d", "FILE"], lambda text: text.replace("daily", "missingok\n    daily")),
    "promtool": (["promtool", "check", "config", "FILE"], lambda text: text),
    "bird": (["bird", "-p", "-c", "FILE"], _of_bird),
    "knotc": (["knotc", "-c", "FILE", "conf-check"], _with_secret),
    "named-checkconf": (["named-checkconf", "FILE"], _with_secret),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_files_for_others_are_taken_by_their_own_checkers(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/sbin:/sbin", prepend=":")
    command, complete = TOOLS[tool]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    found = [each for each in blocks() if READ_BY[tool] in each.text]
    assert found
    for block in found:
        file = tmp_path / "file"
        file.write_text(complete(block.text))
        file.chmod(0o644)
        done = subprocess.run(
            [str(file) if word == "FILE" else word for word in command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("block", [each for each in blocks() if each.kind in ("json", "ini")], ids=str)
def test_what_is_json_or_a_unit_is_read_as_such(block: Block) -> None:
    if block.kind == "json":
        assert json.loads(block.text)
        return
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.read_string(block.text)
    assert unit.sections()
    calls = re.findall(r"^Exec\w+=/usr/bin/lbapp (.*)$", block.text, re.MULTILINE)
    assert [said for call in calls if (said := refused(shlex.split(call)))] == []
