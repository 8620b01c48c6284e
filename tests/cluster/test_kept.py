from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.cluster import kept
from lbapp.cluster.kept import Kept, KeptDamaged
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, FleetView, Member, StoreState
from lbapp.model.journal import Setting
from tests.cluster.node_double import intent, member_state

INTENT = replace(intent("app/s1"), revision=7)
VIEW = FleetView(
    StoreState.SYNCED,
    "",
    1_700_000_000.5,
    9,
    {
        "a": Member("a", {"host": "h"}, dict(member_state()), True, 5.0),
        "b": Member("b", {}, {}, False, 4.0, is_unsure=True),
    },
    {INTENT.key: INTENT},
    FleetConfiguration(3, order=("a", "b"), reached=1, digest="d", revision=8),
    {"a": ConfigurationResult(3, "a", 1.0, "no")},
)
WHOLE = Kept(VIEW, "name", 77, 4, {("app", Setting.PUBLISHED): 12}, ("http://old",))


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "view"
    for _ in range(2):
        kept.write(path, "f", WHOLE)
    read = kept.read(path, "f")
    assert read is not None
    assert replace(read, view=VIEW) == WHOLE
    assert replace(read.view, state=VIEW.state) == VIEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["view"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_keeps_what_was_there_and_no_part_of_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "view"
    kept.write(path, "f", WHOLE)

    def full(_: int) -> None:
        with Path("/dev/full").open("wb", buffering=0) as device:
            device.write(b"x")

    monkeypatch.setattr("lbapp.control.state_file.os.fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        kept.write(path, "f", replace(WHOLE, lease=78))
    assert list(tmp_path.iterdir()) == [path]
    assert (kept.read(path, "f") or WHOLE).lease == 77


def test_where_nothing_was_written_nothing_is_read(tmp_path: Path) -> None:
    assert kept.read(tmp_path / "view", "f") is None


def test_what_a_later_version_kept_before_this_one_was_put_back_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "view"
    kept.write(path, "f", replace(WHOLE, view=replace(VIEW, intents={INTENT.key: replace(INTENT, more={"more": 1})})))
    _, _, body = path.read_bytes().partition(b"\n")
    read = json.loads(body)
    read["pairs"].append({"key": "/lbapp/f/intents/colour/app/s1", "value": "{}", "revision": 5})
    read["pairs"].append({"key": "/lbapp/f/intents/state/app/s9", "value": '{"value": "warm"}', "revision": 5})
    read["later"] = True
    data = json.dumps(read).encode()
    path.write_bytes(b"lbapp fleet 1 %08x\n" % crc32(data) + data)
    found = kept.read(path, "f")
    assert found is not None
    assert found.view.intents == {INTENT.key: replace(INTENT, more={"more": 1})}
    assert found.view.configuration == VIEW.configuration


def test_what_an_earlier_version_kept_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "view"
    kept.write(path, "f", WHOLE)
    read = json.loads(path.read_bytes().partition(b"\n")[2])
    del read["endpoints"]
    for each in read["members"]:
        del each["is_unsure"]
    data = json.dumps(read).encode()
    path.write_bytes(b"lbapp fleet 1 %08x\n" % crc32(data) + data)
    found = kept.read(path, "f")
    assert found is not None
    assert (found.endpoints, found.view.members["b"].is_unsure) == ((), False)


def test_what_is_of_another_fleet_is_nothing(tmp_path: Path) -> None:
    kept.write(tmp_path / "view", "f", WHOLE)
    assert kept.read(tmp_path / "view", "g") is None


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(KeptDamaged, match="cannot be read: Is a directory"):
        kept.read(tmp_path, "f")


def test_a_disk_that_takes_nothing_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "view"
    kept.write(path, "f", WHOLE)
    (tmp_path / "view.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        kept.write(path, "f", Kept())
    assert kept.read(path, "f") is not None


def written(folder: Path) -> bytes:
    kept.write(folder / "whole", "f", WHOLE)
    return (folder / "whole").read_bytes()


@given(st.data())
def test_damage_anywhere_is_said_and_never_taken_for_a_view(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    whole = bytearray(written(folder))
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        del whole[at:]
    else:
        whole[at] ^= data.draw(st.integers(1, 255))
    (folder / "view").write_bytes(whole)
    with pytest.raises(KeptDamaged, match="is damaged and is passed over"):
        kept.read(folder / "view", "f")


@pytest.mark.parametrize("body", ["{}", "[" * 100_000, '{"fleet":"f"}', "\xff", "null"], ids=range(5))
def test_a_body_that_is_no_view_is_said_though_its_checksum_holds(tmp_path: Path, body: str) -> None:
    data = body.encode("latin-1")
    (tmp_path / "view").write_bytes(b"lbapp fleet 1 %08x\n" % crc32(data) + data)
    with pytest.raises(KeptDamaged):
        kept.read(tmp_path / "view", "f")
