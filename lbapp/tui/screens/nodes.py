"""Screen 7: the nodes of the fleet, and of this one its workers, listeners and certificates.

Responsible for what concerns nodes and no pool, and for asking about the fleet while it is in sight. Knows nothing of what is
done to a node. Invariants: those of `pane`; what was known of the fleet stays in sight when it cannot be asked, and says its
age.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, Final

from textual.app import ComposeResult
from textual.widget import Widget

from lbapp.control import calls
from lbapp.control.fleet import FleetStatus
from lbapp.control.messages import CertificateStatus, EngineStatus, WorkerStatus
from lbapp.control.wording import node_open, node_state
from lbapp.tui.actions.node_seen import NodeSeen, seen_node
from lbapp.tui.asking import Poll
from lbapp.tui.attention import CERTIFICATE_DAYS_BAD, CERTIFICATE_DAYS_WARNED
from lbapp.tui.columns import listener_kind
from lbapp.tui.dialogs.page import Page
from lbapp.tui.format import count, duration, size
from lbapp.tui.glyphs import Tone
from lbapp.tui.listing import Column, Kind
from lbapp.tui.node_columns import NodeRow, node_kind, node_rows
from lbapp.tui.node_words import aged, fleet_lines, node_lines_of
from lbapp.tui.pane import Desk, TablePane
from lbapp.tui.scene import Scene
from lbapp.tui.tones import Line, plain
from lbapp.tui.widgets.block import Block
from lbapp.tui.widgets.table import LineTable

_BEAT_LATE_S: Final = 3.0
_ROWS_MAX: Final = 8
_NODES_LOW: Final = 6  # rows of nodes where there is little room
_TALL: Final = 34  # rows of the screen from which on the node under the cursor is shown below the list
_PORTRAIT: Final = 14  # lines of it
_FLEET_EVERY_S: Final = 1.0


class NodesPane(TablePane):
    """The nodes of the fleet, where there is one, and this node."""

    DEFAULT_CSS = """
    NodesPane > Block { height: auto; }
    NodesPane > #members { height: 4; }
    NodesPane > #node-portrait { margin: 1 0; }
    NodesPane > #workers { height: 3; }
    NodesPane > #node-listeners { height: 1fr; min-height: 3; }
    NodesPane > #certificates { height: 3; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="nodes")
        self.fleet_head = Block(id="fleet-head")
        self.members: LineTable[NodeRow] = LineTable(node_kind(desk.glyphs), id="members")
        self.portrait = Block(id="node-portrait")
        self.head = Block(id="node-head")
        self.worker_table: LineTable[WorkerStatus] = LineTable(worker_kind(), id="workers")
        self.listeners = LineTable(listener_kind(), id="node-listeners")
        self.certificates: LineTable[CertificateStatus] = LineTable(certificate_kind(), id="certificates")
        self.tables = (self.worker_table, self.listeners, self.certificates)
        for widget in (self.fleet_head, self.members, self.portrait):
            widget.display = False  # until there is a fleet: what is out of sight is not to have the keys
        self._question: Poll[FleetStatus] = Poll(self, lambda: desk.source, _FLEET_EVERY_S, self._answered)
        self._fleet: FleetStatus | None = None  # the last answer
        self._fleet_at = 0.0  # monotonic

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield self.fleet_head
        yield self.members
        yield self.portrait
        yield self.head
        yield from self.tables

    @property
    def table(self) -> LineTable[Any] | None:
        """The table with the focus, else the nodes, else the first of this node's."""
        with_focus = self.with_focus
        if with_focus is self.members or (self.members.display and with_focus not in self.tables):
            return self.members
        return super().table

    @property
    def first(self) -> Widget | None:
        """The nodes, where there are several."""
        return self.members if self.members.display else self.worker_table

    @property
    def is_of_nodes(self) -> bool:
        """Yes, while the list of nodes has the keys."""
        return self.table is self.members

    @property
    def node_here(self) -> NodeSeen | None:
        """The node under the cursor."""
        chosen = self.members.chosen
        if not self.is_of_nodes or not chosen or self._fleet is None:
            return None
        return next((seen_node(each) for each in self._fleet["members"] if each["name"] == chosen[0]), None)

    def turn(self) -> None:
        """Forget the fleet: of a past it is not recorded."""
        self._fleet = None

    def show(self) -> None:
        """Show the newest figures."""
        scene = self.desk.source.scene
        if scene is None:
            return
        self._question.about(calls.fleet() if scene.fleet is not None else None)
        self._question.ask()
        self._show_fleet()
        self.head.say(node_lines(scene))
        workers = scene.engine["workers"] if scene.engine else []
        certificates = certificates_of(scene)
        self.worker_table.show(workers)
        self.listeners.show(scene.listeners)
        self.certificates.show(certificates)
        self.worker_table.styles.height = 1 + min(len(workers), _ROWS_MAX)
        self.certificates.display = bool(certificates)
        self.certificates.styles.height = 1 + min(len(certificates), _ROWS_MAX)

    # ---- the fleet

    def _answered(self) -> None:
        if self._question.answer is not None:
            self._fleet, self._fleet_at = self._question.answer, monotonic()
        self._show_fleet()

    def _show_fleet(self) -> None:
        scene = self.desk.source.scene
        if scene is None or scene.fleet is None:
            self._fleet = None
        fleet = self._fleet
        self.fleet_head.display = self.members.display = fleet is not None
        self.portrait.display = fleet is not None and self.app.size.height >= _TALL
        if fleet is None:
            return
        elapsed_s = monotonic() - self._fleet_at
        lines = fleet_lines(aged(fleet, elapsed_s))
        if self._question.problem:
            lines.append([(f" ! not asked anew for {duration(elapsed_s)}: {self._question.problem}", "bad")])
        self.fleet_head.say(lines)
        rows = node_rows(fleet, self.desk.source.now())
        is_new = not self.members.total
        self.members.show(rows)
        self.members.styles.height = 1 + min(len(rows), _ROWS_MAX if self.portrait.display else _NODES_LOW)
        if is_new and self.with_focus is self.worker_table:
            self.screen.set_focus(self.members)
        self.portrait.say(self._lines_of(self.members.selected or "")[:_PORTRAIT])

    def _lines_of(self, name: str) -> list[Line]:
        member = next((each for each in self._fleet["members"] if each["name"] == name), None) if self._fleet else None
        if member is None or self._fleet is None:
            return [[(f" {name} is not there any more", "bad")]]
        return node_lines_of(self._fleet, member, self.desk.source.now())

    def on_line_table_looked(self, _event: LineTable.Looked) -> None:
        """Show the node that the cursor has come to."""
        self._show_fleet()

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Show all that is known of a node."""
        if event.table is self.members:
            name = event.identity
            page = Page(f"Node {name}", lambda: "\n".join(plain(line) for line in self._lines_of(name)))
            self.app.push_screen(page)


def node_lines(scene: Scene) -> list[Line]:
    """Return what the node is and carries."""
    engine = scene.engine
    if engine is None:
        return [[(" of the node itself nothing is recorded of that time", "plain")]]
    drain = engine["drain"]
    state = node_state(engine, scene.at, duration)
    tone: Tone = "good" if state == "serving" else "warn"
    cpu = "-" if engine["cpu_percent"] is None else f"{engine['cpu_percent']:.0f}%"
    lines: list[Line] = [
        [
            (f" {engine['node']}  ", "plain"),
            (state, tone),
            (
                f"  lbapp {engine['version']}  up {duration(engine['uptime_s'])}  cpu {cpu}  {size(engine['memory_bytes'])}",
                "plain",
            ),
        ],
        [(_configuration(engine), "plain")],
    ]
    if drain is not None:
        lines.append([(f" {node_open(duration, drain)}", "warn")])
    turned_away = {reason: number for each in scene.listeners for reason, number in each.turned_away.items() if number}
    if turned_away:
        told = ", ".join(f"{reason} {count(number)}" for reason, number in turned_away.items())
        lines.append([(f" clients turned away since the start: {told}", "plain")])
    return lines


def _configuration(engine: EngineStatus) -> str:
    number = engine["configuration"]
    return f" configuration {number}, generation {engine['generation']}, of {engine['configuration_path']}"


def certificates_of(scene: Scene) -> list[CertificateStatus]:
    """Return every certificate once, the one that expires first at the top."""
    found = {each["fingerprint_sha256"]: each for listener in scene.listeners for each in listener.certificates}
    return sorted(found.values(), key=lambda each: each["not_after"])


def worker_kind() -> Kind[WorkerStatus]:
    """Return what the table of workers shows."""

    def tone(worker: WorkerStatus) -> Tone:
        if worker["phase"] == "gone" or worker["heartbeat_age_s"] > _BEAT_LATE_S:
            return "bad"
        return "good" if worker["phase"] == "serving" else "warn"

    columns: list[Column[WorkerStatus]] = [
        Column("worker", 6, lambda w: str(w["slot"]), lambda w: w["slot"]),
        Column("pid", 8, lambda w: str(w["pid"]), lambda w: w["pid"]),
        Column("phase", 9, lambda w: w["phase"], lambda w: w["phase"], is_right=False, tone=tone),
        Column("generation", 10, lambda w: str(w["generation"]), lambda w: w["generation"]),
        Column("conn", 6, lambda w: count(w["connections"]), lambda w: w["connections"]),
        Column("heartbeat", 9, lambda w: f"{w['heartbeat_age_s']:.1f}s", lambda w: w["heartbeat_age_s"]),
        Column("restarts", 8, lambda w: count(w["restarts_total"]), lambda w: w["restarts_total"]),
        Column("faults", 0, lambda w: count(w["faults_total"]), lambda w: w["faults_total"], is_right=False),
    ]
    return Kind(
        columns, lambda w: str(w["slot"]), lambda w: tone(w) != "good", lambda w: f"{w['slot']} {w['pid']} {w['phase']}"
    )


def certificate_kind() -> Kind[CertificateStatus]:
    """Return what the table of certificates shows."""

    def tone(one: CertificateStatus) -> Tone:
        if one["days_left"] <= CERTIFICATE_DAYS_BAD:
            return "bad"
        return "warn" if one["days_left"] <= CERTIFICATE_DAYS_WARNED else "plain"

    def left(one: CertificateStatus) -> str:
        return f"{one['days_left']:.0f} days" if one["days_left"] >= 0 else f"expired {-one['days_left']:.0f}d"

    columns: list[Column[CertificateStatus]] = [
        Column("certificate for", 0, lambda c: " ".join(c["names"]), lambda c: " ".join(c["names"]), is_right=False),
        Column("expires", 12, left, lambda c: c["not_after"], tone=tone),
        Column("key", 12, lambda c: c["key_type"], lambda c: c["key_type"], is_right=False),
        Column("issuer", 20, lambda c: c["issuer"], lambda c: c["issuer"], is_right=False),
        Column("file", 30, lambda c: c["file"], lambda c: c["file"], is_right=False, screen_width_min=110),
    ]
    return Kind(
        columns, lambda c: c["fingerprint_sha256"], lambda c: tone(c) != "plain", lambda c: f"{c['names']} {c['file']}"
    )
