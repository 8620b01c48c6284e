from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from lbapp.cluster import kept
from lbapp.cluster.keeping import Keeper
from lbapp.cluster.keys import Keys
from lbapp.cluster.picture import Picture
from lbapp.model.fleet import ClusterSettings
from tests.cluster.node_double import NodeDouble
from tests.cluster.test_kept import WHOLE

pytestmark = pytest.mark.anyio


def keeper(path: Path, node: NodeDouble) -> Keeper:
    settings = ClusterSettings("f", endpoints=("http://new",))
    picture = Picture(Keys("f"), 2.0, settings.endpoints)
    picture.recall(WHOLE)
    membership: Any = SimpleNamespace(lease=WHOLE.lease, former=0)
    return Keeper(path, settings, picture, membership, node)


@pytest.mark.parametrize("is_running", [True, False])
async def test_what_a_disk_did_not_take_is_written_when_it_does(tmp_path: Path, is_running: bool) -> None:
    path, beside, node = tmp_path / "view", tmp_path / "view.new", NodeDouble("a")
    beside.mkdir()  # nobody can write a file there now, whoever they are
    keeping = keeper(path, node)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keeping.run)
        with anyio.fail_after(15):
            while not node.events:
                await anyio.sleep(0.01)
            beside.rmdir()
            while is_running and not path.exists():
                keeping.picture.touch()
                await anyio.sleep(0.01)
        assert path.exists() is is_running
        tasks.cancel_scope.cancel()
    read = kept.read(path, "f")
    assert read is not None
    assert read.view.intents == WHOLE.view.intents
    assert read.endpoints == WHOLE.endpoints, "what is kept is still what that store has said"
    assert node.told("fleet_problem") == [f"the view of the fleet cannot be kept in {path}: Is a directory"]
