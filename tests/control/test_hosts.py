from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.control.fleet import FleetStatus
from lbapp.control.hosts import HostAnswer, place_of, places_in, silent, together
from lbapp.control.ssh import Host
from tests.tui.fleet_double import fleet_of, member, member_state


def of(node: str, rate: float) -> FleetStatus:
    own = member(node, is_self=True, state=member_state(requests_per_s=rate))
    return fleet_of(own, member("other"), fleet="", node=node, state="off")


def test_places_are_hosts_or_paths_of_sockets_here() -> None:
    assert place_of("ssh://alice@lb1:2222") == Host("lb1", "alice", 2222)
    assert place_of("lb2") == Host("lb2")
    assert place_of("/run/lbapp/control.sock") == Path("/run/lbapp/control.sock")


def test_list_of_hosts_may_have_empty_lines_and_remarks_and_names_the_line_that_is_wrong() -> None:
    assert places_in("# ours\nssh://lb1\n\n  lb2  # the other\n") == [Host("lb1"), Host("lb2")]
    with pytest.raises(ValueError, match="line 2: http://lb1 is no host"):
        places_in("lb1\nhttp://lb1\n")
    with pytest.raises(ValueError, match="no host is named in it"):
        places_in("# none\n")


def test_hosts_together_are_a_fleet_whose_shares_are_of_what_answers() -> None:
    answers = [
        HostAnswer(Host("a"), of("lb1", 300.0), 100.0),
        HostAnswer(Host("b"), of("lb2", 100.0), 100.0),
        HostAnswer(Host("c"), of("lb3", 900.0), 60.0, "c cannot be reached by ssh"),
        HostAnswer(Host("d"), problem="d cannot be reached by ssh"),
    ]
    found = together(answers)
    assert [each["name"] for each in found["members"]] == ["lb1", "lb2", "lb3", "ssh://d"]
    assert [each["is_alive"] for each in found["members"]] == [True, True, False, False]
    assert [each["share"] for each in found["members"]] == [0.75, 0.25, None, None]
    assert [each["seen_at"] for each in found["members"]] == [100.0, 100.0, 60.0, 0.0]
    assert len(silent(answers)) == 2


def test_nodes_that_are_called_alike_are_told_apart_by_their_hosts() -> None:
    answers = [HostAnswer(Host("a"), of("lb1", 1.0), 1.0), HostAnswer(Host("b"), of("lb1", 1.0), 1.0)]
    assert [each["name"] for each in together(answers)["members"]] == ["lb1 ssh://a", "lb1 ssh://b"]
