"""The errors that lbapp shows to people.

Responsible for one shape: a sentence that says what is wrong and where, and a hint that says what to do next.
Knows nothing of how either is printed. Invariant: every error that may reach an operator derives from LbappError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class LbappError(Exception):
    """An error with a sentence for the operator.

    `message` is one clear sentence; `hint` says what to do next, or is empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration: where it stands and what is allowed there.

    `line` counts from 1; 0 means the file as a whole. `key` is the dotted path, such as `pool[0].server[1].weight`.
    """

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"

    @property
    def allowed(self) -> str:
        """What the message says is allowed; empty: it does not say."""
        return self.message.partition("allowed: ")[2]


class ConfigurationError(LbappError):
    """The configuration does not hold; `problems` lists everything that is wrong with it, in the order of lines."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class StartError(LbappError):
    """The engine cannot start: a port in use, a missing permission, a missing folder. Nothing was left behind."""


class EngineUnreachable(LbappError):
    """No engine answers on the control socket."""


class RequestRefused(LbappError):
    """The engine understood and refused. `code` is the machine-readable reason, such as `unknown_server`.

    `problems`: what is wrong with a configuration, where that is the reason.
    """

    def __init__(
        self, code: str, message: str, hint: str = "", status: int = 400, problems: Sequence[Problem] = ()
    ) -> None:
        super().__init__(message, hint)
        self.code = code
        self.status = status
        self.problems = tuple(problems)
