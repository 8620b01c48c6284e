"""The unit for systemd, in what can be shown without it."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

UNIT = Path(__file__).parents[2] / "packaging" / "systemd" / "lbapp.service"
_OPEN_TWICE = """
import sys
from pathlib import Path
from lbapp.engine.supervisor.unix_files import open_to, open_unix
from lbapp.model.transport import ListenerTransport
path, transport = Path(sys.argv[1]), ListenerTransport(unix_user="nobody", unix_mode=0o660)
open_unix(path, 0o660)
open_to(path, transport)
open_to(path, transport)
"""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
def test_unit_may_give_the_file_of_a_socket_to_another_user_and_again_at_a_reload(tmp_path: Path) -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    wanted = unit["Service"]["CapabilityBoundingSet"].lower().replace("cap_", "+").split()
    limited = ["setpriv", "--inh-caps=-all", f"--bounding-set={','.join(['-all', *wanted])}"]
    done = subprocess.run(
        [*limited, sys.executable, "-c", _OPEN_TWICE, str(tmp_path / "web.sock")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
