"""From records to servers, and from one list of servers to the next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.discovery import Found, SrvRecord, change, servers_of_srv

HOSTS = [f"10.0.0.{number}" for number in range(1, 9)]
Lists = st.lists(st.builds(Found, st.sampled_from(HOSTS), st.just(80), st.integers(1, 256)), unique_by=lambda f: f.host)


@given(st.lists(Lists, max_size=12), st.integers(1, 6), st.randoms())
def test_rows_are_kept_shared_by_nobody_and_enough_for_all_that_fit(
    answers: list[list[Found]], rows: int, random: object
) -> None:
    present: dict[int, Found] = {}
    free = list(range(rows))
    for wanted in answers:
        before = {found.name: row for row, found in present.items()}
        done = change(present, wanted, free)
        for row in done.gone:
            del present[row]
            free.append(row)
        for row in done.added:
            assert row not in present
            assert row not in done.gone
            free.remove(row)
        present |= {**done.added, **done.changed}
        after = {found.name: row for row, found in present.items()}
        assert all(after[name] == row for name, row in before.items() if name in after)
        assert len(set(after.values())) == len(after) == len(present)
        assert {*present.values(), *done.left_out} == set(wanted)
        assert not set(present) & set(free)
        assert not done.left_out or len(before) + len(done.added) == rows


@given(Lists, st.permutations(range(8)))
def test_order_of_the_answer_does_not_matter(wanted: list[Found], order: list[int]) -> None:
    shuffled = [wanted[at] for at in order if at < len(wanted)]
    assert change({}, wanted, range(8)) == change({}, shuffled, range(8))


def test_row_that_has_been_free_for_longest_is_given_away_first() -> None:
    assert list(change({}, [Found("10.0.0.1", 80)], [5, 2, 3]).added) == [5]


def test_srv_records_become_servers_and_backups() -> None:
    records = [
        SrvRecord(10, 60, 8080, "a"),
        SrvRecord(10, 20, 8081, "b"),
        SrvRecord(20, 0, 8080, "c"),
        SrvRecord(10, 20, 9, "gone"),
    ]
    addresses = {"a": ["10.0.0.1", "10.0.0.2"], "b": ["10.0.0.1"], "c": ["10.0.0.3"]}
    assert servers_of_srv(records, addresses) == [
        Found("10.0.0.1", 8080, 60),
        Found("10.0.0.2", 8080, 60),
        Found("10.0.0.1", 8081, 20),
        Found("10.0.0.3", 8080, 1, is_backup=True),
    ]


def test_srv_weights_keep_their_proportions_and_alike_ones_are_the_usual() -> None:
    def weights(*given: int) -> list[int]:
        records = [SrvRecord(0, weight, 80, host) for weight, host in zip(given, HOSTS, strict=False)]
        return sorted(found.weight for found in servers_of_srv(records, {host: [host] for host in HOSTS}))

    assert weights(0, 0) == [100, 100]
    assert weights(5, 5, 5) == [100, 100, 100]
    assert weights(1, 3) == [1, 3]
    assert weights(60000, 30000, 0) == [1, 128, 256]


def test_server_named_twice_is_one() -> None:
    records = [SrvRecord(1, 10, 80, "a"), SrvRecord(0, 10, 80, "b")]
    assert servers_of_srv(records, {"a": ["10.0.0.1"], "b": ["10.0.0.1"]}) == [Found("10.0.0.1", 80)]
    assert servers_of_srv([], {}) == []
