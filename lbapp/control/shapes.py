"""Whether what was read is a message of the control API.

Responsible for holding a value that came out of JSON against the declaration of a message, and for saying where it is another.
Knows nothing of where it came from. An engine's answers need no such look; a file that somebody has sent does.

Invariants: what passes can be used as what it is declared as, and shown: every key is there, numbers are finite, text has no
control characters; keys that are not declared are no fault, as a later version may have more.
"""

from __future__ import annotations

import math
import re
import types
from functools import cache
from typing import Any, Final, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

_INTEGER_BITS: Final = 64
# What a terminal, or whatever else shows text, would do something else with.
_find_unsound: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]").search
_NAMES: Final = {bool: "true or false", int: "a whole number", float: "a number", str: "plain text"}


def check(value: object, expected: Any, where: str) -> None:
    """Make sure that a value is `expected`: a message, or what a field of one may be. Raises ValueError, with `where` in it."""
    if is_typeddict(expected):
        _check_message(value, expected, where)
        return
    origin, arguments = get_origin(expected), get_args(expected)
    if origin is list:
        for at, each in enumerate(_of(value, list, "a list", where)):
            check(each, arguments[0], f"{where}[{at}]")
    elif origin is dict:
        for key, each in _of(value, dict, "an object", where).items():
            check(key, str, where)
            check(each, arguments[1], f"{where}.{key}")
    elif origin is Literal:
        if not isinstance(value, str) or value not in arguments:
            raise ValueError(f"{where} is none of {', '.join(map(str, arguments))}")
    elif origin in (Union, types.UnionType):
        _check_any(value, arguments, where)
    elif not _is_plain(value, expected):
        raise ValueError(f"{where} is not {_NAMES.get(expected, 'null')}")


def _check_message(value: object, expected: Any, where: str) -> None:
    found = _of(value, dict, "an object", where)
    for name, wanted in _fields(expected).items():
        if name in found:
            check(found[name], get_args(wanted)[0] if get_origin(wanted) is NotRequired else wanted, f"{where}.{name}")
        elif get_origin(wanted) is not NotRequired:
            raise ValueError(f"{where} has no {name}")


@cache
def _fields(message: Any) -> dict[str, Any]:
    return get_type_hints(message, include_extras=True)


def _check_any(value: object, arguments: tuple[Any, ...], where: str) -> None:
    """Make sure that a value is one of several; what is wrong is said of the last."""
    if value is None and types.NoneType in arguments:
        return
    wanted = [each for each in arguments if each is not types.NoneType]
    for each in wanted[:-1]:
        try:
            check(value, each, where)
        except ValueError:
            continue
        return
    check(value, wanted[-1], where)


def _of(value: object, kind: type, name: str, where: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{where} is not {name}")
    return value


def _is_plain(value: object, expected: Any) -> bool:
    if expected is bool or isinstance(value, bool):
        return expected is bool and isinstance(value, bool)
    if isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
        return False
    if expected is float:
        return isinstance(value, int | float) and math.isfinite(value)
    if expected is str:
        return isinstance(value, str) and _find_unsound(value) is None
    return expected is int and isinstance(value, int)
