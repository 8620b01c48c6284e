"""What operators change, in the control API: patches, plans, the journal, undo.

Responsible for the names and types of these messages, as `messages` is for all others. Knows nothing of HTTP or of how a change
is made.

Invariants: those of `messages`; a change says what was before it.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from lbapp.control.fleet import Applied, FleetDifference
from lbapp.control.messages import Actor, AdminWord, NodeDrainStatus, PoolStatus, ServerStatus


class ServerPatch(TypedDict):
    """`PATCH /v1/pools/P/servers/S`: any of the fields.

    Answers with ServerChange; 404 unknown_server, 422 invalid_weight | invalid_state | invalid_body, 409 changed when
    `expect_revision` is given and the server changed since, 503 not_recorded when the journal cannot be written and `unrecorded`
    is not true, 409 leaves_nobody when the pool would have no server for new clients, too_little_capacity when it would have too
    few for the peak of the last hour, and `force` is not true. `fleet`: of all nodes; 409 no_fleet, changed when somebody else
    has changed the fleet's intent meanwhile, 503 fleet_unreachable.
    """

    state: NotRequired[AdminWord]
    weight: NotRequired[int]
    weight_add: NotRequired[int]  # instead: so much more or less; 1 to 256, but 0 stays 0 unless it gets more
    weight_percent: NotRequired[
        float
    ]  # instead: of the weight in the file; 1 to 256, or 0; of 0: 0 stays, another is 1
    over_s: NotRequired[float]  # the weight changes little by little
    abort_if_errors_percent: NotRequired[float]  # of failed attempts of late, at which the weight is put back
    hard: NotRequired[bool]  # beside state drain: not even remembered clients get the server
    drain_timeout_s: NotRequired[float]
    expect_revision: NotRequired[int]
    reason: NotRequired[str]
    group: NotRequired[str]
    unrecorded: NotRequired[bool]
    force: NotRequired[bool]
    fleet: NotRequired[bool]


class ChangeDone(TypedDict):
    """One setting of a server or pool: `state`, `weight` or `published`."""

    on: str  # "pool/server" or "pool"
    setting: str
    before: str | int | bool
    after: str | int | bool


class ActionDone(TypedDict):
    """What somebody did, as the journal has it. `group` is the same for actions that were one to their operator."""

    number: int
    at: float
    actor: Actor
    reason: str
    group: str
    changes: list[ChangeDone]
    undoes: list[int]
    redoes: NotRequired[list[int]]  # what it has made again, as the undo of their undo; empty: it is no redo
    is_undone: bool  # by an undo that is not undone itself
    fleet: NotRequired[int]  # the store's revision, where it was an action of the fleet; 0: of this node alone


class ActionsDone(TypedDict):
    """`GET /v1/changes?limit=N&before=NUMBER`: the latest last; `before`: of those with a smaller number.

    `unavailable`: why nothing can be recorded; empty: it can.
    """

    actions: list[ActionDone]
    unavailable: str


class UndoRequest(TypedDict):
    """`POST /v1/undo`. Answers with Undone.

    409 nothing_to_undo; leaves_nobody, too_little_capacity, quorum unless `force` is true; 422 invalid_body; 503 not_recorded.
    The undo of an action of the fleet is one of the fleet. `fleet`: the last of those is meant, where none is named.
    """

    action: NotRequired[
        int
    ]  # its number; without it, the last that is no undo. Of an undo: what that took back is made again
    reason: NotRequired[str]
    unrecorded: NotRequired[bool]
    force: NotRequired[bool]
    fleet: NotRequired[bool]


class Undone(TypedDict):
    """The actions taken back, the latest first, and what was changed. `redone`: what was made again, where it was an undo."""

    actions: list[int]
    redone: NotRequired[list[int]]
    changes: list[ChangeDone]
    fleet: NotRequired[Applied]  # of an action of the fleet


class Difference(TypedDict):
    """Where the engine is other than its file. `setting`: as of a ChangeDone, or `server`: added or removed, by its address."""

    on: str
    setting: str
    in_file: str | int | bool
    now: str | int | bool
    action: ActionDone | None  # that made it so; null: an unrecorded change


class Differences(TypedDict):
    """`GET /v1/diff`. `file`: why the file as it is on disk now is not what serves, in a sentence; empty: it is."""

    differences: list[Difference]
    file: str
    fleet: NotRequired[list[FleetDifference]]


class PlannedShare(TypedDict):
    """The share of new clients that a server has by its weight, before and after a change."""

    server: str
    before: float
    after: float


class PoolPlan(TypedDict):
    """What a change of servers is going to do to one pool."""

    pool: str
    requests_per_s: float
    eligible_before: int
    eligible_after: int
    leaves_nobody: bool
    failover: str | None
    peak_in_flight: int  # the most of the last hour
    peak_at: float | None  # when that was, Unix seconds; null: nothing was in flight
    too_little: str  # why the servers that are left cannot carry that; empty: they can, or nothing is known of it
    keys_moved: float | None  # share of all keys, of algorithms that hash
    shares: list[PlannedShare]


class ServersPatch(TypedDict):
    """`PATCH /v1/servers`: one change to several servers, all of them or none.

    Answers with ServersChange; refused as a ServerPatch is. With `dry_run` nothing is changed.
    """

    servers: list[str]
    state: NotRequired[AdminWord]
    weight: NotRequired[int]
    weight_add: NotRequired[int]  # each from its own
    weight_percent: NotRequired[float]
    over_s: NotRequired[float]
    abort_if_errors_percent: NotRequired[float]
    hard: NotRequired[bool]
    drain_timeout_s: NotRequired[float]
    reason: NotRequired[str]
    unrecorded: NotRequired[bool]
    force: NotRequired[bool]
    expect_revision: NotRequired[int]  # none of them changed in a later one
    dry_run: NotRequired[bool]
    fleet: NotRequired[bool]


class KillRequest(TypedDict):
    """`POST /v1/pools/P/servers/S/kill`: end everything in flight at a server now, by force; what is wanted of it stays.

    Answers with ServersKilled; 404 unknown_server, 422 invalid_body.
    """

    reason: NotRequired[str]


class ServersKillRequest(KillRequest):
    """`POST /v1/servers/kill`: the same at several servers."""

    servers: list[str]


class ServerKilled(TypedDict):
    """How much was in flight at a server, and was ended."""

    server: str  # "pool/server"
    closed: int


class ServersKilled(TypedDict):
    """What a kill did. `workers_silent`: of so many workers it is not known how much they had; they end it all the same."""

    servers: list[ServerKilled]
    workers_silent: int


class ServersChange(TypedDict):
    """What a PATCH of several servers did, or would do."""

    plan: list[PoolPlan]  # of a dry run
    changes: list[ServerChange]  # empty: it was a dry run
    fleet: NotRequired[Applied]  # of an action of the fleet


class ServerChange(TypedDict):
    """What a PATCH did: the server after it, and what was there before: `state`, `weight`, and `weight_goal` during a ramp."""

    server: ServerStatus
    before: dict[str, str | int]
    after: dict[str, str | int]
    event_seqs: list[int]
    fleet: NotRequired[Applied]  # of an action of the fleet


class PoolPatch(TypedDict):
    """`PATCH /v1/pools/P`. Answers with PoolChange; 404 unknown_pool, 422 invalid_body, 503 not_recorded."""

    published: bool
    reason: NotRequired[str]
    group: NotRequired[str]
    unrecorded: NotRequired[bool]
    fleet: NotRequired[bool]


class PoolChange(TypedDict):
    """What a PATCH of a pool did: the pool after it, and what was there before."""

    pool: PoolStatus
    before: dict[str, bool]
    after: dict[str, bool]
    event_seqs: list[int]
    fleet: NotRequired[Applied]  # of an action of the fleet


class PlannedChange(TypedDict):
    """One listener, pool, server or table of a configuration; `kind`: added, removed or changed."""

    what: str
    kind: str
    how: str
    details: list[str]  # "key: before -> after", in the words of the file


class ReloadRequest(TypedDict):
    """`POST /v1/reload`. Answers with ReloadDone when everything is served by the file as it is now.

    422 invalid_configuration with every problem; 409 cannot_reload, worker_refused, unconfirmed; 503 not_recorded. Whatever is
    refused has changed nothing. 409 changed: the file has another digest than `expect_digest`, that of a ConfigurationFile.
    """

    dry_run: NotRequired[bool]
    text: NotRequired[str]  # of a dry run: to be looked at as if it stood in the file
    expect_digest: NotRequired[str]
    unrecorded: NotRequired[bool]  # also when it cannot be kept
    confirm_s: NotRequired[float]  # it is taken back after that, unless `POST /v1/confirm` comes
    reason: NotRequired[str]


class RollbackRequest(TypedDict):
    """`POST /v1/rollback`: as ReloadRequest, for an earlier configuration. 404 unknown_configuration; 409 changed: another
    configuration serves than `expect_number`.
    """

    number: NotRequired[int]  # of GET /v1/configurations; without it, the one before
    expect_number: NotRequired[int]  # of the one that is to be left; 0: it could not be kept
    dry_run: NotRequired[bool]
    reason: NotRequired[str]


class ConfirmRequest(TypedDict):
    """`POST /v1/confirm`. 409 nothing_to_confirm; 409 changed: another configuration serves than `expect_number`."""

    expect_number: NotRequired[int]


class ReloadDone(TypedDict):
    """What a reload did, or would do."""

    applied: bool  # false: it was a dry run, or there was nothing to do
    number: int  # of the configuration that serves
    confirm_by: float | None  # Unix seconds
    changes: list[PlannedChange]
    warnings: list[str]


class ConfigurationKept(TypedDict):
    """A configuration that was applied. `state`: applied; unconfirmed; reverted; edited, of one whose servers were added to or
    removed while it served, so that another has taken its place.

    `at` and `confirm_by` are Unix seconds; `confirm_by`: when it is taken back, while it is unconfirmed.
    """

    number: int
    at: float
    user: str
    reason: str
    state: str
    confirm_by: float | None
    is_serving: bool
    fleet: NotRequired[int]  # its number in the fleet; 0: it is not the fleet's


class ConfigurationsKept(TypedDict):
    """`GET /v1/configurations`: the latest last. `POST /v1/confirm` answers with the last one."""

    configurations: list[ConfigurationKept]


class ConfigurationFile(TypedDict):
    """`GET /v1/configuration`, for those who may operate: the text may hold secrets."""

    path: str
    text: str | None  # as it is on disk now; null: it cannot be read
    digest: str | None  # SHA-256 of the file
    problem: str  # why it cannot be read; empty: it can
    running_text: str  # of what serves
    running_number: int  # as of GET /v1/configurations; 0: it could not be kept
    is_file_other_than_running: bool  # the file is not the one that what serves came from
    why_other: str  # in a sentence


class ConfigurationText(TypedDict):
    """`GET /v1/configurations/N`, for those who may operate. 404 unknown_configuration."""

    number: int
    text: str


class UpgradeRequest(TypedDict):
    """`POST /v1/upgrade`.

    Answers with UpgradeDone when the next engine serves; 409 upgrade_failed: this one goes on as it was; 409 cannot_upgrade.
    """

    reason: NotRequired[str]


class UpgradeDone(TypedDict):
    """The engine that serves now. The one that has answered finishes what it has and leaves."""

    pid: int
    version: str
    version_before: str


class NodePatch(TypedDict):
    """`PATCH /v1/node`: drain the node or end that. Answers with NodeChange; 422 invalid_body, 503 not_recorded.

    409 quorum where too few members of the fleet would be ready then, or nobody knows, and `force` is not true. `node`: another
    member of the fleet, by its name; 404 unknown_node, 409 no_fleet, 503 fleet_unreachable. `then_stop`: the engine stops then.
    """

    state: Literal["ready", "drain"]
    node: NotRequired[str]
    then_stop: NotRequired[bool]
    force: NotRequired[bool]
    drain_timeout_s: NotRequired[float]
    reason: NotRequired[str]
    unrecorded: NotRequired[bool]


class NodeChange(TypedDict):
    """What a PATCH of the node did."""

    before: str
    after: str
    drain: NodeDrainStatus | None
    fleet: NotRequired[Applied]  # of another node


class NewServer(TypedDict):
    """`POST /v1/pools/P/servers`: one more server, served from then on; the file stays as it is. Answers with ReloadDone.

    404 unknown_pool; 409 discovered, exists; otherwise refused as a reload is.
    """

    name: str
    address: str
    weight: NotRequired[int]
    connections_max: NotRequired[int]
    backup: NotRequired[bool]
    reason: NotRequired[str]
    unrecorded: NotRequired[bool]  # also when it cannot be kept


class Removal(TypedDict):
    """`DELETE /v1/pools/P/servers/S`: it gets nothing more and finishes what it has. Answers with ReloadDone.

    404 unknown_server; 409 discovered, last_server, and leaves_nobody or too_little_capacity unless `force` is true.
    """

    force: NotRequired[bool]
    reason: NotRequired[str]
    unrecorded: NotRequired[bool]
