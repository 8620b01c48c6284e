from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lbapp.cli.main import cli

EXAMPLES = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize("verb", ["handoff down", "handoff up", "dns"])
def test_what_is_done_on_this_host_is_not_done_here_when_another_is_named(verb: str) -> None:
    arguments = ["--host", "ssh://lb2", *verb.split(), "-c", str(EXAMPLES / "handoff.toml")]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert "this works on the engine's own host only" in done.output


def test_what_is_printed_is_what_the_kernel_would_be_told() -> None:
    done = CliRunner().invoke(cli, ["handoff", "print", "-c", str(EXAMPLES / "handoff.toml")])
    assert done.exit_code == 0
    assert "ip link add lbapp-hop2 " in done.output
    assert "sysctl -w net.netfilter.nf_conntrack_tcp_loose=0" in done.output
    assert "table ip6 lbapp_handoff {" in done.output
