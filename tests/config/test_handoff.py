from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.config.handoff import load_handoff
from lbapp.model.errors import ConfigurationError
from lbapp.model.handoff import HandoffSettings

HEAD = 'node = "l2"\naddresses = ["198.51.100.10", "2001:DB8:77::10"]\n'
MEMBERS = '[[member]]\nname = "l2"\naddress = "10.77.2.2"\n[[member]]\nname = "l1"\naddress = "10.77.1.2"\n'


def load(tmp_path: Path, text: str) -> HandoffSettings:
    path = tmp_path / "handoff.toml"
    path.write_text(text)
    return load_handoff(path)


def test_the_ring_is_the_same_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, HEAD + MEMBERS)
    members = (("l1", "10.77.1.2"), ("l2", "10.77.2.2"))
    assert settings == HandoffSettings("l2", ("198.51.100.10", "2001:db8:77::10"), members)


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (HEAD, 0, "there are 0 nodes; allowed: 2 to 4"),
        (HEAD + MEMBERS.replace("l2", "l3"), 1, "is none of the nodes"),
        (HEAD + MEMBERS.replace("10.77.1.2", "10.77.2.2"), 8, "stands here twice"),
        (HEAD + MEMBERS.replace("10.77.1.2", "198.51.100.10"), 8, "is one of the addresses that clients know"),
        (HEAD + MEMBERS.replace("10.77.1.2", "fd77::1"), 3, "give them all of one kind"),
        (HEAD + MEMBERS.replace("10.77.1.2", "lb1.example.com"), 8, "is not an address"),
        (HEAD.replace("198.51.100.10", "0.0.0.0") + MEMBERS, 2, "no address that others can send to"),
        (HEAD.replace("2001:DB8:77::10", "198.51.100.10") + MEMBERS, 2, "stands here twice"),
        (HEAD.replace("[", "").replace("]", "") + MEMBERS, 2, ""),
        (HEAD + "vni = 16777216\n" + MEMBERS, 3, "allowed"),
        (HEAD + "colour = 1\n" + MEMBERS, 3, "colour"),
    ],
)
def test_what_cannot_be_is_named_with_its_line(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    problem = caught.value.problems[0]
    assert problem.line == line or line == 0
    assert sentence in problem.message


def test_the_example_is_valid() -> None:
    settings = load_handoff(Path(__file__).parents[2] / "conf/handoff.toml")
    assert [name for name, _ in settings.members] == ["lb1", "lb2", "lb3"]
