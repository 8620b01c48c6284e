"""What is said of the records, once each, and when they are gone."""

from __future__ import annotations

import logging

import pytest

from lbapp.cluster.dns.asking import Heard
from lbapp.cluster.dns.decide import Decision, Seen, Wish, decide
from lbapp.cluster.dns.notes import Note
from lbapp.cluster.dns.telling import Story
from tests.cluster.dns.support import settings

NOW_S = 1_764_374_400.0


def zone(*notes: Note, ttl_s: int = 20) -> Seen:
    addresses = {address for note in notes if note.left_s is None for address in note.addresses}
    return Seen(frozenset(addresses), ttl_s, {note.text(): note for note in notes})


def own(**more: object) -> Note:
    return Note("lb1", ("192.0.2.1",), **more)  # type: ignore[arg-type]


OTHER = Note("lb2", ("192.0.2.2",))


@pytest.fixture
def story(caplog: pytest.LogCaptureFixture) -> Story:
    caplog.set_level(logging.INFO)
    return Story(settings(), "192.0.2.53:53")


def settle(story: Story, seen: Seen, *, is_in: bool, now_s: float = NOW_S) -> Decision:
    decision = decide(settings(), seen, Wish(is_in), now_s)
    story.settle(seen, decision, is_in=is_in, now_s=now_s)
    return decision


def test_before_anything_was_seen_it_is_starting(story: Story) -> None:
    report = story.report(NOW_S)
    assert (report["state"], report["left_at"], report["own"]) == ("starting", None, ["192.0.2.1"])


def test_record_that_leaves_is_gone_when_its_ttl_has_passed(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    settle(story, zone(OTHER), is_in=True)
    assert (story.report(NOW_S)["state"], story.report(NOW_S)["left_at"]) == ("published", None)
    story.hear(Heard(False, ("the node drains",)))
    settle(story, zone(own(), OTHER, ttl_s=90), is_in=False, now_s=NOW_S + 5)
    report = story.report(NOW_S + 6)
    assert (report["state"], report["records"]) == ("withdrawn", ["192.0.2.2"])
    assert (report["left_at"], report["gone_at"]) == (NOW_S + 5, NOW_S + 95)
    settle(story, zone(own(left_s=int(NOW_S) + 5, by="lb1"), OTHER), is_in=False, now_s=NOW_S + 20)
    assert story.report(NOW_S + 20)["left_at"] == NOW_S + 5
    assert [each for each in caplog.messages if "192.0.2.1" in each] == [
        "www.lb.test: 192.0.2.1 in (TTL 20 s)",
        "www.lb.test: 192.0.2.1 out (the node drains)",
    ]


def test_publisher_that_begins_later_reads_when_it_left(story: Story) -> None:
    settle(story, zone(own(left_s=int(NOW_S) - 7, by="lb2"), OTHER), is_in=False)
    assert story.report(NOW_S)["left_at"] == NOW_S - 7
    assert story.report(NOW_S)["gone_at"] == NOW_S + 13


def test_node_that_never_was_in_left_when_that_was_first_seen(story: Story) -> None:
    settle(story, zone(OTHER), is_in=False)
    settle(story, zone(OTHER), is_in=False, now_s=NOW_S + 60)
    assert story.report(NOW_S)["left_at"] == NOW_S


def test_record_that_the_floor_keeps_has_not_left_and_that_is_said_once(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        settle(story, zone(own()), is_in=False)
    report = story.report(NOW_S)
    sentence = "192.0.2.1 stays, though it should not: half of the records known of a family are left at the least"
    assert (report["state"], report["left_at"], report["problem"]) == ("published", None, sentence)
    assert caplog.messages == [f"www.lb.test: {sentence}"]
    settle(story, zone(own(), OTHER), is_in=False)
    assert story.report(NOW_S)["problem"] == ""
    assert caplog.messages[-1] == f"www.lb.test: no longer so: {sentence}"


def test_failure_is_said_once_and_so_is_its_end(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    settle(story, zone(own(), OTHER), is_in=True)
    for _ in range(3):
        story.fail("192.0.2.53:53 has not answered within 5 s")
    assert (story.report(NOW_S)["state"], story.report(NOW_S)["records"]) == ("failed", ["192.0.2.1", "192.0.2.2"])
    assert story.report(NOW_S)["problem"] == "192.0.2.53:53 has not answered within 5 s"
    settle(story, zone(own(), OTHER), is_in=True)
    assert story.report(NOW_S)["state"] == "published"
    assert caplog.messages == [
        "www.lb.test: 192.0.2.53:53 has not answered within 5 s",
        "www.lb.test: 192.0.2.53:53 answers again",
    ]


def test_other_ttl_than_that_of_the_file_is_said(story: Story) -> None:
    settle(story, zone(own(), OTHER, ttl_s=300), is_in=True)
    assert story.report(NOW_S)["problem"].startswith("the records have a TTL of 300 s, and the file says 20 s")


def test_dead_node_is_named_where_its_record_goes(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    seen = zone(own(), OTHER)
    decision = decide(settings(), seen, Wish(True, dead=frozenset({"lb2"})), NOW_S)
    story.settle(seen, decision, is_in=True, now_s=NOW_S)
    assert caplog.messages == ["www.lb.test: 192.0.2.2 out (node lb2 is not in the fleet any more)"]


def test_wrong_name_of_the_node_is_a_problem_until_it_is_right(story: Story) -> None:
    story.note_wrong_node("the engine calls this node lb9, the file lb1")
    assert "lb9" in story.report(NOW_S)["problem"]
    story.note_wrong_node("")
    assert story.report(NOW_S)["problem"] == ""
