"""The configuration that serves, as far as it is shown: which one it is, and for how long it can be kept or taken back yet.

Responsible for saying when what this console has applied on trial was decided about, by whomever. Knows nothing of widgets, and
asks nobody. Invariants: a scene that was made before the engine had applied it decides nothing, nor does one of the past, or one
that is not of now.
"""

from __future__ import annotations

from collections.abc import Callable

from lbapp.tui.source import Source


class Trial:
    """`source`: what is looked at now."""

    def __init__(self, source: Callable[[], Source]) -> None:
        self._source = source
        self._began_at: float | None = None  # by the engine's clock; None: this console has applied nothing

    def begin(self) -> None:
        """Take that the engine has just applied something on trial."""
        self._began_at = self._source().now()

    @property
    def number(self) -> int:
        """The number of the configuration that serves; 0: it is not known."""
        scene = self._source().scene
        return scene.engine["configuration"] if scene and scene.engine else 0

    @property
    def left_s(self) -> float | None:
        """For how many seconds what serves can be kept yet; None: it is not on trial."""
        source = self._source()
        by = source.scene.engine["confirm_by"] if source.scene and source.scene.engine else None
        return None if by is None else by - source.now()

    def left_or_soon(self, confirm_s: float) -> float | None:
        """Return the same, or `confirm_s` where what this console has applied is not shown yet."""
        left_s = self.left_s
        return confirm_s if left_s is None and self._is_awaited else left_s

    @property
    def is_decided(self) -> bool:
        """Say whether what this console applied is on trial no more."""
        source = self._source()
        is_of_now = source.is_of_now and source.is_live and self._began_at is not None
        return is_of_now and not self._is_awaited and self.left_s is None

    @property
    def _is_awaited(self) -> bool:
        scene = self._source().scene
        return self._began_at is not None and (scene is None or scene.at <= self._began_at)
