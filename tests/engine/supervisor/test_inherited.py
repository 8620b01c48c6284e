from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lbapp.engine.supervisor.inherited import CONTROL, Inherited, name_of
from lbapp.model.entities import Bind
from lbapp.model.errors import StartError
from tests.engine.supervisor.test_sockets import has_ipv6

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def owned() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def opened(owned: ExitStack, host: str = "127.0.0.1", port: int = 0, *, may_share: bool = True) -> socket.socket:
    found = owned.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(may_share))
    found.bind((host, port))
    found.listen()
    return found


def inherited(owned: ExitStack, *passed: tuple[str, socket.socket]) -> Inherited:
    """Return what an engine finds that copies of these sockets are passed to."""
    found = Inherited.of([name for name, _ in passed], [os.dup(each.fileno()) for _, each in passed])
    owned.callback(found.close_rest)
    return found


def take(found: Inherited, owned: ExitStack, key: str, bind: Bind, *, is_dual: bool = False) -> list[int]:
    """Return the numbers of the sockets that are taken, which are closed at the end."""
    taken = found.take(key, bind, is_dual=is_dual)
    for each in taken.sockets.values():
        owned.callback(each.close)
    return list(taken.sockets)


def bind_of(each: socket.socket) -> Bind:
    return Bind(each.getsockname()[0], each.getsockname()[1])


def test_all_sockets_of_a_key_are_found_by_their_numbers(owned: ExitStack) -> None:
    first = opened(owned)
    bind = bind_of(first)
    second, other = opened(owned, port=bind.port), opened(owned)
    found = inherited(
        owned, (name_of("k", 2), second), (name_of("k", 0), first), (name_of("other", 0), other), (CONTROL, other)
    )
    assert take(found, owned, "k", bind) == [0, 2]
    assert take(found, owned, "k", bind) == []
    assert found.close_rest() == [str(bind_of(other))]
    control = found.control()
    assert control is not None
    control.close()
    assert found.control() is None


def test_one_socket_under_several_names_is_one_and_shared_if_none_may_be_beside_it(owned: ExitStack) -> None:
    only = opened(owned, may_share=False)
    found = inherited(owned, (name_of("k", 0), only), (name_of("k", 1), only), ("web.socket", only))
    taken = found.take("k", bind_of(only), is_dual=False)
    owned.callback(taken.sockets[0].close)
    assert (list(taken.sockets), taken.is_shared) == ([0], True)
    assert found.close_rest() == []


def test_two_sockets_with_one_name_are_both_used(owned: ExitStack) -> None:
    first = opened(owned)
    second = opened(owned, port=bind_of(first).port)
    found = inherited(owned, (name_of("k", 0), first), (name_of("k", 0), second))
    assert take(found, owned, "k", bind_of(first)) == [0, 1]
    assert found.before == {name_of("k", 0): 0}, "which of them is kept under that name is not known"


def test_socket_of_a_unit_is_lent_whatever_the_unit_is_called(owned: ExitStack) -> None:
    for name in ("lbapp.socket", "web.socket", "", "lbapp", "lbapp.7"):
        lent = opened(owned, may_share=False)
        found = inherited(owned, (name, lent))
        taken = found.take("k", bind_of(lent), is_dual=False)
        owned.callback(taken.sockets[0].close)
        assert (taken.is_lent, taken.is_shared, found.before) == (True, True, {})


def test_socket_that_was_lent_to_the_engine_before_is_still_lent(owned: ExitStack) -> None:
    lent = opened(owned)
    found = inherited(owned, (name_of("k", 0, is_lent=True), lent))
    taken = found.take("k", bind_of(lent), is_dual=False)
    owned.callback(taken.sockets[0].close)
    assert (taken.is_lent, found.before) == (True, {})


def test_socket_is_used_for_no_other_address_than_its_own(owned: ExitStack) -> None:
    lent = opened(owned)
    port = bind_of(lent).port
    found = inherited(owned, ("web.socket", lent))
    for bind in (
        Bind("127.0.0.2", port),
        Bind("0.0.0.0", port),
        Bind("127.0.0.1", 1),
        Bind("::", port),
        Bind(path="/x"),
    ):
        assert take(found, owned, "k", bind) == []
    assert take(found, owned, "k", Bind("127.0.0.1", port)) == [0]


def test_what_does_not_listen_is_not_used_and_what_is_no_socket_is_closed(owned: ExitStack, tmp_path: Path) -> None:
    silent = owned.enter_context(socket.socket())
    silent.bind(("127.0.0.1", 0))
    file = os.open(tmp_path, os.O_RDONLY)
    found = Inherited.of(["a.socket", "file"], [os.dup(silent.fileno()), file])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)
    assert take(found, owned, "k", bind_of(silent)) == []
    assert found.close_rest() == [str(bind_of(silent))]


@needs_ipv6
def test_every_address_of_ipv4_and_of_ipv6_are_two_things(owned: ExitStack) -> None:
    four = opened(owned, "0.0.0.0")
    port = bind_of(four).port
    found = inherited(owned, ("web.socket", four))
    assert take(found, owned, "k", Bind("::", port)) == []
    assert take(found, owned, "k", Bind("::", port), is_dual=True) == []
    assert take(found, owned, "k", Bind("", port)) == [0]


@needs_ipv6
@pytest.mark.parametrize(("is_dual", "sentence"), [(True, "takes IPv4 as well"), (False, "takes IPv6 alone")])
def test_socket_that_takes_other_clients_than_the_listener_is_refused_with_a_sentence(
    owned: ExitStack, is_dual: bool, sentence: str
) -> None:
    six = owned.enter_context(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=is_dual))
    found = inherited(owned, ("web.socket", six))
    with pytest.raises(StartError, match=sentence):
        found.take("k", bind_of(six), is_dual=not is_dual)
    assert take(found, owned, "k", bind_of(six), is_dual=is_dual) == [0]


def test_names_are_short_and_without_colons_and_as_different_as_their_keys() -> None:
    long = "unix:/" + "ä" * 50
    names = [name_of(key, 3) for key in ("0.0.0.0:80", "[::]:80,dual", long + "1", long + "2")]
    assert len(set(names)) == 4
    assert all(len(name) <= 255 and ":" not in name and name.isascii() for name in names)


def test_what_is_passed_to_another_process_is_left_alone() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web.socket"}
    assert Inherited.from_environment(environment).others == []
    assert environment == {}, "children are not to take it for theirs"


def test_descriptors_are_found_in_the_environment_and_not_passed_on(owned: ExitStack) -> None:
    lent = opened(owned)
    asked = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3)\n"
        "from lbapp.engine.supervisor.inherited import Inherited\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='web.socket')\n"
        "(found,) = Inherited.from_environment(os.environ).others\n"
        "print(found.fileno(), found.getsockname()[1], os.get_inheritable(3), sorted(k for k in os.environ if 'LISTEN' in k))"
    )
    said = subprocess.run(
        [sys.executable, "-c", asked, str(lent.fileno())],
        pass_fds=[lent.fileno()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == f"3 {bind_of(lent).port} False []"
