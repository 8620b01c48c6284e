"""Certificates in files, watched: what is good replaces what serves, what is bad never does."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from lbapp.config.certificates import inspect
from lbapp.engine.channel import Message, TlsChanged
from lbapp.engine.supervisor.certificates import Certificates, step_of
from lbapp.engine.supervisor.events import Events
from lbapp.model.entities import Configuration, EngineSettings, Listener, Pool, Protocol, Server
from lbapp.model.errors import StartError
from lbapp.model.tls import CertificateFiles, ClientCertificates, ListenerTls, PoolTls
from tests.engine.supervisor.support import until
from tests.tls_material import Authority, Pair

pytestmark = pytest.mark.anyio
AUTHORITY = Authority()
DAY = 86_400


def configured(tls: ListenerTls | None, pool: PoolTls | None = None) -> Configuration:
    listener = Listener("web", (), Protocol.HTTP, "app", tls=tls)
    servers = (Server("app", "s", "backend.test", 443),)
    return Configuration(EngineSettings(), (listener,), (Pool("app", servers, tls=pool),))


def written(folder: Path, pair: Pair, name: str = "app") -> CertificateFiles:
    """Write as an operator who is careful does: each file whole, under another name first."""
    files = pair.write(folder, f".{name}")
    placed = CertificateFiles(str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
    Path(files.file).rename(placed.file)
    Path(files.key).rename(placed.key)
    return placed


def remove(path: str) -> None:
    Path(path).unlink()


def open_to_all(path: str) -> None:
    Path(path).chmod(0o644)


class Watched:
    """Certificates with their loop running."""

    def __init__(self, configuration: Configuration) -> None:
        self.events = Events()
        self.certificates = Certificates(configuration, self.events)
        self.told: list[Message] = []

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events.after(0)]

    async def until(self, condition: Callable[[], object]) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.certificates.run, self.told.append)
            await until(condition)
            tasks.cancel_scope.cancel()


async def test_new_pair_replaces_the_old_one_and_every_worker_is_told(tmp_path: Path) -> None:
    files = written(tmp_path, AUTHORITY.issue("old.test"))
    watched = Watched(configured(ListenerTls((files,))))
    assert watched.certificates.of_listener("web")[0]["names"] == ["old.test"]
    written(tmp_path, AUTHORITY.issue("new.test", days=60))
    await watched.until(lambda: watched.told)
    (message,) = watched.told
    assert isinstance(message, TlsChanged)
    assert message.material.certificates["web"][0].names == ("new.test",)
    assert watched.certificates.material is message.material
    shown = watched.certificates.of_listener("web")[0]
    assert (shown["names"], 59 < shown["days_left"] < 61) == (["new.test"], True)
    assert watched.kinds() == ["certificate_replaced"]


async def test_bad_pair_replaces_nothing_is_said_once_and_can_be_put_right(tmp_path: Path) -> None:
    files = written(tmp_path, AUTHORITY.issue("old.test"))
    watched = Watched(configured(ListenerTls((files,))))
    before = watched.certificates.material
    other = replace(AUTHORITY.issue("new.test"), key=AUTHORITY.issue("new.test").key)
    written(tmp_path, other)
    await watched.until(lambda: watched.kinds() == ["certificate_refused"])
    await watched.until(lambda: watched.certificates._settled() == [])
    assert watched.told == []
    assert watched.certificates.material is before
    assert watched.certificates.of_listener("web")[0]["names"] == ["old.test"]
    remove(files.key)
    await watched.until(lambda: watched.kinds() == ["certificate_refused"] * 2)
    assert "cannot be read" in watched.events.after(1)[0]["message"]
    written(tmp_path, AUTHORITY.issue("good.test"))
    await watched.until(lambda: watched.told)
    assert watched.certificates.of_listener("web")[0]["names"] == ["good.test"]


async def test_key_that_everybody_may_read_is_refused_while_running_too(tmp_path: Path) -> None:
    files = written(tmp_path, AUTHORITY.issue("a.test"))
    watched = Watched(configured(ListenerTls((files,))))
    open_to_all(files.key)
    await watched.until(lambda: watched.kinds() == ["certificate_refused"])
    with pytest.raises(StartError, match="chmod 600"):
        Certificates(configured(ListenerTls((files,))), Events())


async def test_files_touched_and_not_changed_are_nothing_new(tmp_path: Path) -> None:
    files = written(tmp_path, AUTHORITY.issue("a.test"))
    watched = Watched(configured(ListenerTls((files,))))
    os.utime(files.file, (1, 1))
    source = next(iter(watched.certificates._sources.values()))
    await watched.until(lambda: source.judged == source.signature())
    assert (watched.told, watched.kinds()) == ([], [])


async def test_authorities_and_certificates_for_servers_are_watched_too(tmp_path: Path) -> None:
    ca, clients = AUTHORITY.write(tmp_path), Authority("clients").write(tmp_path)
    tls = ListenerTls(
        (written(tmp_path, AUTHORITY.issue("a.test")),),
        client_certificates=ClientCertificates.REQUIRED,
        client_ca_file=str(clients),
    )
    own = written(tmp_path, AUTHORITY.issue(common="lbapp"), "own")
    watched = Watched(configured(tls, PoolTls(ca_file=str(ca), certificate=own)))
    pool = watched.certificates.configuration.pools[0]
    before = watched.certificates.to_server(pool, pool.servers[0])
    assert before is not None
    assert before.name == "backend.test"
    for path, owner in ((clients, "client_authorities"), (ca, "authorities")):
        other = Authority("other").pem
        path.write_bytes(other)
        await watched.until(lambda: watched.told)
        message = watched.told.pop()
        assert isinstance(message, TlsChanged)
        assert other in getattr(message.material, owner).values()
    after = watched.certificates.to_server(pool, pool.servers[0])
    assert after is not None
    assert after.context is not before.context
    assert watched.kinds() == ["certificate_replaced"] * 2


async def test_days_left_are_said_once_for_each_step(tmp_path: Path) -> None:
    files = written(tmp_path, AUTHORITY.issue("a.test", days=90))
    events, now = Events(), [0.0]
    certificates = Certificates(configured(ListenerTls((files,))), events, lambda: now[0])
    ends = certificates.of_listener("web")[0]["not_after"]
    for days in (40, 29.9, 29, 13.9, 8, 6.9, 0.9, 0.5, -0.1, -5):
        now[0] = ends - days * DAY
        certificates.say_what_runs_out()
    said = [(event["kind"], event["after"]) for event in events.after(0)]
    assert said == [("certificate_expires_soon", step) for step in (30, 14, 7, 1)] + [("certificate_expired", None)]


def test_short_lived_certificate_is_not_said_to_run_out_from_its_first_day() -> None:
    files = CertificateFiles("/c", "/k")
    pair = AUTHORITY.issue("a.test", days=6)
    certificate = inspect(pair.certificate, pair.key, files)
    assert step_of(certificate, certificate.not_before) is None
    assert step_of(certificate, certificate.not_after - 5 * DAY) is None
    assert step_of(certificate, certificate.not_after - 0.5 * DAY) == 1
    assert step_of(replace(certificate, not_after=0.0), 1.0) == 0


async def test_servers_that_are_not_verified_are_said_at_the_start() -> None:
    watched = Watched(configured(None, PoolTls(verify=False)))
    await watched.until(lambda: watched.kinds() == ["servers_not_verified"])
    assert "verify = false" in watched.events.after(0)[0]["message"]
