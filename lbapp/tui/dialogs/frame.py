"""The frame that every dialog stands in.

Responsible for its border and its width. Knows nothing of what stands in it. Invariant: it is never wider or higher than the
screen, and is drawn with what the Linux console's own font has.
"""

from __future__ import annotations

from textual.containers import Vertical


class Frame(Vertical):
    """A box over the screen."""

    DEFAULT_CSS = """
    Frame {
        width: 78; max-width: 100%; height: auto; max-height: 100%;
        border: double ansi_default; padding: 0 1;
    }
    Frame.-foot { width: 100%; }
    Frame.-whole { width: 100%; max-width: 120; height: 100%; }
    Frame.-tall { height: 20; }
    """
