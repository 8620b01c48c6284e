"""Operators' changes in a whole engine: kept through kill -9 and restarts, undone, refused where nothing can be kept."""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lbapp.control.changes import ServerPatch, ServersPatch
from lbapp.control.client import ControlClient
from lbapp.model.errors import EngineUnreachable, RequestRefused
from tests.effort import times
from tests.system.harness import (
    NO_CHECK,
    Engine,
    Load,
    lbapp,
    listener_toml,
    pool_toml,
    running_engine,
    servers,
    wait_for,
)

pytestmark = pytest.mark.system

# The supervisor keeps what operators changed, for however many workers.
engine_of = partial(running_engine, workers=1)


def toml(ports: dict[str, int], more: str = "") -> str:
    return listener_toml("app") + pool_toml("app", ports, extra=NO_CHECK) + more


def intended(engine: Engine) -> dict[str, tuple[str, int]]:
    (pool,) = engine.status()["pools"]
    return {each["name"]: (each["admin"], each["weight"]) for each in pool["servers"]}


def test_changes_hold_after_a_restart_and_drains_go_on_where_they_were(tmp_path: Path) -> None:
    with servers() as ports:
        with engine_of(tmp_path, toml(ports)) as engine:
            assert lbapp(engine, "weight", "app/s1", "7", "--reason", "half a disk").returncode == 0
            assert lbapp(engine, "drain", "app/s2", "--timeout", "10m").returncode == 0
            assert lbapp(engine, "unpublish", "app").returncode == 0
        with engine_of(tmp_path, toml(ports)) as engine:
            assert intended(engine) == {"s1": ("ready", 7), "s2": ("drain", 100), "s3": ("ready", 100)}
            drain = engine.server("app/s2")["drain"]
            assert drain is not None
            assert 500 < drain["remaining_s"] < 600
            assert not engine.status()["pools"][0]["published"]
            with engine.client() as client:
                messages = [event["message"] for event in client.events() if event["kind"] == "change_restored"]
            assert any("app/s1 has weight 7 again" in message and "(half a disk)" in message for message in messages)
            shown = lbapp(engine, "diff").stdout
            assert "app/s1" in shown
            assert "100" in shown
            assert lbapp(engine, "publish", "app").returncode == 0
            assert lbapp(engine, "ready", "app/s2").returncode == 0
            assert lbapp(engine, "weight", "app/s1", "100").returncode == 0
            assert lbapp(engine, "diff").stdout == "everything is as in the file\n"


def test_file_that_was_changed_afterwards_beats_an_older_change_and_says_so(tmp_path: Path) -> None:
    with servers() as ports:
        with engine_of(tmp_path, toml(ports)) as engine:
            assert lbapp(engine, "weight", "app/s3", "7").returncode == 0
        with engine_of(tmp_path, toml(ports, "weight = 55\n")) as engine:
            assert intended(engine)["s3"] == ("ready", 55)
            assert "change_overruled" in engine.events()


def test_saved_weight_is_the_files_and_no_change_any_more(tmp_path: Path) -> None:
    with servers() as ports:
        with engine_of(tmp_path, toml(ports, "weight = 100 # of plenty\n")) as engine:
            assert lbapp(engine, "weight", "app/s3", "7").returncode == 0
            assert lbapp(engine, "drain", "app/s1").returncode == 0
            said = lbapp(engine, "save").stdout
            assert f"app/s3: weight 100 -> 7 in {tmp_path}/lbapp.toml\n" in said
            assert "app/s1: state drain has no key in the file" in said
            saved = (tmp_path / "lbapp.toml").read_text()
            assert "weight = 7 # of plenty\n" in saved
        head = saved[saved.index("[[listener]]") :]
        with engine_of(tmp_path, head) as engine:
            assert intended(engine) == {"s1": ("drain", 100), "s2": ("ready", 100), "s3": ("ready", 7)}
            assert "change_overruled" not in engine.events()
            assert "app/s3" not in lbapp(engine, "diff").stdout
            assert engine.events().count("weight_changed") == 1  # that of the engine before


