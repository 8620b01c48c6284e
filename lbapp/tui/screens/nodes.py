"""Screen 7: this node, its workers, listeners and certificates.

Responsible for what concerns the node and no pool. Knows nothing of what is done to it. Invariants: those of `pane`.
"""

from __future__ import annotations

from typing import Final

from textual.app import ComposeResult

from lbapp.control.messages import CertificateStatus, EngineStatus, WorkerStatus
from lbapp.control.wording import node_open, node_state
from lbapp.tui.attention import CERTIFICATE_DAYS_BAD, CERTIFICATE_DAYS_WARNED
from lbapp.tui.columns import listener_kind
from lbapp.tui.format import count, duration, size
from lbapp.tui.glyphs import Tone
from lbapp.tui.listing import Column, Kind
from lbapp.tui.pane import Desk, TablePane
from lbapp.tui.scene import Scene
from lbapp.tui.tones import Line
from lbapp.tui.widgets.block import Block
from lbapp.tui.widgets.table import LineTable

_BEAT_LATE_S: Final = 3.0
_ROWS_MAX: Final = 8


class NodesPane(TablePane):
    """This node. Peers stand here when there are any."""

    DEFAULT_CSS = """
    NodesPane > Block { height: auto; }
    NodesPane > #workers { height: 3; }
    NodesPane > #node-listeners { height: 1fr; min-height: 3; }
    NodesPane > #certificates { height: 3; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="nodes")
        self.head = Block(id="node-head")
        self.worker_table: LineTable[WorkerStatus] = LineTable(worker_kind(), id="workers")
        self.listeners = LineTable(listener_kind(), id="node-listeners")
        self.certificates: LineTable[CertificateStatus] = LineTable(certificate_kind(), id="certificates")
        self.tables = (self.worker_table, self.listeners, self.certificates)

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield self.head
        yield from self.tables

    def show(self) -> None:
        """Show the newest figures."""
        scene = self.desk.source.scene
        if scene is None:
            return
        self.head.say(node_lines(scene))
        workers = scene.engine["workers"] if scene.engine else []
        certificates = certificates_of(scene)
        self.worker_table.show(workers)
        self.listeners.show(scene.listeners)
        self.certificates.show(certificates)
        self.worker_table.styles.height = 1 + min(len(workers), _ROWS_MAX)
        self.certificates.display = bool(certificates)
        self.certificates.styles.height = 1 + min(len(certificates), _ROWS_MAX)


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
