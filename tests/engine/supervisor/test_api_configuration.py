"""The configuration over the control API of a real engine: the file, what serves, and texts that are only looked at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.engine.supervisor.support import Backend, EngineProcess, engine, toml

pytestmark = pytest.mark.system


@pytest.fixture
def running(tmp_path: Path) -> Iterator[EngineProcess]:
    with Backend("one") as one, Backend("two") as two, engine(tmp_path, toml([one.port, two.port])) as process:
        yield process


@pytest.fixture
def control(running: EngineProcess) -> Iterator[httpx.Client]:
    with running.control() as client:
        yield client


@pytest.fixture
def file(tmp_path: Path, running: EngineProcess) -> Path:
    return tmp_path / "lbapp.toml"


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    """One engine, and its file, for all that change neither."""
    folder = tmp_path_factory.mktemp("engine")
    with (
        Backend("one") as one,
        Backend("two") as two,
        engine(folder, toml([one.port, two.port])) as process,
        process.control() as client,
    ):
        yield client, folder / "lbapp.toml"


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_file_and_what_serves_are_told_apart_with_the_reason(control: httpx.Client, file: Path) -> None:
    served = file.read_text()
    found = control.get("/v1/configuration").json()
    assert found == {
        "path": str(file),
        "text": served,
        "digest": digest(file),
        "problem": "",
        "running_text": served,
        "running_number": 1,
        "is_file_other_than_running": False,
        "why_other": "",
    }
    file.write_text(served + "# \u00fc\n")
    found = control.get("/v1/configuration").json()
    assert (found["text"], found["digest"], found["running_text"]) == (file.read_text(), digest(file), served)
    assert found["is_file_other_than_running"] is True
    assert found["why_other"].endswith("is not configuration 1, which serves: it was changed, and not reloaded")
    assert control.get("/v1/diff").json() == {"differences": [], "file": found["why_other"], "fleet": []}


def test_servers_that_were_added_are_no_other_file(control: httpx.Client, file: Path) -> None:
    server = {"name": "s3", "address": "127.0.0.1:1"}
    assert control.post("/v1/pools/app/servers", json=server).status_code == 200
    found = control.get("/v1/configuration").json()
    assert found["is_file_other_than_running"] is False
    assert "s3" in found["running_text"]
    assert "s3" not in found["text"]


@pytest.mark.parametrize("is_there", [False, True], ids=["gone", "no text"])
def test_file_that_cannot_be_read_is_told_and_what_serves_is_given_all_the_same(
    running: EngineProcess, control: httpx.Client, file: Path, is_there: bool
) -> None:
    file.write_bytes(b"\xff")
    if not is_there:
        file.unlink()
    found = control.get("/v1/configuration").json()
    assert (found["text"], found["digest"], found["running_number"]) == (None, None, 1)
    assert ("the file is not UTF-8 text" if is_there else "cannot be read: No such file") in found["problem"]
    assert found["why_other"] == found["problem"]
    running.wait_for(lambda: control.get("/v1/status").json()["engine"]["file_is_other"] == found["problem"])


def test_text_is_looked_at_in_place_of_the_file_and_nothing_is_changed(looked_at: tuple[httpx.Client, Path]) -> None:
    control, file = looked_at
    served = file.read_text()
    text = served.replace('name = "s2"\n', 'name = "s2"\nweight = 7\n')
    done = control.post("/v1/reload", json={"dry_run": True, "text": text})
    assert (done.status_code, done.json()["applied"]) == (200, False)
    (change,) = done.json()["changes"]
    assert (change["what"], change["details"]) == ("server app/s2", ["weight: (not set) -> 7"])
    assert file.read_text() == served
    assert control.get("/v1/pools/app/servers/s2").json()["weight"] == 100


def test_everything_that_is_wrong_with_a_text_is_told_by_line_key_and_what_is_allowed(
    looked_at: tuple[httpx.Client, Path],
) -> None:
    control, file = looked_at
    text = (
        file.read_text()
        .replace('pool = "app"\n', 'pool = "ap"\n', 1)
        .replace('name = "s2"\n', 'name = "s2"\nweight = 999\n')
    )
    answer = control.post("/v1/reload", json={"dry_run": True, "text": text})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "invalid_configuration")
    first, second = error["problems"]
    lines = text.splitlines()
    assert (first["key"], lines[first["line"] - 1], first["file"]) == ("listener[0].pool", 'pool = "ap"', str(file))
    assert (second["key"], lines[second["line"] - 1]) == ("pool[0].server[1].weight", "weight = 999")
    assert (second["message"], second["allowed"]) == ("999 is too large; allowed: 0 to 256", "0 to 256")
    assert error["message"].count("\n") == 1
    assert 'did you mean "app"?' in error["message"]
    (problem,) = control.post("/v1/reload", json={"dry_run": True, "text": "a = "}).json()["error"]["problems"]
    assert (problem["line"], problem["key"]) == (1, "")


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x"},
        {"text": "x", "dry_run": False},
        {"text": 7, "dry_run": True},
        {"text": "\ud800", "dry_run": True},
        {"text": "x", "dry_run": True, "expect_digest": "0" * 64},
        {"expect_digest": 7},
        {"expect_digest": "abc"},
        {"expect_digest": "A" * 64},
    ],
)
def test_text_is_never_applied_and_a_digest_is_one(
    looked_at: tuple[httpx.Client, Path], body: dict[str, object]
) -> None:
    answer = looked_at[0].post("/v1/reload", content=json.dumps(body))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_body")


def test_reload_of_a_file_that_somebody_else_has_changed_is_refused(control: httpx.Client, file: Path) -> None:
    text = file.read_text()
    file.write_text(text + "# mine\n")
    mine = digest(file)
    file.write_text(text + "# theirs\n")
    refused = control.post("/v1/reload", json={"expect_digest": mine})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "changed")
    assert "somebody else has changed it" in refused.json()["error"]["message"]
    assert control.get("/v1/configuration").json()["running_text"] == text
    assert control.post("/v1/reload", json={"expect_digest": digest(file)}).status_code == 200
    assert control.get("/v1/configuration").json()["running_text"] == text + "# theirs\n"


def test_text_of_each_configuration_that_was_applied_is_kept(control: httpx.Client, file: Path) -> None:
    first = file.read_text()
    file.write_text(first + "# second\n")
    assert control.post("/v1/reload").status_code == 200
    assert control.get("/v1/configurations/1").json() == {"number": 1, "text": first}
    assert control.get("/v1/configurations/2").json() == {"number": 2, "text": first + "# second\n"}
    for number in ("3", "-1", "1.0", "9" * 30):
        answer = control.get(f"/v1/configurations/{number}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_configuration")


def test_text_of_many_megabytes_is_looked_at_and_more_is_refused(looked_at: tuple[httpx.Client, Path]) -> None:
    control, file = looked_at
    text = file.read_text() + "#" * 8_000_000 + "\n"
    assert control.post("/v1/reload", json={"dry_run": True, "text": text}).json()["changes"] == []
    assert control.post("/v1/reload", json={"dry_run": True, "text": text * 3}).status_code == 413