def test_one_command_on_several_servers_is_one_undo(tmp_path: Path) -> None:
    with servers() as ports, engine_of(tmp_path, toml(ports)) as engine:
        assert lbapp(engine, "weight", "app/s1", "7").returncode == 0
        assert lbapp(engine, "maint", "app/*", "--force").returncode == 0
        assert set(intended(engine).values()) == {("maint", 7), ("maint", 100)}
        done = lbapp(engine, "undo", "--reason", "oops")
        assert done.stdout.count("state maint -> ready") == 3
        assert intended(engine) == {"s1": ("ready", 7), "s2": ("ready", 100), "s3": ("ready", 100)}
        assert lbapp(engine, "undo", "1").stdout == "app/s1: weight 7 -> 100\n"
        refused = lbapp(engine, "undo")
        assert (refused.returncode, "there is nothing to undo" in refused.stderr) == (1, True)
        table = lbapp(engine, "changes").stdout
        assert "undo of 2" in table
        assert "(undone)" in table
        assert lbapp(engine, "undo", "4").stdout == "made again: 1\napp/s1: weight 100 -> 7\n"
        assert "redo of 1: app/s1: weight 100 -> 7" in lbapp(engine, "changes").stdout
        assert lbapp(engine, "undo").stdout == "app/s1: weight 7 -> 100\n", "what was made again can be undone"
        found = json.loads(lbapp(engine, "changes", "--json").stdout)
        assert [each["number"] for each in found["actions"]] == [1, 2, 3, 4, 5, 6]
        assert found["actions"][2]["reason"] == "oops"


def test_last_server_is_not_taken_away_by_mistake_and_a_plan_says_what_comes(tmp_path: Path) -> None:
    with servers() as ports, engine_of(tmp_path, toml(ports)) as engine:
        plan = lbapp(engine, "drain", "app/s1", "app/s2", "--dry-run").stdout
        assert plan.startswith("pool app: 3 -> 1 of its servers take new clients\n")
        assert [line.split() for line in plan.splitlines()[2:]] == [
            ["app/s1", "33.3%", "0.0%"], ["app/s2", "33.3%", "0.0%"], ["app/s3", "33.3%", "100.0%"],
        ]  # fmt: skip
        assert set(intended(engine).values()) == {("ready", 100)}
        refused = lbapp(engine, "maint", "app/*")
        assert refused.returncode == 1
        assert "pool app would have no server for new clients: 3 now, 0 requests/s" in refused.stderr
        assert set(intended(engine).values()) == {("ready", 100)}
        assert lbapp(engine, "weight", "app/*", "0", "--force").returncode == 0
        assert set(intended(engine).values()) == {("ready", 0)}
        assert lbapp(engine, "undo").stdout.count("weight 0 -> 100") == 3


def test_undo_does_not_take_the_last_server_away_by_mistake_either(tmp_path: Path) -> None:
    with servers() as ports, engine_of(tmp_path, toml(ports)) as engine:
        assert lbapp(engine, "maint", "app/*", "--force").returncode == 0
        assert lbapp(engine, "ready", "app/*").returncode == 0
        refused = lbapp(engine, "undo")
        assert refused.returncode == 1
        assert (
            "pool app would have no server for new clients: 3 now, 0 requests/s. Repeat it with --force"
            in refused.stderr
        )
        assert set(intended(engine).values()) == {("ready", 100)}
        assert lbapp(engine, "undo", "--force").stdout.count("state ready -> maint") == 3
        assert set(intended(engine).values()) == {("maint", 100)}


