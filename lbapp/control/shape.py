"""Whether a message has the fields that its type says.

Responsible for telling a message of another version of lbapp before somebody reaches for what it does not have. Knows nothing of
what messages mean. Invariants: a field that is not known is passed over, as a newer engine may say more; a word that is not known
is as good as any other; whatever the value is, the answer is a sentence and never an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

_Check = Callable[[Any], str]
_MISSING: Final = object()
_WORDS: Final[Mapping[Any, tuple[tuple[type, ...], str]]] = {
    str: ((str,), "text"), bool: ((bool,), "true or false"), int: ((int, float), "a number"), float: ((int, float), "a number"),
    NoneType: ((NoneType,), "null"),
}  # fmt: skip


def flaw(value: object, kind: Hashable) -> str:
    """Return what of a JSON value is not as its type has it, as `pools[0].weight is missing`; empty: nothing."""
    return flaws_of(kind)(value)


def flaws_of(kind: Hashable) -> Callable[[Any], str]:
    """Return what finds the flaws of many values of one type, as `flaw` does."""
    check = _check_of(kind)
    return lambda value: check(value).strip().removeprefix(".")


@cache
def _check_of(kind: Hashable) -> _Check:
    if is_typeddict(kind):
        return _fields_check(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _any_check([_check_of(each) for each in inner])
    if origin is Literal:
        return _any_check([_check_of(each) for each in set[Hashable](map(type, inner))])
    if origin in (list, Sequence):
        return _list_check(_check_of(inner[0]))
    if origin in (dict, Mapping):
        return _map_check(_check_of(inner[1]))
    return _plain_check(kind)


def _plain_check(kind: Any) -> _Check:
    if kind not in _WORDS:
        return lambda _value: ""
    kinds, word = _WORDS[kind]

    def check(value: Any) -> str:
        is_other_bool = isinstance(value, bool) and bool not in kinds
        return f" is not {word}" if is_other_bool or not isinstance(value, kinds) else ""

    return check


def _any_check(checks: Sequence[_Check]) -> _Check:
    def check(value: Any) -> str:
        found = []
        for each in checks:
            found.append(each(value))
            if not found[-1]:
                return ""
        return max(found, key=len)  # the one that went farthest into it

    return check


def _at_once(kind: Any) -> frozenset[type]:
    """Return the types whose values are as a kind has it, whatever they say: most fields are told by them alone."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return frozenset().union(*map(_at_once, inner))
    if origin is Literal:
        return frozenset(map(type, inner))
    return frozenset(_WORDS[kind][0]) if kind in _WORDS else frozenset()


def _list_check(each: _Check) -> _Check:
    def check(value: Any) -> str:
        if not isinstance(value, list):
            return " is not a list"
        return next((f"[{place}]{found}" for place, one in enumerate(value) if (found := each(one))), "")

    return check


def _map_check(each: _Check) -> _Check:
    def check(value: Any) -> str:
        if not isinstance(value, dict):
            return " is not an object"
        return next((f".{name}{found}" for name, one in value.items() if (found := each(one))), "")

    return check


def _fields_check(kind: Any) -> _Check:
    fields: list[tuple[str, frozenset[type], _Check, bool]] = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        is_extra = get_origin(hint) is NotRequired
        inner = get_args(hint)[0] if is_extra else hint
        fields.append((name, _at_once(inner), _check_of(inner), kind.__total__ and not is_extra))

    def check(value: Any) -> str:
        if not isinstance(value, dict):
            return " is not an object"
        for name, at_once, each, is_required in fields:
            one = value.get(name, _MISSING)
            if type(one) in at_once:
                continue
            if one is _MISSING:
                if is_required:
                    return f".{name} is missing"
            elif found := each(one):
                return f".{name}{found}"
        return ""

    return check
