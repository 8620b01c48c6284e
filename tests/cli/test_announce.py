"""`lbapp announce`: its options. What it does stands in tests/cluster/announce and tests/system/cluster."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.harness import run

FILE = """backend = "bird"
addresses = ["198.51.100.10", "2001:db8:77::10"]
[bgp]
router_id = "10.77.1.2"
asn = 64511
[[bgp.neighbor]]
address = "10.77.1.1"
asn = 64500
local_address = "10.77.1.2"
next_hop_ipv6 = "fd77:1::2"
"""


def written(folder: Path, text: str = FILE) -> str:
    file = folder / "announce.toml"
    file.write_text(text)
    return str(file)


def test_check_says_what_is_valid_and_everything_that_is_wrong(tmp_path: Path) -> None:
    file = written(tmp_path)
    done = run("announce", "-c", file, "--check")
    assert (done.exit_code, done.stdout) == (0, f"{file} is valid: 2 addresses, by bird\n")
    assert json.loads(run("--json", "announce", "-c", file, "--check").stdout) == {"valid": True, "problems": []}
    wrong = written(tmp_path, FILE.replace("asn = 64511", 'asn = "x"').replace("router_id", "routerid"))
    done = run("announce", "-c", wrong, "--check")
    assert done.exit_code == 2
    assert [line.split(" ")[0] for line in done.stderr.splitlines()] == [f"{wrong}:3:", f"{wrong}:4:", f"{wrong}:5:"]
    done = run("--json", "announce", "-c", wrong, "--check")
    assert done.exit_code == 2
    assert {each["line"] for each in json.loads(done.stdout)["problems"]} == {3, 4, 5}


def test_print_gives_the_configuration_of_the_files_own_backend(tmp_path: Path) -> None:
    file = written(tmp_path)
    done = run("announce", "-c", file, "--print", "bird")
    assert done.exit_code == 0
    assert "protocol static lbapp_vip_198_51_100_10 { disabled yes;" in done.stdout
    done = run("announce", "-c", file, "--print", "keepalived")
    assert done.exit_code == 1
    assert "the file is for bird, not for keepalived" in done.stderr
    table = '[keepalived]\ninterface = "eth0"\nsource = "10.0.0.1"\npeers = ["10.0.0.2"]\n'
    other = written(tmp_path, f'backend = "keepalived"\naddresses = ["198.51.100.10"]\n{table}')
    assert "vrrp_instance lbapp {" in run("announce", "-c", other, "--print", "keepalived").stdout


def test_withdraw_fails_where_nobody_is_to_be_told(tmp_path: Path) -> None:
    file = written(tmp_path, FILE + f'[bird]\nsocket = "{tmp_path}/none"\n')
    done = run("announce", "-c", file, "--withdraw")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"lbapp: BIRD does not answer on {tmp_path}/none")


def test_withdraw_of_an_exabgp_has_nothing_to_do(tmp_path: Path) -> None:
    done = run("announce", "-c", written(tmp_path, FILE.replace('"bird"', '"exabgp"')), "--withdraw")
    assert (done.exit_code, done.stdout) == (0, "withdrawn: 198.51.100.10, 2001:db8:77::10\n")


def test_an_exabgp_that_is_not_there_is_said(tmp_path: Path) -> None:
    text = FILE.replace('"bird"', '"exabgp"') + f'[exabgp]\ncommand = "{tmp_path}/none"\n'
    done = run("announce", "-c", written(tmp_path, text))
    assert done.exit_code == 1
    assert f"there is no ExaBGP at {tmp_path}/none" in done.stderr


def test_another_host_is_refused(tmp_path: Path) -> None:
    assert run("--host", "ssh://a", "announce", "-c", written(tmp_path), "--check").exit_code == 2
