"""Who may do what on the control socket, with real processes of other users."""

from __future__ import annotations

import grp
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbapp.engine.supervisor.access import Access, Role
from lbapp.model.entities import EngineSettings
from lbapp.model.errors import StartError
from tests.children import child
from tests.engine.supervisor.support import Backend, EngineProcess, engine, toml

OPERATORS, VIEWERS = "daemon", "games"  # groups that every Debian has
NOBODY = 65534
ASK = """
import json, socket, sys
path, method, target, body = sys.argv[1:5]
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(path)
    head = f"{method} {target} HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
    connection.sendall((head + body).encode())
    answer = b""
    while data := connection.recv(65536):
        answer += data
print(answer.split(b" ")[1].decode(), answer.partition(b"\\r\\n\\r\\n")[2].decode()[:300].replace("\\n", " "))
"""


def test_root_and_the_engines_user_may_everything_and_others_what_their_groups_may() -> None:
    access = Access(operators=7, viewers=8)
    assert access.role_of(0, frozenset()) is Role.OPERATE
    assert access.role_of(os.geteuid(), frozenset()) is Role.OPERATE
    assert access.role_of(1234, frozenset((5, 7))) is Role.OPERATE
    assert access.role_of(1234, frozenset((8, 5))) is Role.LOOK
    assert access.role_of(1234, frozenset((5,))) is Role.NONE
    assert Access().role_of(1234, frozenset((0,))) is Role.NONE
    assert not Access().is_open


def test_group_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(StartError, match=r"engine\.viewers: there is no group no-such-group") as caught:
        Access.of(EngineSettings(viewers="no-such-group"))
    assert "groupadd" in caught.value.hint
    assert Access.of(EngineSettings(operators=OPERATORS)).operators == grp.getgrnam(OPERATORS).gr_gid


@pytest.fixture(scope="module")
def running() -> Iterator[EngineProcess]:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    folder = Path("/tmp") / f"lbapp-access-{os.getpid()}"
    folder.mkdir(mode=0o755)
    text = toml([1]).replace("[engine]\n", f'[engine]\noperators = "{OPERATORS}"\nviewers = "{VIEWERS}"\n')
    try:
        with Backend("one"), engine(folder, text) as process:
            yield process
    finally:
        subprocess.run(["rm", "-r", folder], check=True)


def ask(running: EngineProcess, group: str | None, method: str, target: str, body: str = "") -> tuple[int, str]:
    """Call as user nobody with a further group."""
    extra = [] if group is None else [grp.getgrnam(group).gr_gid]
    command = ["/usr/bin/python3", "-c", ASK, str(running.socket), method, target, body]
    done = subprocess.run(
        command, user=NOBODY, group=NOBODY, extra_groups=extra, capture_output=True, text=True, check=True, cwd="/"
    )
    status, _, answer = done.stdout.partition(" ")
    return int(status), answer


@pytest.mark.system
def test_operators_may_change_viewers_may_look_and_strangers_may_nothing(running: EngineProcess) -> None:
    server, change = "/v1/pools/app/servers/s1", json.dumps({"weight": 5, "force": True})
    assert ask(running, OPERATORS, "PATCH", server, change)[0] == 200
    assert ask(running, VIEWERS, "GET", "/v1/status")[0] == 200
    assert ask(running, VIEWERS, "GET", "/metrics")[0] == 200
    assert ask(running, VIEWERS, "GET", "/v1/configurations")[0] == 200
    assert ask(running, OPERATORS, "GET", "/v1/configuration")[0] == 200
    for group, method, target, body in (
        (VIEWERS, "PATCH", server, change),
        (VIEWERS, "POST", "/v1/stop", ""),
        (VIEWERS, "GET", "/v1/configuration", ""),
        (VIEWERS, "GET", "/v1/configurations/1", ""),
        (VIEWERS, "POST", "/v1/servers/kill", '{"servers": ["app/s1"]}'),
        (VIEWERS, "DELETE", "/v1/persistence", ""),
        (None, "GET", "/v1/status", ""),
        (None, "PATCH", server, change),
    ):
        status, answer = ask(running, group, method, target, body)
        assert (status, json.loads(answer)["error"]["code"]) == (403, "forbidden")
    with running.control() as control:
        refused = [event for event in control.get("/v1/events").json()["events"] if event["kind"] == "call_refused"]
        assert [event["message"] for event in refused][:2] == [
            "nobody may not PATCH /v1/pools/app/servers/s1", "nobody may not POST /v1/stop",
        ]  # fmt: skip
        assert refused[0]["actor"]["uid"] == NOBODY
        assert control.get("/v1/status").json()["pools"][0]["servers"][0]["weight"] == 5


@pytest.mark.system
def test_refusals_without_end_are_one_event(running: EngineProcess) -> None:
    for number in range(5):
        assert ask(running, None, "GET", f"/v1/pools/%1b%0a{number}")[0] == 403
    with running.control() as control:
        messages = [event["message"] for event in control.get("/v1/events").json()["events"]]
    (said,) = [message for message in messages if "/v1/pools/" in message and "GET" in message]
    assert said.startswith("nobody may not GET /v1/pools/")
    assert said.isprintable()


STAY = """
import socket, sys
held = []
for _ in range(80):
    held.append(socket.socket(socket.AF_UNIX))
    held[-1].connect(sys.argv[1])
print("here", flush=True)
refused = 0
for connection in held[10:]:
    refused += connection.recv(65536).startswith(b"HTTP/1.1 503")
print(refused, flush=True)
sys.stdin.read()
"""


@pytest.mark.system
def test_strangers_take_nobodys_place(running: EngineProcess) -> None:
    command = ["/usr/bin/python3", "-c", STAY, str(running.socket)]
    with child(
        command, user=NOBODY, group=NOBODY, extra_groups=[], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
    ) as strangers:
        assert strangers.stdout is not None
        assert strangers.stdout.readline() == b"here\n"
        assert strangers.stdout.readline() == b"70\n"
        assert ask(running, VIEWERS, "GET", "/v1/status")[0] == 200
        assert strangers.stdin is not None
        strangers.stdin.close()
