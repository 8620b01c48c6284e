from __future__ import annotations

import grp
import os
import re
import resource
import socket
import stat
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path

import pytest

from lbapp.engine.supervisor.inherited import Inherited, name_of
from lbapp.engine.supervisor.sockets import Listening, check_sources, raise_open_files_limit, warnings
from lbapp.engine.supervisor.unix_files import open_unix
from lbapp.model.entities import Bind, Listener, Pool
from lbapp.model.errors import StartError
from lbapp.model.transport import ListenerTransport, PoolTransport


def listener(*binds: Bind, name: str = "web", transport: ListenerTransport | None = None) -> Listener:
    return Listener(name, binds, pool="app", transport=transport or ListenerTransport())


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_every_worker_gets_its_own_socket_on_the_port_found_for_port_0() -> None:
    listening = Listening.open([listener(Bind("127.0.0.1", 0))], workers=3)
    try:
        fds = [fd for slot in range(3) for fd in listening.of_worker(slot).values()]
        assert len(set(fds)) == 3
        for fd in fds:
            with socket.socket(fileno=os.dup(fd)) as opened:
                assert opened.getsockname()[1] == listening.binds("web")[0].port
        assert listening.of_worker(3) == listening.of_worker(0)
    finally:
        listening.close()


def test_clients_are_queued_before_any_worker_accepts_and_get_no_delay_sockets() -> None:
    listening = Listening.open([listener(Bind("127.0.0.1", 0))], workers=1)
    try:
        with socket.create_connection(("127.0.0.1", listening.binds("web")[0].port), 5):
            accepting = socket.socket(fileno=os.dup(*listening.of_worker(0).values()))
            accepting.settimeout(5)
            accepted, _ = accepting.accept()
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            accepted.close()
            accepting.close()
    finally:
        listening.close()


def test_port_in_use_is_one_sentence_and_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        first = Bind("127.0.0.1", 0)
        before = len(list(Path("/proc/self/fd").iterdir()))
        sentence = rf"^cannot listen on 127\.0\.0\.1:{port} \(listener web\): address already in use"
        with pytest.raises(StartError, match=sentence):
            Listening.open([listener(first, Bind("127.0.0.1", port))], workers=2)
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_port_of_another_engine_is_in_use_although_both_share_ports() -> None:
    other = Listening.open([listener(Bind("127.0.0.1", 0))], workers=2)
    try:
        with pytest.raises(StartError, match="address already in use"):
            Listening.open([listener(*other.binds("web"))], workers=2)
    finally:
        other.close()


def test_address_of_another_machine_is_refused_with_a_hint() -> None:
    with pytest.raises(StartError, match=re.escape("this machine has no such address. See its addresses")):
        Listening.open([listener(Bind("192.0.2.1", 8080))], workers=1)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv6_bind_leaves_the_ipv4_port_free() -> None:
    listening = Listening.open([listener(Bind("::", 0))], workers=2)
    try:
        port = listening.binds("web")[0].port
        assert str(listening.binds("web")[0]) == f"[::]:{port}"
        with socket.create_connection(("::1", port), 5):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)
    finally:
        listening.close()


