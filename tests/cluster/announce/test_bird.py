"""What a BIRD is told, and the configuration that it is given."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lbapp.cluster.announce.backend import BackendFailed
from lbapp.cluster.announce.bird import Bird
from lbapp.cluster.announce.bird_text import bird_text, vip_word
from lbapp.cluster.announce.decision import RouteState
from lbapp.model.announce import AnnounceSettings, BgpSettings, Neighbor
from tests.cluster.announce.doubles import VIP4, VIP6, BirdDouble, settings

BIRD = shutil.which("bird", path="/usr/sbin:/sbin:/usr/bin")
WORDS = [vip_word(VIP4), vip_word(VIP6)]
GOOD, WORSE = ([f"lbapp_{kind}_{word}" for word in WORDS] for kind in ("vip", "drained"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def told(folder: Path) -> AnnounceSettings:
    return settings(bird_socket=str(folder / "b"))


@pytest.mark.anyio
async def test_protocols_are_switched_so_that_a_route_comes_before_another_goes(tmp_path: Path) -> None:
    with BirdDouble(tmp_path / "b", GOOD + WORSE).running() as double:
        async with Bird(told(tmp_path)) as bird:
            await bird.settle(RouteState.WITHDRAWN)
            assert double.commands == []
            found = await bird.settle(RouteState.ANNOUNCED)
            assert [name for name, is_up in double.up.items() if is_up] == GOOD
            assert found.sessions == (
                {"name": "lbapp_router_1", "state": "Established", "is_up": True, "since": "00:44:57.678", "bfd": "Up"},
            )
            double.commands.clear()
            await bird.settle(RouteState.DRAINED)
            assert double.commands == [*(f"enable {each}" for each in WORSE), *(f"disable {each}" for each in GOOD)]
            await bird.settle(RouteState.WITHDRAWN)
            assert not any(double.up.values())


@pytest.mark.anyio
async def test_a_bird_that_was_restarted_or_changed_by_hand_is_set_again_and_it_is_said(tmp_path: Path) -> None:
    async with Bird(told(tmp_path)) as bird:
        with BirdDouble(tmp_path / "b", GOOD + WORSE).running() as double:
            assert (await bird.settle(RouteState.ANNOUNCED)).notes == ()
            double.up[GOOD[0]] = False
            (note,) = (await bird.settle(RouteState.ANNOUNCED)).notes
            assert GOOD[0] in note
            assert double.up[GOOD[0]]
        with BirdDouble(tmp_path / "b", GOOD + WORSE).running() as double:
            with pytest.raises(BackendFailed):
                await bird.settle(RouteState.ANNOUNCED)  # the old connection has ended
            assert (await bird.settle(RouteState.ANNOUNCED)).notes
            assert [name for name, is_up in double.up.items() if is_up] == GOOD


@pytest.mark.anyio
async def test_a_bird_with_the_configuration_of_other_addresses_is_found_out(tmp_path: Path) -> None:
    with BirdDouble(tmp_path / "b", GOOD).running():
        async with Bird(told(tmp_path)) as bird:
            with pytest.raises(BackendFailed, match=f"no protocol {WORSE[0]}.*--print bird"):
                await bird.settle(RouteState.WITHDRAWN)


@pytest.mark.anyio
async def test_a_protocol_that_is_absent_keeps_no_other_from_being_withdrawn(tmp_path: Path) -> None:
    old = "lbapp_vip_192_0_2_1"  # of a file that named another address
    with BirdDouble(tmp_path / "b", [*GOOD, WORSE[0], old, "others"]).running() as double:
        double.up = dict.fromkeys(double.up, True)
        async with Bird(told(tmp_path)) as bird:
            with pytest.raises(BackendFailed, match=f"no protocol {WORSE[1]}"):
                await bird.settle(RouteState.WITHDRAWN)
        assert [name for name, is_up in double.up.items() if is_up] == ["others"]


@pytest.mark.anyio
async def test_a_session_that_is_down_says_why(tmp_path: Path) -> None:
    with BirdDouble(tmp_path / "b", GOOD + WORSE).running() as double:
        double.session, double.bfd = "Active        Socket: Connection refused", "Down"
        async with Bird(told(tmp_path)) as bird:
            (session,) = (await bird.settle(RouteState.WITHDRAWN)).sessions
            assert (session["is_up"], session["state"]) == (False, "Active Socket: Connection refused")
            assert session["bfd"] == "Down"


@pytest.mark.anyio
async def test_a_bird_without_bfd_is_not_asked_about_it(tmp_path: Path) -> None:
    with BirdDouble(tmp_path / "b", GOOD + WORSE).running() as double:
        double.has_bfd = False
        async with Bird(told(tmp_path)) as bird:
            (session,) = (await bird.settle(RouteState.ANNOUNCED)).sessions
            assert (session["is_up"], session["bfd"]) == (True, "")


def test_a_name_is_always_the_same_for_an_address_and_never_for_two() -> None:
    assert vip_word("2001:db8:77::10") == vip_word("2001:DB8:77:0::10") == "2001_0db8_0077_0000_0000_0000_0000_0010"
    assert len({vip_word(each) for each in ("1.2.3.4", "1.2.3.40", "12.3.4.0", "::1.2.3.4")}) == 4


def test_every_route_is_born_withdrawn_and_nothing_else_is_exported() -> None:
    text = bird_text(settings())
    assert text.count("protocol static") == text.count("disabled yes") == 4
    assert text.count("export filter lbapp_routes") == 2
    assert "protocol kernel" not in text


@pytest.mark.skipif(BIRD is None, reason="not installed: bird")
@pytest.mark.parametrize(
    "bgp",
    [
        settings().bgp,
        BgpSettings("10.0.0.1", 4_200_000_000, (Neighbor("fd77::1", 64500, "fd77::2"),), bfd=False),
        BgpSettings(
            "10.0.0.1", 64511, (Neighbor("fd77::1", 64500, "fd77::2"), Neighbor("10.0.0.9", 64500, "10.0.0.1")), 30
        ),
        BgpSettings("10.0.0.1", 64511, (Neighbor("fe80::9%eth0.7", 64500, "fe80::1%eth0.7"),)),
        BgpSettings("10.0.0.1", 64511, (Neighbor("fe80::9%br-lan_1", 64500, "fe80::1%br-lan_1"),)),
        BgpSettings("10.0.0.1", 64511, (Neighbor("fe80::9%0", 64500, "fe80::1"),)),
        BgpSettings("10.0.0.1", 64511, (Neighbor("fe80::9%export", 64500, "fe80::1%export"),)),
    ],
)
def test_bird_takes_the_configuration(tmp_path: Path, bgp: BgpSettings) -> None:
    assert BIRD
    file = tmp_path / "bird.conf"
    file.write_text(bird_text(replace(settings(), bgp=bgp)))
    done = subprocess.run([BIRD, "-p", "-c", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(BIRD is None, reason="not installed: bird")
def test_without_sessions_it_is_a_part_of_the_operators_own_configuration(tmp_path: Path) -> None:
    assert BIRD
    text = bird_text(replace(settings(), bgp=None))
    assert "router id" not in text
    assert "protocol bgp" not in text
    (tmp_path / "part.conf").write_text(text)
    whole = tmp_path / "bird.conf"
    whole.write_text(f'router id 10.0.0.1;\nprotocol device {{ }}\ninclude "{tmp_path}/part.conf";\n')
    done = subprocess.run([BIRD, "-p", "-c", str(whole)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
