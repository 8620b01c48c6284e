from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.config.load import load_configuration
from lbapp.model.access_log import NO_LOG, AccessLog, LogFormat, LogTarget
from lbapp.model.errors import ConfigurationError

REST = """
[[listener]]
name = "web"
bind = "127.0.0.1:0"
pool = "app"
[[listener]]
name = "quiet"
bind = "127.0.0.1:0"
pool = "app"
access_log = false
[[pool]]
name = "app"
[[pool.server]]
name = "s1"
address = "127.0.0.1:1"
"""


def loaded(tmp_path: Path, table: str) -> AccessLog:
    path = tmp_path / "lbapp.toml"
    path.write_text(table + REST)
    configuration = load_configuration(path)
    assert [each.is_logged for each in configuration.listeners] == [True, False]
    return configuration.access_log


def test_nothing_is_logged_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") == NO_LOG
    assert loaded(tmp_path, '[access_log]\nto = "off"') == NO_LOG


@pytest.mark.parametrize(
    ("table", "settings"),
    [
        ('to = "stdout"', AccessLog(LogTarget.STDOUT)),
        ('to = "file:/a/b.log"\nformat = "combined"', AccessLog(LogTarget.FILE, "/a/b.log", LogFormat.COMBINED)),
        ('to = "syslog"\nformat = "httplog"', AccessLog(LogTarget.SYSLOG, "/dev/log", LogFormat.HTTPLOG)),
        ('to = "syslog:/x"\nheaders = ["User-Agent"]', AccessLog(LogTarget.SYSLOG, "/x", headers=("user-agent",))),
    ],
)
def test_targets_and_formats(tmp_path: Path, table: str, settings: AccessLog) -> None:
    assert loaded(tmp_path, f"[access_log]\n{table}\n") == settings


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('to = "file"', "is no place to log to"),
        ('to = "file:relative.log"', "is no place to log to"),
        ('to = "stdout:/x"', "is no place to log to"),
        ("to = 7", "is no place to log to"),
        ('to = "stdout"\nformat = "apache"', "json"),
        ('to = "stdout"\nheaders = ["bad name"]', "is not the name of a header"),
        ('to = "stdout"\nheaders = "x"', "a list of up to 16 header names"),
        ('to = "stdout"\nformat = "combined"\nheaders = ["x"]', "only the format 'json' has room"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, f"[access_log]\n{table}\n")
    (problem,) = caught.value.problems
    assert said in str(problem)
    assert "access_log" in str(problem)