def test_unix_listener_is_shared_by_all_workers_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    listening = Listening.open([listener(Bind(path=str(path)))], workers=2)
    assert listening.of_worker(0) == listening.of_worker(1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    listening.close()
    assert not path.exists()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_dual_stack_bind_takes_both_and_conflicts_with_ipv4() -> None:
    both = ListenerTransport(ipv6_only=False)
    listening = Listening.open([listener(Bind("::", 0), transport=both)], workers=2)
    try:
        port = listening.binds("web")[0].port
        for host in ("::1", "127.0.0.1"):
            with socket.create_connection((host, port), 5):
                pass
        with pytest.raises(StartError, match="address already in use"):
            Listening.open([listener(Bind("0.0.0.0", port))], workers=1)
    finally:
        listening.close()


def test_unix_listener_gets_the_mode_and_owner_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    group = grp.getgrgid(os.getgid()).gr_name
    transport = ListenerTransport(unix_mode=0o602, unix_group=group)
    listening = Listening.open([listener(Bind(path=str(path)), transport=transport)], workers=1)
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o602
        assert path.stat().st_gid == os.getgid()
    finally:
        listening.close()


def test_owner_that_there_is_not_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with pytest.raises(StartError, match=r"^cannot give .*web\.sock to its owner: no such user: 'nobody-here'"):
        Listening.open(
            [listener(Bind(path=str(path)), transport=ListenerTransport(unix_user="nobody-here"))], workers=1
        )
    assert not path.exists()


def test_socket_that_everybody_may_use_is_said_out_loud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = tmp_path / "tcp_fastopen"
    monkeypatch.setattr("lbapp.engine.supervisor.sockets._FASTOPEN_PATH", setting)
    unix, tcp = Bind(path="/x"), Bind("127.0.0.1", 1)
    world, fast = ListenerTransport(unix_mode=0o666), ListenerTransport(fastopen=True)
    (found,) = warnings([listener(unix, transport=world), listener(unix), listener(tcp, transport=world)])
    assert found == "listener web: with unix_mode 0666 every user of this machine may connect"
    everybody = ListenerTransport(
        proxy_protocol=True, proxy_protocol_from=(ip_network("10.0.0.0/8"), ip_network("::/0"))
    )
    assert "everybody may be anybody" in warnings([listener(tcp, transport=everybody)])[0]
    for content, count in (("1", 1), ("3", 0), ("?", 1)):
        setting.write_text(content)
        assert len(warnings([listener(tcp, transport=fast)])) == count


def test_source_has_to_be_an_address_of_this_machine() -> None:
    check_sources([Pool("app", ()), Pool("app", (), transport=PoolTransport(source="127.0.0.5"))])
    with pytest.raises(
        StartError, match=r"^cannot connect from source 192\.0\.2\.1 \(pool app\): this machine has no such"
    ):
        check_sources([Pool("app", (), transport=PoolTransport(source="192.0.2.1"))])


def test_file_in_the_way_of_a_unix_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("keep me")
    with pytest.raises(OSError, match="no socket"):
        open_unix(path, 0o600)
    with pytest.raises(StartError, match=r"a file that is no socket is in the way\. Remove it"):
        Listening.open([listener(Bind(path=str(path)))], workers=1)
    assert path.read_text() == "keep me"


def test_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        assert raise_open_files_limit() == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(("before", "after"), [(3, 1), (3, 2), (5, 2), (4, 2), (1, 3)])
def test_every_inherited_socket_has_a_worker_also_with_fewer_workers_than_before(before: int, after: int) -> None:
    with ExitStack() as owned:
        first = Listening.open([listener(Bind("127.0.0.1", 0))], workers=before)
        owned.callback(first.close)
        binds = first.binds("web")
        again = listener(*binds)
        mine = Listening.open([again], workers=before, inherited=handed_over(first, rename=binds))
        owned.callback(mine.close)
        for _ in range(2):  # and once more behind that
            mine = Listening.open([again], workers=after, inherited=handed_over(mine))
            owned.callback(mine.close)
            assert len(mine.named()) == max(before, after)
            accepted = [mine.of_worker(slot) for slot in range(after)]
            assert set().union(*accepted) == set(mine.named())
            assert all(len(each) >= max(before, after) // after for each in accepted)
            assert [name for name, _ in mine.told(0, [again], {})] == list(accepted[0])


def test_lent_socket_is_shared_by_all_workers_and_not_given_to_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "lent.sock"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.create_server(str(path), family=socket.AF_UNIX) as unix,
    ):
        inherited = Inherited.of(["lbapp.socket", "lbapp.socket"], [os.dup(tcp.fileno()), os.dup(unix.fileno())])
        binds = Bind("127.0.0.1", tcp.getsockname()[1]), Bind(path=str(path))
        listening = Listening.open([listener(*binds)], workers=3, inherited=inherited)
        listening.take_over()
        assert len(listening.of_worker(0)) == 2
        assert listening.of_worker(0) == listening.of_worker(1) == listening.of_worker(2)
        assert listening.to_be_kept() == {}
        again = Listening.open([listener(*binds)], workers=2, inherited=handed_over(listening))
        assert again.to_be_kept() == {}
        listening.close()
        again.close()
        assert path.exists(), "it is the service manager's"


def test_unix_socket_whose_file_is_gone_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    former = Listening.open([listener(Bind(path=str(path)))], workers=2)
    inherited = handed_over(former)
    former.close()
    listening = Listening.open([listener(Bind(path=str(path)))], workers=2, inherited=inherited)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(path))
    finally:
        listening.close()


def handed_over(listening: Listening, rename: tuple[Bind, ...] = ()) -> Inherited:
    """Return what the next engine gets. `rename`: the port that was found for port 0 stands in its file from now on."""
    named = listening.named()
    if rename:
        named = {name_of(str(rename[0]), number): fd for number, fd in enumerate(named.values())}
    return Inherited.of(named, [os.dup(fd) for fd in named.values()])
