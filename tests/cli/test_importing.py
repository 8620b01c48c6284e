"""`lbapp import`, and that its file serves as HAProxy's own does."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from lbapp.cli.context import Settings
from lbapp.cli.importing import importing
from lbapp.config.load import load_configuration
from tests.children import child
from tests.system.harness import free_port, running_engine, servers, wait_for

SMALL = """frontend web
 mode http
 bind 127.0.0.1:8080
 default_backend app
backend app
 mode http
 server s 127.0.0.1:1
 compression algo gzip
"""


def test_file_is_written_and_what_is_not_taken_is_listed(tmp_path: Path) -> None:
    source, target = tmp_path / "haproxy.cfg", tmp_path / "lbapp.toml"
    source.write_text(SMALL)
    done = CliRunner().invoke(importing, [str(source), "-o", str(target)], obj=Settings())
    assert (done.exit_code, done.stdout) == (4, "")
    assert "line 8: not taken" in done.stderr
    assert f"{target} is written, from what is taken for a haproxy.cfg: 1 line not taken, 0 differences" in done.stderr
    assert load_configuration(target).pools[0].name == "app"
    again = CliRunner().invoke(importing, [str(source), "-o", str(target)], obj=Settings())
    assert again.exit_code == 1
    assert "is there already" in again.stderr


def test_file_that_is_taken_as_a_whole_is_status_0_and_one_whose_denial_is_not_says_so(tmp_path: Path) -> None:
    source = tmp_path / "haproxy.cfg"
    source.write_text(SMALL.replace(" compression algo gzip", " stats enable"))
    done = CliRunner().invoke(importing, [str(source)], obj=Settings())
    assert done.exit_code == 0, done.stderr
    assert done.stderr.endswith("for a haproxy.cfg: all of it is taken as it was\n")
    source.write_text(SMALL.replace(" default", " http-request deny if { path /x } { src 10.0.0.0/8 }\n default"))
    done = CliRunner().invoke(importing, [str(source)], obj=Settings())
    assert done.exit_code == 4
    assert "line 4: not taken, and IT KEPT CLIENTS OUT" in done.stderr
    assert "2 lines not taken, of which 1 kept clients out" in done.stderr


def test_nothing_made_is_status_1_and_nothing_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "haproxy.cfg", tmp_path / "lbapp.toml"
    source.write_text("what\tis this\nnor this\n")
    done = CliRunner().invoke(importing, [str(source), "-o", str(target)], obj=Settings())
    assert done.exit_code == 1
    first, second, sentence = done.stderr.splitlines()
    assert first.endswith("what is this")
    assert second.startswith("line 2: not taken")
    assert sentence.startswith("lbapp: nothing could be made of haproxy.cfg")
    assert not target.exists()
    assert CliRunner().invoke(importing, [str(tmp_path / "none")], obj=Settings()).exit_code == 1


def ask(port: int, path: str, **headers: str) -> tuple[str, str]:
    """Return who answers, and the cookie that comes with it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.read().decode(), (answer.getheader("Set-Cookie") or "").partition(";")[0]


def is_serving(port: int) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return bool(ask(port, "/")[0])
    return False


def behaviour(port: int) -> tuple[str, str, dict[str, int], bool]:
    """Return who answers by path and by host, how often each of two servers of 40 requests does, and if a cookie holds."""
    shares = Counter(ask(port, "/")[0] for _ in range(40))
    name, cookie = ask(port, "/")
    same = all(ask(port, "/", Cookie=cookie)[0] == name for _ in range(8))
    assert cookie.startswith("SRV=")
    return ask(port, "/api/x")[0], ask(port, "/", Host="shop.example.com")[0], dict(shares), same


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed")
def test_lbapp_answers_as_haproxy_does_by_the_imported_file(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    with servers("s1", "s2", "s3") as at:
        source = tmp_path / "haproxy.cfg"
        source.write_text(
            f"""defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend web
    bind 127.0.0.1:{ports[0]}
    acl is_api path_beg /api/
    acl is_shop hdr(host) -i shop.example.com
    use_backend api if is_api or is_shop
    default_backend app
backend app
    cookie SRV insert indirect nocache
    server s1 127.0.0.1:{at["s1"]} weight 30 cookie a
    server s2 127.0.0.1:{at["s2"]} weight 10 cookie b
backend api
    server s3 127.0.0.1:{at["s3"]}
"""
        )
        with child(["haproxy", "-db", "-f", str(source)], stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(lambda: is_serving(ports[0]))
                theirs = behaviour(ports[0])
            finally:
                process.terminate()
        done = CliRunner().invoke(importing, [str(source)], obj=Settings())
        assert done.exit_code == 0, done.stderr
        with running_engine(tmp_path, done.stdout.replace(f":{ports[0]}", f":{ports[1]}"), workers=1):
            ours = behaviour(ports[1])
    assert ours[:2] == theirs[:2] == ("s3", "s3")
    assert ours[3] is theirs[3] is True
    assert all(abs(ours[2][name] - theirs[2][name]) <= 2 for name in ("s1", "s2")), (ours, theirs)
