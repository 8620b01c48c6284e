"""`scripts/screenshots [FOLDER]`: the pictures of the documentation, of the console over the demo's engine.

Responsible for running the demo, for walking the console through its screens and for an SVG of each. Knows nothing of the
documentation. Invariant: a picture names no font that a reader would have to fetch, and ends below PICTURE_BYTES_MAX.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from textual.pilot import Pilot

from lbapp.tui.app import LbappConsole
from lbapp.tui.dressed import Look
from lbapp.tui.glyphs import FULL
from tests.children import child
from tests.tui.console import until, until_shown

FOLDER: Final = Path("docs/images")
PICTURE_BYTES_MAX: Final = 100_000
SIZE: Final = (110, 28)
# Each with its keys, and what stands on it when it is complete.
PICTURES: Final = {
    "overview": (("1",), "WHAT HAPPENED"),
    "servers": (("3", "down", "down"), "WGT"),
    "drain": (("d",), "Cancel"),
    "pool": (("escape", "2", "enter"), "latency, 10 min"),
    "requests": (("4",), "GET"),
    "config": (("6",), "[[listener]]"),
}
DEMO_S: Final = 60.0  # the demo has a server go down before that
_FONT_FACE: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


@contextmanager
def demo() -> Iterator[Path]:
    """Run the demo without a console; yield its control socket."""
    command = [sys.executable, "-u", "-m", "lbapp", "demo", "--headless"]
    with child(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if named := re.search(r"--socket (\S+)", line):
                    yield Path(named[1])
                    return
            raise SystemExit("the demo did not start: run lbapp demo --headless to see why")
        finally:
            process.terminate()


def svg_of(console: LbappConsole) -> str:
    """Return the screen as an SVG in the reader's own monospace font."""
    svg = _FONT_FACE.sub("", console.export_screenshot(title="lbapp"))
    return svg.replace("Fira Code", "monospace").replace("monospace, monospace", "monospace")


async def take(pilot: Pilot[None], console: LbappConsole, folder: Path) -> None:
    """Write every picture."""
    await until_shown(pilot, "LIVE")
    await until(pilot, lambda: console.feed.scene and any(one.p99 for one in console.feed.scene.servers()))
    await until(pilot, lambda: any("is down" in event["message"] for event in console.feed.events), DEMO_S)
    for name, (keys, shown) in PICTURES.items():
        await pilot.press(*keys)
        await until_shown(pilot, shown)
        await pilot.pause(1)
        (folder / f"{name}.svg").write_text(svg_of(console))


async def main(folder: Path) -> None:
    """Take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nobody waits
    with demo() as socket:
        console = LbappConsole(socket, look=Look("dark", FULL))
        async with console.run_test(size=SIZE) as pilot:
            await take(pilot, console, folder)


if __name__ == "__main__":
    with TemporaryDirectory() as state:
        os.environ["XDG_STATE_HOME"] = state  # neither hints nor drafts of who takes them
        asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
