"""The verbs of `lbapp`, each imported when it is asked for.

Responsible for where each verb stands. Knows nothing of what one does. Invariant: a verb is offered exactly when its
module has it, so that a start pays for one verb and not for all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

_MODULES: Final = {
    "announce": ("announce",),
    "bundle": ("bundle",),
    "change": ("drain", "maint", "ready"),
    "check": ("check",),
    "dns": ("dns",),
    "doctor": ("doctor",),
    "importing": ("import",),
    "init": ("init",),
    "is_ready": ("is-ready",),
    "fleet": ("fleet",),
    "handoff": ("handoff",),
    "kill": ("kill",),
    "latency": ("latency",),
    "log": ("captures", "log", "sessions"),
    "look": ("events", "status"),
    "members": ("add", "remove"),
    "nodes": ("nodes",),
    "past": ("history",),
    "persistence": ("persistence",),
    "schema": ("schema",),
    "probes": ("check-now", "probes"),
    "publish": ("publish", "unpublish"),
    "reload": ("configurations", "confirm", "reload", "rollback"),
    "save": ("save",),
    "start": ("demo", "run"),
    "stop": ("stop",),
    "tui": ("tui",),
    "undo": ("changes", "diff", "undo"),
    "upgrade": ("upgrade",),
    "weight": ("weight",),
    "why": ("why",),
}
VERBS: Final = {verb: module for module, verbs in _MODULES.items() for verb in verbs}
_NAMES: Final = {"import": "importing"}  # of what Python keeps for itself


class Verbs(click.Group):
    """A group whose commands are imported by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every verb."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a verb; None: there is no such."""
        if cmd_name not in VERBS:
            return None
        found = getattr(import_module(f"lbapp.cli.{VERBS[cmd_name]}"), _NAMES.get(cmd_name, cmd_name.replace("-", "_")))
        assert isinstance(found, click.Command)
        return found
