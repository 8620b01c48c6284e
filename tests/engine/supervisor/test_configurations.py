from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from lbapp.config.load import parse_configuration
from lbapp.engine.supervisor.configurations import (
    APPLIED,
    EDITED,
    REVERTED,
    UNCONFIRMED,
    Chosen,
    Configurations,
    Kept,
    NotKept,
    Source,
    choose_at_start,
    digest_of,
)
from lbapp.engine.supervisor.events import ENGINE
from lbapp.model.limits import CONFIGURATIONS_KEPT


def text(port: int) -> str:
    return (
        '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'
        f'[[pool]]\nname = "app"\n[[pool.server]]\nname = "s1"\naddress = "127.0.0.1:{port}"\n'
    )


def opened(folder: Path) -> Configurations:
    configurations = Configurations(folder / "configurations")
    configurations.open()
    return configurations


def start(folder: Path, port: int) -> Chosen:
    found = text(port)
    configurations = Configurations(folder / "configurations")
    return choose_at_start(configurations, Path("lbapp.toml"), found, parse_configuration(found, "lbapp.toml"))


def port_of(chosen: Chosen) -> int:
    return chosen.version.configuration.pools[0].servers[0].port


def test_what_was_applied_can_be_read_again_by_the_engines_own_user_alone(tmp_path: Path) -> None:
    kept = opened(tmp_path).add(text(1), ENGINE, "why")
    again = opened(tmp_path)
    assert again.kept == [kept]
    assert (again.text(kept), kept.number, kept.reason, kept.state) == (text(1), 1, "why", APPLIED)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "configurations").iterdir()]
    assert modes == [0o600, 0o600]


def test_where_a_configuration_of_a_fleet_is_from_is_kept_and_others_of_its_number_are_others(tmp_path: Path) -> None:
    configurations = opened(tmp_path)
    source = Source("of", 3, store="x", text="one")
    kept = configurations.add(text(1), ENGINE, "", None, source)
    again = opened(tmp_path)
    assert again.source_of(again.kept[0]) == source
    assert kept.is_from(source)
    assert kept.is_from(Source())
    others = [
        Source("", 3, store="y", text="one"),
        Source("", 3, store="x", text="two"),
        Source("", 4, store="x", text="one"),
    ]
    assert not any(kept.is_from(each) for each in others)
    other = configurations.add(text(2), ENGINE, "", None, others[0])
    assert configurations.base_of(other) == other


def test_earlier_is_the_last_that_is_another_and_stays(tmp_path: Path) -> None:
    configurations = opened(tmp_path)
    assert configurations.earlier() is None
    first = configurations.add(text(1), ENGINE, "")
    second = configurations.add(text(2), ENGINE, "")
    configurations.add(text(2), ENGINE, "again")
    assert configurations.earlier() == first
    pending = configurations.add(text(3), ENGINE, "", time.time() + 60)
    assert (pending.state, configurations.last, configurations.confirmed) == (
        UNCONFIRMED,
        pending,
        configurations.kept[2],
    )
    configurations.mark(pending, REVERTED)
    assert configurations.last == configurations.kept[2]
    assert configurations.earlier(2) == second
    assert configurations.earlier(9) is None


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    configurations = opened(tmp_path)
    for port in range(1, CONFIGURATIONS_KEPT + 4):
        configurations.add(text(port), ENGINE, "")
    assert [each.number for each in configurations.kept] == list(range(4, CONFIGURATIONS_KEPT + 4))
    assert len(list((tmp_path / "configurations").glob("*.toml"))) == CONFIGURATIONS_KEPT


def test_damaged_list_is_set_aside_and_a_copy_that_was_changed_is_not_served(tmp_path: Path) -> None:
    kept = opened(tmp_path).add(text(1), ENGINE, "")
    copy = tmp_path / "configurations" / "000001.toml"
    copy.write_text(text(2))
    with pytest.raises(NotKept, match="is not what was applied"):
        opened(tmp_path).text(kept)
    copy.unlink()
    with pytest.raises(NotKept, match="cannot be read"):
        opened(tmp_path).text(kept)
    (tmp_path / "configurations" / "list.json").write_text('[{"number": 1}]')
    configurations = opened(tmp_path)
    assert "it is damaged" in configurations.problem
    assert configurations.kept == []
    assert len(list((tmp_path / "configurations").glob("list.json.damaged-*"))) == 1


def test_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "configurations").write_text("in the way")
    configurations = opened(tmp_path)
    assert configurations.problem
    with pytest.raises(NotKept, match="cannot be kept in"):
        configurations.add(text(1), ENGINE, "")
    chosen = start(tmp_path, 1)
    assert (port_of(chosen), chosen.applied) == (1, None)
    assert [kind for kind, _ in chosen.findings] == ["configuration_not_kept"] * 2


def test_start_takes_the_file_and_keeps_it_once(tmp_path: Path) -> None:
    assert port_of(start(tmp_path, 1)) == 1
    assert port_of(start(tmp_path, 1)) == 1
    assert [each.number for each in opened(tmp_path).kept] == [1]
    assert port_of(start(tmp_path, 2)) == 2
    assert [each.number for each in opened(tmp_path).kept] == [1, 2]