def test_what_cannot_be_recorded_is_refused_unless_it_has_to_be(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    with servers() as ports, engine_of(tmp_path, toml(ports), state_dir=tmp_path / "state") as engine:
        assert "journal_unavailable" in engine.events()
        refused = lbapp(engine, "drain", "app/s1")
        assert refused.returncode == 1
        assert "cannot be used" in refused.stderr
        assert "--unrecorded" in refused.stderr
        assert intended(engine)["s1"] == ("ready", 100)
        assert lbapp(engine, "drain", "app/s1", "--unrecorded").returncode == 0
        assert intended(engine)["s1"] == ("drain", 100)
        assert "not recorded" in lbapp(engine, "diff").stdout


def test_every_kind_of_change_is_the_same_after_a_kill(tmp_path: Path) -> None:
    with servers("s1", "s2", "s3", "s4", "s5", "s6") as ports:
        text = toml(ports) + pool_toml("other", ports, extra=NO_CHECK)
        with engine_of(tmp_path, text) as engine:
            patches: list[ServersPatch] = [
                {"servers": ["app/s1"], "weight": 7, "reason": "half a disk"},
                {"servers": ["app/s2"], "state": "drain", "drain_timeout_s": 3600},
                {"servers": ["app/s3"], "state": "drain", "hard": True, "drain_timeout_s": 7200},
                {"servers": ["app/s4", "other/s4"], "state": "maint"},
                {"servers": ["app/s5"], "weight": 0, "over_s": 3600},
                {"servers": ["app/s6"], "weight": 200},
            ]
            with engine.client() as client:
                for patch in patches:
                    client.patch_servers(patch)
                client.undo({"reason": "too much"})
                client.patch_pool("other", {"published": False})
                client.patch_node({"state": "drain", "drain_timeout_s": 3 * 3600})
                differences, actions = client.differences(), client.changes(100)
            engine.process.send_signal(signal.SIGKILL)
            engine.process.wait(20)
        with engine_of(tmp_path, text) as engine, engine.client() as client:
            assert [each["on"] for each in differences if each["setting"] != "weight"] == [
                "app/s2", "app/s3", "app/s4", "other/s4", "node", "other",
            ]  # fmt: skip
            assert client.differences() == differences
            assert client.changes(100) == actions
            node = client.status()["engine"]["drain"]
            assert node is not None
            assert 2 * 3600 < node["remaining_s"] <= 3 * 3600
            drain, ramp = engine.server("app/s3")["drain"], engine.server("app/s5")["ramp"]
            assert drain is not None
            assert ramp is not None
            assert (drain["hard"], ramp["after"]) == (True, 0)


def test_disk_that_fills_up_stops_no_traffic_and_what_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    """The limit on the size of files stands for the disk: the engine can write nothing more to any."""
    configuration = tmp_path / "lbapp.toml"
    with servers() as ports:
        with engine_of(tmp_path, toml(ports)) as engine:
            assert lbapp(engine, "weight", "app/s1", "7").returncode == 0
            text = configuration.read_text()
            soft, hard = resource.prlimit(engine.process.pid, resource.RLIMIT_FSIZE)
            with Load(engine.port()) as load:
                wait_for(lambda: load.answered > 50)
                resource.prlimit(engine.process.pid, resource.RLIMIT_FSIZE, (0, hard))
                configuration.write_text(text + "weight = 50\n")  # of s3
                with engine.client() as client:
                    changes: list[Callable[[], object]] = [
                        lambda: client.patch_server("app", "s2", {"state": "drain"}),
                        lambda: client.patch_pool("app", {"published": False}),
                        lambda: client.undo({}),
                        lambda: client.reload({}),
                        lambda: client.add_server("app", {"name": "s4", "address": "127.0.0.1:1"}),
                    ]
                    for change in changes:
                        with pytest.raises(RequestRefused, match="File too large; nothing was changed") as refused:
                            change()
                        assert refused.value.code == "not_recorded"
                assert intended(engine) == {"s1": ("ready", 7), "s2": ("ready", 100), "s3": ("ready", 100)}
                assert lbapp(engine, "drain", "app/s2", "--unrecorded").returncode == 0
                assert lbapp(engine, "reload", "--unrecorded").returncode == 0
                assert lbapp(engine, "add", "app/s9", "127.0.0.1:1", "--weight", "0", "--unrecorded").returncode == 0
                assert lbapp(engine, "remove", "app/s9", "--unrecorded").returncode == 0
                assert intended(engine) == {"s1": ("ready", 7), "s2": ("drain", 100), "s3": ("ready", 50)}
                wait_for(lambda: {"change_not_recorded", "configuration_not_kept"} <= set(engine.events()))
                answered = load.answered
                wait_for(lambda: load.answered > answered + 50)
                resource.prlimit(engine.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
                assert lbapp(engine, "weight", "app/s3", "9").returncode == 0, "there is room again"
            assert load.failures == []
            engine.process.send_signal(signal.SIGKILL)
            engine.process.wait(20)
        with engine_of(tmp_path, toml(ports) + "weight = 50\n") as engine:
            assert "journal_damaged" not in engine.events()
            assert intended(engine) == {"s1": ("ready", 7), "s2": ("ready", 100), "s3": ("ready", 9)}


# httpcore leaves the socket of a connect that failed to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seed", [1, 2])
def test_acknowledged_changes_survive_kills_at_any_moment(tmp_path: Path, seed: int) -> None:
    """Whatever was acknowledged before the kill is there after it; one more may be, which was on its way."""
    source, acknowledged = random.Random(seed), 0
    with servers() as ports:
        wanted = dict.fromkeys(ports, 100)
        for _ in range(times(2, 4)):
            with engine_of(tmp_path, toml(ports)) as engine:
                assert {name: weight for name, (_, weight) in intended(engine).items()} == wanted
                killer = threading.Timer(source.uniform(0.05, 0.6), os.kill, (engine.process.pid, signal.SIGKILL))
                killer.start()
                sent: tuple[str, int] | None = None
                try:
                    with ControlClient(engine.control) as client:
                        while True:
                            sent = source.choice(list(ports)), source.randrange(257)
                            patch: ServerPatch = {"weight": sent[1]}
                            client.patch_server("app", sent[0], patch)
                            wanted[sent[0]] = sent[1]
                            acknowledged += 1
                except (EngineUnreachable, RequestRefused):
                    killer.join()
                assert engine.process.wait(25) == -signal.SIGKILL
            with engine_of(tmp_path, toml(ports)) as engine:
                found = {name: weight for name, (_, weight) in intended(engine).items()}
                assert sent is not None
                assert found in (wanted, {**wanted, sent[0]: sent[1]})
                wanted = found
        assert acknowledged > times(10, 20)
    gc.collect()
