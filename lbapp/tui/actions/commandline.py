"""What is typed behind `:`, read as a place to go, an action with its servers, or a wish about the console itself.

Responsible for these words, for globs as on the command line, for completing and for what somebody may have meant. Knows nothing
of widgets. Invariants: what is not understood is a ValueError with one sentence and never something near to it; servers are those
of the scene at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final, Literal

from lbapp.config.values import duration_s
from lbapp.control.changes import NewServer
from lbapp.model.states import WEIGHT_MAX
from lbapp.tui.actions.node_seen import NodeSeen
from lbapp.tui.actions.nodes import OF_FLEET
from lbapp.tui.actions.order import WeightWish, weight_wish
from lbapp.tui.place import TABS, Place
from lbapp.tui.scene import PoolRow, Scene, ServerRow
from lbapp.tui.themes import NAMES as THEMES

SCREENS: Final = tuple(name for tab in TABS for name in (tab.screen, *tab.also))
SHOWN_MAX: Final = 8
FLEET: Final = "--fleet"  # as on the command line, and no name of a server or pool
_OF_SERVERS: Final = ("ready", "drain", "maint", "weight", "kill", "check", "remove")
_OF_POOLS: Final = ("publish", "unpublish")
_ALONE: Final = {
    "confirm": "configuration.confirm",
    "rollback": "configuration.rollback",
    "undo": "undo",
    "redo": "redo",
}
_OTHERS: Final = ("add", "node", "filter", "theme", "help", "lock", "quit")
WORDS: Final = tuple(sorted({*SCREENS, *_OF_SERVERS, *_OF_POOLS, *_ALONE, *_OTHERS}))


@dataclass(frozen=True, slots=True)
class Spoken:
    """What was asked for. Of `do`: the action's id, its servers (None: those that are selected) and what it is filled in with."""

    kind: Literal["go", "do", "filter", "theme", "help", "lock", "quit"]
    place: Place | None = None
    action: str = ""
    servers: Sequence[ServerRow] | None = None
    pool: PoolRow | None = None
    weight: WeightWish | None = None
    node: NodeSeen | None = None
    is_of_nodes: bool = False
    node_name: str = ""  # of a node that is not looked up yet
    is_fleet: bool | None = None  # None: as the console is set
    text: str = ""  # of a filter, a theme or a timeout
    is_hard: bool = False
    new: NewServer | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    scene: Scene
    screens: Sequence[str]
    words: list[str] = field(default_factory=list)


def read(text: str, scene: Scene | None, screens: Sequence[str]) -> Spoken:
    """Return what a line asks for. `screens`: those that there are. Raises ValueError with a sentence."""
    words = text.split()
    if not words:
        raise ValueError("type a command, such as drain app/s1 5m; ? lists the keys")
    verb, rest = "quit" if words[0] == "q" else words[0], words[1:]  # as the key, and as editors have it
    if FLEET in rest:
        return _on_all_nodes(verb, [word for word in words if word != FLEET], scene, screens)
    known = _Known(scene or Scene(), screens, rest)
    if verb in screens:
        return _go(verb, known)
    if verb in _OF_SERVERS:
        return _READERS.get(verb, _of_servers)(verb, known)
    if verb in _READERS:
        return _READERS[verb](verb, known)
    if verb in _ALONE:
        _no_more(verb, rest)
        return Spoken("do", action=_ALONE[verb])
    raise ValueError(f"there is no command {verb}{_meant(verb, [word for word in WORDS if _exists(word, screens)])}")


def _on_all_nodes(verb: str, words: list[str], scene: Scene | None, screens: Sequence[str]) -> Spoken:
    spoken = read(" ".join(words), scene, screens)
    if spoken.action not in OF_FLEET:
        raise ValueError(f"{verb} is for this node alone: leave {FLEET} away")
    return replace(spoken, is_fleet=True)


def _exists(word: str, screens: Sequence[str]) -> bool:
    return word not in SCREENS or word in screens


def _go(screen: str, known: _Known) -> Spoken:
    subject = " ".join(known.words)
    if screen == "pool":
        subject = _pool(subject, known.scene).name
    elif screen == "server":
        names = [row.id for row in known.scene.servers()]
        if subject not in names:
            raise ValueError(f"there is no server {subject or '(name one)'}{_meant(subject, names)}")
    return Spoken("go", Place(screen, subject))


def _pool(name: str, scene: Scene) -> PoolRow:
    found = scene.pool(name)
    if found is None:
        raise ValueError(f"there is no pool {name or '(name one)'}{_meant(name, [pool.name for pool in scene.pools])}")
    return found


def servers_named(patterns: Iterable[str], scene: Scene) -> list[ServerRow]:
    """Return the servers that patterns name, each once; a pool's name stands for all of its servers. Raises ValueError."""
    found: dict[str, ServerRow] = {}
    for pattern in patterns:
        wanted = pattern if "/" in pattern else f"{pattern}/*"
        matching = [row for row in scene.servers() if fnmatchcase(row.id, wanted)]
        if not matching:
            names = [row.id if "/" in pattern else row.pool for row in scene.servers()]
            raise ValueError(f"no server is named {pattern}{_meant(pattern, list(dict.fromkeys(names)))}")
        found.update({row.id: row for row in matching})
    return list(found.values())


def _chosen(patterns: Sequence[str], scene: Scene) -> list[ServerRow] | None:
    return servers_named(patterns, scene) if patterns else None


def _of_servers(verb: str, known: _Known) -> Spoken:
    return Spoken("do", action=f"server.{verb}", servers=_chosen(known.words, known.scene))


