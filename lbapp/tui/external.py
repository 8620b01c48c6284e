"""Editing a text with the operator's own program, which has the terminal meanwhile.

Responsible for the file that it edits, and for giving the terminal away and taking it back. Knows nothing of what the text says.

Invariants: the console goes on meanwhile, so that it follows its engine and can be ended, but paints nothing; the file is for its
owner's eyes alone and is gone afterwards; an editor never outlives the console.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Mapping
from typing import Any

import anyio
from textual.app import App, SuspendNotSupported

from lbapp.model.errors import LbappError


def editor_of(environment: Mapping[str, str]) -> str:
    """Return the command line of the operator's editor."""
    return environment.get("VISUAL") or environment.get("EDITOR") or "vi"


async def edit(app: App[Any], text: str, suffix: str) -> str:
    """Return the text as it was edited. Raises LbappError with a sentence when it could not be."""
    editor = editor_of(os.environ)
    with tempfile.NamedTemporaryFile("w+", suffix=suffix, prefix="lbapp-draft-", encoding="utf-8") as draft:
        draft.write(text)
        draft.flush()
        named = anyio.Path(draft.name)  # read by its name again: an editor may have put another file there
        try:
            with app.batch_update(), app.suspend():
                problem = await _run(editor, draft.name)
            edited = await named.read_text("utf-8")
        except (OSError, ValueError, SuspendNotSupported) as error:
            raise LbappError(f"{editor} could not edit the draft: {error}") from error
    if problem:
        raise LbappError(problem)
    return edited


async def _run(editor: str, name: str) -> str:
    """Run the editor in this terminal; return why its text is not to be taken, empty if it is.

    It is ended when whoever waits is cancelled. Raises nothing else: what is raised while the terminal is another's keeps the
    console from taking it back.
    """
    try:
        process = await anyio.open_process([*shlex.split(editor), name], stdin=None, stdout=None, stderr=None)
    except (OSError, ValueError) as error:
        return f"{editor} could not edit the draft: {error}"
    try:
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            with anyio.CancelScope(shield=True):
                await process.wait()
    return f"{editor} ended with status {status}; the draft is as it was" if status else ""