def test_start_within_the_window_serves_what_is_not_confirmed_and_behind_it_what_was(tmp_path: Path) -> None:
    start(tmp_path, 1)
    configurations = opened(tmp_path)
    pending = configurations.add(text(2), ENGINE, "", time.time() + 60)
    chosen = start(tmp_path, 2)
    assert (port_of(chosen), chosen.applied) == (2, pending)
    configurations.add(text(3), ENGINE, "", time.time() - 1)
    chosen = start(tmp_path, 3)
    assert port_of(chosen) == 1
    assert [kind for kind, _ in chosen.findings] == ["configuration_reverted"]
    assert opened(tmp_path).kept[-1].state == REVERTED
    assert port_of(start(tmp_path, 4)) == 4, "a file that is another counts"


def test_start_takes_the_file_all_the_same_where_what_was_confirmed_is_lost(tmp_path: Path) -> None:
    start(tmp_path, 1)
    configurations = opened(tmp_path)
    configurations.mark(configurations.add(text(2), ENGINE, ""), REVERTED)
    (tmp_path / "configurations" / "000001.toml").unlink()
    chosen = start(tmp_path, 2)
    assert port_of(chosen) == 2
    assert [kind for kind, _ in chosen.findings] == ["configuration_not_reverted"]


def test_start_with_an_older_file_serves_it_and_not_what_another_was_edited_to(tmp_path: Path) -> None:
    start(tmp_path, 1)
    configurations = opened(tmp_path)
    edited = configurations.add(text(2), ENGINE, "", source=Source(configurations.kept[0].digest, is_edit=True))
    configurations.mark(configurations.kept[0], EDITED)
    chosen = start(tmp_path, 1)
    assert (port_of(chosen), chosen.applied) == (2, edited)
    assert chosen.in_file.pools[0].servers[0].port == 1
    opened(tmp_path).add(text(3), ENGINE, "another file")
    chosen = start(tmp_path, 1)
    assert (port_of(chosen), chosen.findings) == (1, [])


def test_start_behind_the_window_serves_what_was_confirmed_although_nothing_can_be_written(tmp_path: Path) -> None:
    start(tmp_path, 1)
    opened(tmp_path).add(text(2), ENGINE, "", time.time() - 1)
    (tmp_path / "configurations" / "list.json.new").mkdir()  # in the way of the next list
    chosen = start(tmp_path, 2)
    assert port_of(chosen) == 1
    assert [kind for kind, _ in chosen.findings] == ["configuration_reverted"]


def test_clock_that_was_set_back_gives_no_more_time_to_confirm() -> None:
    kept = Kept(1, 1000.0, "", "", "", UNCONFIRMED, 1300.0)
    assert [kept.left_s(now) for now in (1000.0, 1200.0, 1400.0, 0.0)] == [300.0, 100.0, -100.0, 300.0]


@pytest.mark.parametrize("value", ['"1"', "null", "[]"])
def test_list_with_a_number_of_another_type_is_damaged(tmp_path: Path, value: str) -> None:
    opened(tmp_path).add(text(1), ENGINE, "")
    path = tmp_path / "configurations" / "list.json"
    path.write_text(path.read_text().replace('"number": 1', f'"number": {value}'))
    assert "it is damaged" in opened(tmp_path).problem
    assert port_of(start(tmp_path, 1)) == 1


def test_start_serves_the_fleets_configuration_again_as_long_as_the_file_is_what_it_was(tmp_path: Path) -> None:
    start(tmp_path, 1)
    taken = opened(tmp_path).add(text(2), ENGINE, "", source=Source(digest_of(text(1)), 5))
    chosen = start(tmp_path, 1)
    assert (port_of(chosen), chosen.applied) == (2, taken)
    assert chosen.in_file.pools[0].servers[0].port == 2  # it is no edit of the file
    assert [kind for kind, _ in chosen.findings] == ["configuration_restored"]
    edited = opened(tmp_path).add(text(4), ENGINE, "", source=Source(digest_of(text(1)), 5, is_edit=True))
    chosen = start(tmp_path, 1)
    assert (port_of(chosen), chosen.applied, chosen.in_file.pools[0].servers[0].port) == (4, edited, 2)
    assert opened(tmp_path).source_of(edited) == Source(digest_of(text(1)), 5, is_edit=True)
    assert opened(tmp_path).source_of(taken) == Source(digest_of(text(1)), 5)
    chosen = start(tmp_path, 3)  # the file was changed afterwards
    assert port_of(chosen) == 3
    assert [kind for kind, _ in chosen.findings] == ["configuration_of_fleet_overruled"]
    assert start(tmp_path, 3).findings == []


def test_start_serves_the_file_where_the_copy_of_the_fleets_is_gone(tmp_path: Path) -> None:
    start(tmp_path, 1)
    opened(tmp_path).add(text(2), ENGINE, "", source=Source(digest_of(text(1)), 5))
    (tmp_path / "configurations" / "000002.toml").unlink()
    chosen = start(tmp_path, 1)
    assert port_of(chosen) == 1
    assert [kind for kind, _ in chosen.findings] == ["configuration_of_fleet_overruled"]
