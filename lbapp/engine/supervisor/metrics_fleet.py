"""The part of the Prometheus exposition about the fleet, and about whether this node gets new clients.

Responsible for names, labels and help texts of these metrics. Knows nothing of HTTP or of the store. Invariants: those of
`metrics`; what is not known has no series, and a node that is alone has none of a fleet.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from lbapp.engine.policy.quorum import needed
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.fleet_node import EngineNode
from lbapp.engine.supervisor.fleet_status import fleet_glance
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.model.fleet import StoreState


def collect_fleet(link: FleetLink, node: EngineNode, reader: StatusReader) -> list[Metric]:
    """Read everything about the fleet and the node's part in it, at one moment."""
    return [*_own(node, reader), *_of_fleet(link, node, reader)]


def _own(node: EngineNode, reader: StatusReader) -> Iterator[Metric]:
    is_ready = not reader.reasons_against()
    yield _gauge("lbapp_ready", "1: the node should get new clients (merge: sum)", float(is_ready))
    yield _gauge("lbapp_node_draining", "1: the node drains (merge: sum)", float(reader.drains.node.is_on))
    if ages_s := node.reports.ages_s():
        age = GaugeMetricFamily(
            "lbapp_report_age_seconds",
            "Since lbapp announce or lbapp dns has told of itself (merge: max)",
            labels=["reporter"],
        )
        for who, age_s in ages_s.items():
            age.add_metric([who], age_s)
        yield age
    announce, dns = node.reports.announce(), node.reports.dns()
    if announce is not None:
        announced = GaugeMetricFamily(
            "lbapp_announced", "1: routers are told of the address (merge: sum)", labels=["address"]
        )
        is_announced = node.reports.routes() is not None and announce["state"] in ("announced", "drained")
        for address in announce["addresses"]:
            announced.add_metric([address], is_announced)
        sessions = GaugeMetricFamily("lbapp_route_session_up", "1: it stands (merge: sum)", labels=["session"])
        for session in announce["sessions"]:
            sessions.add_metric([session["name"]], session["is_up"])
        yield from (announced, sessions)
    if dns is not None:
        published = GaugeMetricFamily(
            "lbapp_dns_published", "1: the node's records are in the zone (merge: sum)", labels=["name"]
        )
        published.add_metric([dns["name"]], dns["state"] == "published")
        yield published


def _of_fleet(link: FleetLink, node: EngineNode, reader: StatusReader) -> Iterator[Metric]:
    glance = fleet_glance(link, node, is_ready=not reader.reasons_against())
    if glance is None:
        return
    state = GaugeMetricFamily("lbapp_fleet_state", "1: how it stands with the store (merge: sum)", labels=["state"])
    for each in StoreState:
        if each is not StoreState.OFF:
            state.add_metric([each.value], each is link.view.state)
    yield state
    if link.age_s is not None:
        yield _gauge("lbapp_fleet_view_age_seconds", "Since the store has answered last (merge: max)", link.age_s)
    members = "Members that live (merge: max)"
    yield _gauge("lbapp_fleet_members", members, glance["members"])
    yield _gauge("lbapp_fleet_members_ready", "Of those, that are ready (merge: max)", glance["ready"])
    wanted = needed(glance["known"], link.settings.ready_min if link.settings else None)
    yield _gauge("lbapp_fleet_members_needed", "Members that have to be ready (merge: max)", wanted)
    yield _gauge("lbapp_fleet_intents", "Intents of the fleet (merge: max)", len(link.view.intents))
    yield _gauge(
        "lbapp_fleet_differs", "Settings that are other here than the fleet wants (merge: sum)", glance["differs"]
    )
    number = "Number of the fleet's that serves; 0: none (merge: min)"
    yield _gauge("lbapp_fleet_configuration", number, node.fleet_configuration)
    number = "Number of the configuration that the fleet wants; 0: none (merge: max)"
    yield _gauge("lbapp_fleet_configuration_wanted", number, link.view.configuration.number)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    metric = GaugeMetricFamily(name, help_text)
    metric.add_metric([], value)
    return metric
