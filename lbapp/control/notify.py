"""Telling the service manager how a process of lbapp is doing (sd_notify).

Responsible for datagrams to the socket named by NOTIFY_SOCKET, with descriptors if need be. Knows nothing of what words cause.
Invariants: never fails, and never waits longer than ROOM_TIMEOUT_S; what a service manager was to be told and was not stands in
the log; a process without a service manager runs all the same; an engine that has given its place away says nothing any more.
"""

from __future__ import annotations

import logging
import os
import select
import socket
from collections.abc import Sequence
from typing import Final

ROOM_TIMEOUT_S: Final = 1.0  # for room in the queue of the service manager, which may hold no more than ten datagrams
_ENVIRONMENT: Final = "NOTIFY_SOCKET"
_WATCHDOG: Final = "WATCHDOG_USEC"
_WATCHED: Final = "WATCHDOG_PID"

_log = logging.getLogger("lbapp")


def notify(state: str, fds: Sequence[int] = ()) -> bool:
    """Send `state`, such as `READY=1`, and descriptors; say whether it was sent. A leading @ names an abstract socket.

    It may take ROOM_TIMEOUT_S seconds.
    """
    address = os.environ.get(_ENVIRONMENT, "")
    if not address or address[0] not in "/@":
        return False
    if address[0] == "@":
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(ROOM_TIMEOUT_S)
            sender.connect(address)
            socket.send_fds(sender, [state.encode()], fds)
    except OSError as error:
        reason = "it has no room" if isinstance(error, TimeoutError) else error.strerror or error
        _log.warning("cannot tell the service manager %s: %s", state.replace("\n", " "), reason)
        return False
    return True


def watchdog_s() -> float | None:
    """Return within how many seconds `WATCHDOG=1` has to be said again and again; None: nobody waits (sd_watchdog_enabled(3))."""
    given, watched = os.environ.get(_WATCHDOG, ""), os.environ.get(_WATCHED, "")
    is_other = watched.isdigit() and int(watched) != os.getpid()
    return int(given) / 1e6 if given.isdigit() and int(given) and not is_other else None


def wait_until_taken_in() -> bool:
    """Wait until the service manager has taken in all that was said before; say whether it has, within ROOM_TIMEOUT_S.

    It closes the descriptor that comes with this when its turn has come (sd_notify_barrier(3)).
    """
    ours, theirs = os.pipe()
    try:
        try:
            is_sent = notify("BARRIER=1", [theirs])
        finally:
            os.close(theirs)
        if not is_sent:
            return False
        waiting = select.poll()
        waiting.register(ours, 0)
        return bool(waiting.poll(ROOM_TIMEOUT_S * 1000))
    finally:
        os.close(ours)


def fall_silent() -> None:
    """Say nothing any more, whatever is asked for: another engine speaks for the unit from now on."""
    os.environ.pop(_ENVIRONMENT, None)
