from __future__ import annotations

from lbapp.tui.rights import LOCKED, VIEWER, Rights


def test_lock_is_undone_by_unlock() -> None:
    rights = Rights()
    assert (rights.why_not, rights.may_unlock) == ("", True)
    rights.lock()
    assert (rights.why_not, rights.may_unlock) == (LOCKED, True)
    rights.unlock()
    assert rights.why_not == ""


def test_what_was_forbidden_stays_so() -> None:
    rights = Rights()
    rights.forbid(VIEWER)
    rights.lock()
    rights.unlock()
    assert (rights.why_not, rights.may_unlock) == (VIEWER, False)
    started = Rights("started so")
    started.forbid(VIEWER)
    assert started.why_not == "started so"
