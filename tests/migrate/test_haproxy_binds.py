"""Bind lines of haproxy.cfg as listeners."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.config.load import parse_configuration
from lbapp.migrate.haproxy import from_haproxy
from lbapp.migrate.outcome import Fate
from lbapp.model.entities import Listener
from lbapp.model.errors import LbappError
from lbapp.model.tls import ClientCertificates, TlsVersion
from tests.tls_material import Authority

BEHIND = " default_backend b\nbackend b\n server s 127.0.0.1:1\n"


def listeners_of(*binds: str, head: str = "") -> tuple[Listener, ...]:
    lines = "".join(f" bind {each}\n" for each in binds)
    made = from_haproxy(f"{head}frontend f\n mode http\n{lines}{BEHIND}", "f.cfg")
    assert [str(note) for note in made.notes if note.fate is Fate.LEFT] == []
    return parse_configuration(made.text, "made").listeners


def test_addresses_with_other_options_are_listeners_of_their_own() -> None:
    first, second = listeners_of("*:80,127.0.0.1:81 name x", "10.0.0.1:82 accept-proxy tfo")
    assert [str(bind) for bind in first.binds] == ["0.0.0.0:80", "127.0.0.1:81"]
    assert (second.name, second.transport.proxy_protocol, second.transport.fastopen) == ("f-2", True, True)


def test_every_ipv6_address_takes_ipv4_too_unless_the_line_says_not() -> None:
    first, second = listeners_of(":::80", ":::81 v6only")
    assert [each.transport.ipv6_only for each in (first, second)] == [False, True]


def test_address_behind_the_name_of_a_proxy_is_one_to_listen_on() -> None:
    made = from_haproxy("listen l 127.0.0.1:25\n mode tcp\n server s 127.0.0.1:1\n", "f.cfg")
    assert [str(bind) for bind in parse_configuration(made.text, "made").listeners[0].binds] == ["127.0.0.1:25"]


def test_unix_sockets_keep_their_mode() -> None:
    (listener,) = listeners_of("/run/x.sock mode 666 user root")
    assert (listener.binds[0].path, listener.transport.unix_mode, listener.transport.unix_user) == (
        "/run/x.sock",
        0o666,
        "root",
    )


def test_certificates_are_found_from_crt_base_and_clients_are_asked_for_theirs(tmp_path: Path) -> None:
    authority = Authority()
    pair = authority.issue("a.example")
    both = tmp_path / "both.pem"
    both.touch(0o600)
    both.write_bytes(pair.certificate + pair.key)
    tls = f"ssl crt both.pem verify required ca-file {authority.write(tmp_path)} ssl-min-ver TLSv1.3 alpn h2,http/1.1"
    (listener,) = listeners_of(f"*:443 {tls}", head=f"global\n crt-base {tmp_path}\n")
    assert listener.tls is not None
    assert listener.tls.certificates[0].file == str(both)
    assert listener.tls.min_version is TlsVersion.TLS_1_3
    assert listener.tls.client_certificates is ClientCertificates.REQUIRED


@pytest.mark.parametrize("bind", ["*:80 interface eth0", "*:443 ssl", "*:80-90", "*:443 ssl crt /etc/certs/", "fd@3"])
def test_line_that_cannot_be_said_whole_is_left_and_nothing_listens_for_it(bind: str) -> None:
    with pytest.raises(LbappError, match="nothing could be made"):
        from_haproxy(f"frontend f\n mode http\n bind {bind}\n{BEHIND}", "f.cfg")


def test_tls_1_3_and_no_less_is_asked_for_where_global_says_so(tmp_path: Path) -> None:
    pair = Authority().issue("a.example")
    both = tmp_path / "both.pem"
    both.touch(0o600)
    both.write_bytes(pair.certificate + pair.key)
    head = "global\n ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets\n"
    first, second = listeners_of(f"*:443 ssl crt {both}", f"*:444 ssl crt {both} ssl-min-ver TLSv1.2 tfo", head=head)
    assert first.tls is not None
    assert second.tls is not None
    assert (first.tls.min_version, second.tls.min_version) == (TlsVersion.TLS_1_3, TlsVersion.TLS_1_2)


def test_address_by_a_variable_of_the_environment_says_so() -> None:
    outcome = from_haproxy(f"frontend f\n mode http\n bind :80\n bind :$PORT\n{BEHIND}", "f.cfg")
    (note,) = (note for note in outcome.notes if note.fate is Fate.LEFT)
    assert (note.number, note.why.startswith(":$PORT has a variable of HAProxy's environment")) == ("4", True)
