"""Reading a bundle that somebody has sent. That of a real engine is read in tests/system/test_bundle.py."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp import __version__
from lbapp.control.bundle import Bundle, Manifest, read_bundle
from lbapp.control.recall import Past
from lbapp.model.errors import LbappError
from lbapp.model.history_file import FileHead
from lbapp.model.limits import BUNDLE_BYTES_MAX, BUNDLE_PART_BYTES_MAX
from tests.control.test_unpacking import packed, special

MANIFEST: Manifest = {
    "made_at": 1.0, "lbapp": __version__, "python": "3", "openssl": "3", "kernel": "6", "machine": "m", "cpus": 2,
    "parts": [], "missing": {"status.json": "no engine answers"},
}  # fmt: skip
PARTS = (
    "status.json",
    "events.json",
    "sessions.json",
    "latency.json",
    "history.bin",
    "configuration.toml",
    "metrics.txt",
)


def bundle(folder: Path, parts: dict[str, bytes], manifest: Any = MANIFEST) -> Path:
    path = folder / "b.tar.gz"
    whole = {"manifest.json": json.dumps(manifest).encode(), **parts}
    path.write_bytes(packed({f"lbapp-bundle/{name}": content for name, content in whole.items()}))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(LbappError) as refused:
        read_bundle(path)
    assert refused.value.hint == "Name a file that lbapp bundle has written"
    assert refused.value.message.startswith(f"cannot read {path}: ")
    return refused.value.message.removeprefix(f"cannot read {path}: ")


def test_parts_that_are_not_there_are_none_and_those_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    found = read_bundle(bundle(tmp_path, {"later.json": b"?"}))
    assert found == Bundle(MANIFEST, *[None] * 12)


def test_each_part_is_given_as_it_is_elsewhere(tmp_path: Path) -> None:
    parts = {
        "events.json": b"[]",
        "sessions.json": b'{"connections": 3, "sessions": []}',
        "latency.json": b'{"10": {"at": 5, "window_s": 10.5, "listeners": [], "pools": []}}',
        "history.bin": FileHead.for_rows(3, 1).encoded(),
        "configuration.toml": "# \u00e4\n".encode(),
        "metrics.txt": b"up 1\n",
    }
    found = read_bundle(bundle(tmp_path, parts))
    assert found.events == []
    assert found.sessions == {"connections": 3, "sessions": []}
    assert found.latency is not None
    assert found.latency[10.0]["window_s"] == 10.5
    assert found.past == Past()
    assert (found.configuration, found.metrics) == ("# \u00e4\n", "up 1\n")


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"status.json": b"{"}, "status.json is no JSON"),
        ({"status.json": b"\xff"}, "status.json is no JSON"),
        ({"status.json": b"[" * 100_000}, "status.json is no JSON"),
        ({"status.json": b"1" * 5_000}, "status.json is no JSON"),
        ({"status.json": b"{}"}, "status.json has no at"),
        ({"events.json": b'[{"seq": NaN}]'}, "events.json is no JSON"),
        ({"events.json": b'[{"seq": "1"}]'}, "events.json[0].seq is not a whole number"),
        (
            {"latency.json": b'{"x": {"at": 5, "window_s": 1, "listeners": [], "pools": []}}'},
            "latency.json has x in it",
        ),
        ({"history.bin": b"x"}, "history.bin: it is no history of lbapp"),
        ({"configuration.toml": b"\xff"}, "configuration.toml is no text"),
        ({"metrics.txt": b"\x1b]0;"}, "metrics.txt is not plain text"),
        ({"events.json": b" " * (BUNDLE_PART_BYTES_MAX + 1)}, "events.json has 8 MiB; 8 are allowed"),
    ],
)
def test_part_that_is_not_sound_is_refused_by_its_name(tmp_path: Path, parts: dict[str, bytes], reason: str) -> None:
    assert refusal(bundle(tmp_path, parts)).startswith(reason)


def test_refusal_says_that_another_version_has_written_it(tmp_path: Path) -> None:
    path = bundle(tmp_path, {"status.json": b"{}"}, {**MANIFEST, "lbapp": "9.9"})
    assert refusal(path) == f"status.json has no at (lbapp 9.9 has written it, this is {__version__})"


def test_what_is_no_bundle_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    assert refusal(path) == "no such file or directory"
    path.write_bytes(packed({"lbapp-bundle/status.json": b"{}"}))
    assert refusal(path) == "it is no bundle of lbapp: there is no manifest.json in it"
    path.write_bytes(packed({"other/status.json": b"{}"}))
    assert refusal(path) == "it has 'other/status.json' in it, which is no file of the folder lbapp-bundle"
    path.write_bytes(special("lbapp-bundle/status.json", b"2", "/etc/passwd"))
    assert refusal(path) == "status.json is no plain file"
    path.write_text("text")
    assert refusal(path) == "it is no .tar.gz"
    path.write_bytes(bundle(tmp_path, {}).read_bytes()[:-20])
    assert refusal(path) == "it is cut off"
    path.write_bytes(gzip.compress(bytes(BUNDLE_BYTES_MAX + 1), 1))
    assert refusal(path) == "it has more than 200 MiB in it"


def test_folder_and_pipe_are_no_file_and_nobody_waits_for_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path) == refusal(tmp_path / "pipe") == "it is no file"


@given(st.dictionaries(st.sampled_from(PARTS), st.binary(max_size=300)), st.booleans())
def test_garbage_is_read_or_refused_with_a_sentence(parts: dict[str, bytes], is_history: bool) -> None:
    if is_history and "history.bin" in parts:
        parts["history.bin"] = FileHead.for_rows(1, 1).encoded() + parts["history.bin"]
    with tempfile.TemporaryDirectory() as folder:
        path = bundle(Path(folder), parts)
        try:
            found = read_bundle(path)
        except LbappError as refused:
            sentence = refused.message
        else:
            sentence = f"cannot read {path}: not" if found.manifest == MANIFEST else ""
    assert sentence.startswith(f"cannot read {path}: ")
    assert "\n" not in sentence
