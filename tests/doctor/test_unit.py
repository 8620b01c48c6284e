"""What the files of a unit say that its engine gets."""

from __future__ import annotations

from pathlib import Path

from lbapp.doctor.unit import read_unit

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"


def unit_in(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lbapp.service").write_text(f"[Unit]\nUser=nobody\n[Service]\n{text}\n[Install]\n")


def test_limit_of_open_files_is_that_of_the_last_drop_in(tmp_path: Path) -> None:
    system, own = tmp_path / "lib", tmp_path / "etc"
    folders = (own, system)

    def limit() -> int:
        unit = read_unit(folders)
        assert unit is not None
        return unit.files_max

    assert read_unit(folders) is None
    unit_in(system, "ExecStart=/bin/x")
    assert limit() == 524288
    unit_in(system, "LimitNOFILE=1024:4096")
    assert limit() == 4096
    dropped = own / "lbapp.service.d"
    dropped.mkdir(parents=True)
    (dropped / "10-more.conf").write_text("[Service]\nLimitNOFILE = infinity\n")
    assert limit() == 1 << 62
    (dropped / "20-less.conf").write_text("[Service]\nLimitNOFILE=500\n")
    assert limit() == 500


def test_shipped_unit_gives_its_user_three_folders_low_ports_and_its_file() -> None:
    unit = read_unit((UNITS,))
    assert unit is not None
    assert (unit.file, unit.user, unit.has_low_ports) == ("/etc/lbapp/lbapp.toml", "lbapp", True)
    assert (unit.control_socket, unit.state_dir) == (Path("/run/lbapp/control.sock"), Path("/var/lib/lbapp"))
    for made in ("/run/lbapp", "/var/lib/lbapp/x", "/var/log/lbapp"):
        assert unit.may_write(Path(made)), made
        assert unit.makes(Path(made)), made
    assert not unit.may_write(Path("/run/lbapp-other"))
    assert unit.hides(Path("/home", "alice", "key.pem")) == "ProtectHome=yes"
    assert unit.hides(Path("/tmp/x.sock")) == "PrivateTmp=yes"
    assert unit.hides(Path("/etc/lbapp")) == ""


def test_drop_in_adds_to_lists_and_an_empty_one_takes_back(tmp_path: Path) -> None:
    unit_in(
        tmp_path, "User=lbapp\nProtectSystem=strict\nRuntimeDirectory=lbapp\nAmbientCapabilities=CAP_NET_BIND_SERVICE"
    )
    dropped = tmp_path / "lbapp.service.d"
    dropped.mkdir()
    (dropped / "a.conf").write_text(
        "[Service]\nReadWritePaths=/run/a -/run/b\nSupplementaryGroups=ssl-cert\nAmbientCapabilities=\n"
        "ExecStart=\nExecStart=/usr/bin/lbapp run \\\n  --config '/etc/my file.toml'\n"
    )
    unit = read_unit((tmp_path,))
    assert unit is not None
    assert (unit.file, unit.groups, unit.has_low_ports) == ("/etc/my file.toml", ("ssl-cert",), False)
    assert unit.may_write(Path("/run/b/x"))
    assert not unit.may_write(Path("/run/c"))


def test_unit_without_hardening_is_roots_and_closes_nothing(tmp_path: Path) -> None:
    unit_in(tmp_path, "ExecStart=/opt/lbapp/bin/lbapp run -c /etc/l.toml")
    unit = read_unit((tmp_path,))
    assert unit is not None
    assert (unit.user, unit.has_low_ports, unit.control_socket, unit.state_dir) == ("root", True, None, None)
    assert unit.may_write(Path("/anywhere"))
    assert unit.hides(Path("/home", "x")) == ""
    unit_in(tmp_path, "CapabilityBoundingSet=CAP_CHOWN")
    closed = read_unit((tmp_path,))
    assert closed is not None
    assert not closed.has_low_ports
