"""The warden beside `lbapp announce`: it carries out a will where that has died, or hangs.

Responsible for noticing, and for that. Knows nothing of routes or of why they are announced. A file that is run, without lbapp or
its libraries: it is there in 20 ms, and has little that could fail. Standard input is a pipe whose other end `lbapp announce` has
alone: a byte for each turn of its loop, and its end when that has ended, however it did. The first argument is the will, the
second how many seconds of silence are one that hangs, the third, `journal`, that its lines are to have priorities (sd-daemon(3)).

Invariants: no signal that is meant for `lbapp announce` ends it before its work is done; a will that was carried out is said, and
one that changes nothing is not; one that hangs and goes on is watched as before.
"""

import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

_TRY_S = 5.0  # for so long after the end, whatever the daemon does
_AGAIN_S = 0.5
_ANSWER_TIMEOUT_S = 2.0
_READ_BYTES = 65536
_PRIORITIES = {"ERROR": "<3>", "WARNING": "<4>"}
_SWITCHED = b"0009"  # BIRD's code for a protocol that was up and is disabled now


def main() -> int:
    """Watch until the pipe ends, then carry the will out. Return the exit status: 1 where that could not be done."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    will, patience_s = json.loads(sys.argv[1]), float(sys.argv[2])
    wait_s = patience_s
    while True:
        if not select.select([0], [], [], wait_s)[0]:
            is_done = _carry_out(will, f"lbapp announce says nothing for {patience_s:g} s")
            wait_s = patience_s if is_done else _AGAIN_S
        elif os.read(0, _READ_BYTES):
            wait_s = patience_s
        else:
            break
    until = time.monotonic() + _TRY_S
    while not _carry_out(will, "lbapp announce has ended"):
        if time.monotonic() > until:
            return 1
        time.sleep(_AGAIN_S)
    return 0


def _carry_out(will: dict[str, Any], why: str) -> bool:
    """Do what is to be done; say whether it is."""
    try:
        is_change = _tell(will["path"], will["commands"]) if "commands" in will else _write(will["path"], will["text"])
    except OSError as error:
        _say("ERROR", f"{why}, and its addresses are not withdrawn: {will['path']}: {error.strerror or error}")
        return False
    if is_change:
        _say("WARNING", f"{why}: its addresses are withdrawn")
    return True


def _tell(path: str, commands: list[str]) -> bool:
    """Give a BIRD commands; say whether any of them has changed anything. Raises OSError."""
    is_change = False
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.settimeout(_ANSWER_TIMEOUT_S)
        daemon.connect(path)
        with daemon.makefile("rb") as answers:
            for command in ("", *commands):  # it greets before anything is asked
                if command:
                    daemon.sendall(f"{command}\n".encode())
                line = b"0000-"
                while line[4:5] != b" " or not line[:4].isdigit():
                    line = answers.readline(_READ_BYTES)
                    if not line:
                        raise OSError("it closed the connection")
                    is_change = is_change or line.startswith(_SWITCHED)
    return is_change


def _write(path: str, text: str) -> bool:
    """Write a file in place, as it is watched; say whether it had anything else. Raises OSError."""
    file = Path(path)
    if file.exists() and file.read_bytes() == text.encode():
        return False
    file.write_text(text)
    return True


def _say(level: str, what: str) -> None:
    priority = _PRIORITIES[level] if sys.argv[3:] == ["journal"] else ""
    sys.stderr.write(f"{priority}lbapp-announce-warden[{os.getpid()}] {level} {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