def _drain(_verb: str, known: _Known) -> Spoken:
    words = list(known.words)
    is_hard = "hard" in words
    words = [word for word in words if word != "hard"]
    timeout = words.pop() if words and _is_duration(words[-1]) else ""
    return Spoken("do", action="server.drain", servers=_chosen(words, known.scene), text=timeout, is_hard=is_hard)


def _weight(_verb: str, known: _Known) -> Spoken:
    words = list(known.words)
    count = 3 if len(words) > 2 and words[-2] == "over" else 1
    if not words:
        raise ValueError("say which weight, such as weight app/s1 50")
    wish = weight_wish(" ".join(words[-count:]))
    return Spoken("do", action="server.weight", servers=_chosen(words[:-count], known.scene), weight=wish)


def _of_pools(verb: str, known: _Known) -> Spoken:
    pool = _pool(" ".join(known.words), known.scene) if known.words else None
    return Spoken("do", action=f"pool.{verb}", pool=pool)


def _add(_verb: str, known: _Known) -> Spoken:
    if not known.words:
        return Spoken("do", action="server.add")
    name, *rest = known.words
    pool_name, _, server = name.partition("/")
    if not server or len(rest) not in (1, 2):
        raise ValueError("say it as add POOL/NAME ADDRESS [WEIGHT], such as add app/s3 10.0.0.3:8080 100")
    new: NewServer = {"name": server, "address": rest[0]}
    if len(rest) == 2:
        if not rest[1].isdigit() or int(rest[1]) > WEIGHT_MAX:
            raise ValueError(f"{rest[1]} is no weight: write 0 to {WEIGHT_MAX}")
        new["weight"] = int(rest[1])
    return Spoken("do", action="server.add", pool=_pool(pool_name, known.scene), new=new)


def _node(_verb: str, known: _Known) -> Spoken:
    words = known.words
    what, names = words[:1], list(words[1:])
    timeout = names.pop() if what == ["drain"] and names and _is_duration(names[-1]) else ""
    if what in (["ready"], ["drain"]) and len(names) <= 1:
        return Spoken("do", action=f"node.{what[0]}", text=timeout, node_name=names[0] if names else "")
    raise ValueError("say it as node drain [NAME] [5m], or node ready [NAME]")


def _filter(_verb: str, known: _Known) -> Spoken:
    return Spoken("filter", text=" ".join(known.words))


def _theme(_verb: str, known: _Known) -> Spoken:
    name = " ".join(known.words)
    if name not in THEMES:
        raise ValueError(f"there is no theme {name or '(name one)'}: write {', '.join(THEMES[:-1])} or {THEMES[-1]}")
    return Spoken("theme", text=name)


def _console(verb: str, known: _Known) -> Spoken:
    _no_more(verb, known.words)
    return Spoken({"help": "help", "lock": "lock"}.get(verb, "quit"))  # type: ignore[arg-type]  # one of the kinds


def _no_more(verb: str, rest: Sequence[str]) -> None:
    if rest:
        raise ValueError(f"{verb} stands alone, without {rest[0]}")


_READERS: Final[dict[str, Callable[[str, _Known], Spoken]]] = {
    "drain": _drain,
    "weight": _weight,
    "publish": _of_pools,
    "unpublish": _of_pools,
    "add": _add,
    "node": _node,
    "filter": _filter,
    "theme": _theme,
    "help": _console,
    "lock": _console,
    "quit": _console,
}


def _is_duration(text: str) -> bool:
    try:
        duration_s(text)
    except ValueError:
        return False
    return True


def _meant(word: str, known: Sequence[str]) -> str:
    begun = [each for each in known if each.startswith(word)]
    found = begun[:3] or get_close_matches(word, known, n=3, cutoff=0.5)
    if found:
        return f": did you mean {' or '.join(found)}?"
    return f": there are {', '.join(known[:5])}{', ...' if len(known) > 5 else ''}" if known else ""


# ---- completing


def complete(text: str, scene: Scene | None, screens: Sequence[str]) -> list[str]:
    """Return whole lines that go on from what is typed, at most SHOWN_MAX."""
    before, _, last = text.rpartition(" ")
    words = before.split()
    choices = _choices(words, scene or Scene(), screens)
    head = f"{before} " if before else ""
    return [f"{head}{choice}" for choice in choices if choice.startswith(last) and choice != last][:SHOWN_MAX]


def _choices(words: Sequence[str], scene: Scene, screens: Sequence[str]) -> Iterable[str]:
    if not words:
        return [word for word in WORDS if _exists(word, screens)]
    verb = words[0]
    pools = [pool.name for pool in scene.pools]
    if verb in _OF_SERVERS:
        return [*pools, *(row.id for row in scene.servers())]
    if verb == "server":
        return [row.id for row in scene.servers()]
    if verb in ("pool", *_OF_POOLS):
        return pools
    return {
        "add": [f"{name}/" for name in pools],
        "theme": THEMES,
        "node": ("drain", "ready"),
        "requests": [f"pool:{name}" for name in pools],
        "filter": [f"pool:{name}" for name in pools],
    }.get(verb, ())


class History:
    """The lines that were said, for going back to. `MAX` are kept."""

    MAX: Final = 100

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Keep a line; the same one again moves to the end."""
        self._lines = [*(each for each in self._lines if each != line), line][-self.MAX :]

    def __len__(self) -> int:
        return len(self._lines)

    def back(self, steps: int) -> str:
        """Return the line that was said so many lines ago; 0 and before all: none."""
        return self._lines[-steps] if 0 < steps <= len(self._lines) else ""
