"""Every limit of lbapp, each under one name.

Responsible for the defaults of what an operator may set (`Limits`, the `[limits]` table of the configuration) and for
the fixed bounds of the engine itself. Knows nothing of who enforces them.

Invariant: every queue, buffer, wait and retry in lbapp is bounded by a name that stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lbapp.model.admission import NO_RATE, Rate

KIB: Final = 1024
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator may set in `[limits]`. Seconds end in `_s`, bytes in `_bytes_max`, counts in `_max`.

    In the configuration the unit is part of the value, so the keys there go without it: `connect_timeout = "3s"`.
    """

    head_bytes_max: int = 16 * KIB  # request line and fields; beyond it 431, from a server 502
    fields_max: int = 100  # field lines in a head; beyond it 431, from a server 502
    uri_bytes_max: int = 8 * KIB  # the target of a request line; beyond it 414
    request_body_bytes_max: int = 0  # 0: no limit; beyond it 413
    connections_max: int = 20_000  # downstream connections of the node, an equal share for each worker; beyond it 503
    client_connections_max: int = 0  # of one client at one listener, over all workers; 0: no limit; beyond it 429
    client_request_rate: Rate = NO_RATE  # of one client at one listener, over all workers; beyond it 429
    client_burst: int = 0  # requests of one client at once; 0: as many as the rate names
    client_idle_timeout_s: float = 60.0  # between two requests of a client
    request_head_timeout_s: float = 10.0  # from the first byte of a head to its last; 408
    body_idle_timeout_s: float = 30.0  # without a byte of a body from a client, or taken by it
    request_body_rate_min: int = 64  # bytes a second, over body_idle_timeout_s of waiting for the client; 0: none; 408
    response_rate_min: int = 64  # likewise of what a client takes; then closed
    server_idle_timeout_s: float = 30.0  # without a byte of a body from a server, or taken by it; 504, or cut short
    exchange_timeout_s: float = (
        0.0  # from the request head to the last byte of the response; 0: none; 504, or cut short
    )
    connect_timeout_s: float = 3.0  # to a server; then the next server, or 504
    response_timeout_s: float = 30.0  # from the request sent to the response head; 504
    tunnel_idle_timeout_s: float = 3600.0  # without a byte either way, in TCP and after an upgrade
    proxy_header_timeout_s: float = 5.0  # from the accept to the last byte of a PROXY header; then closed
    tls_handshake_timeout_s: float = (
        10.0  # with a client, from the accept (or its PROXY header) to the end; then closed
    )
    idle_connections_max: int = 64  # kept open to each server by each worker
    idle_connection_timeout_s: float = 30.0  # an upstream connection kept idle longer is closed
    idle_connection_age_s: float = 600.0  # an upstream connection older than this is not used again
    stop_timeout_s: float = 30.0  # the node's own drain, on SIGTERM or `lbapp stop`
    persistence_entries_max: int = 200_000  # clients remembered by address or header; beyond it the oldest go
    persistence_bytes_max: int = 256 * MIB  # the file that they are kept in
    retry_body_bytes_max: int = 64 * KIB  # of a request's body, kept so that the request can be repeated; 0: none


# The worker.
RECEIVE_BYTES: Final = 64 * KIB  # one read of a socket
SPLICE_BYTES_MIN: Final = 64 * KIB  # a body with less to go than this is copied, not spliced
PIPE_BYTES: Final = 1 * MIB  # the pipe that spliced bytes go through
PIPES_MAX: Final = 256  # pipes of a worker that hold what a slow sink has not taken; who gets none copies
BYTES_WITHOUT_PIPE: Final = 16 * KIB  # who gets no pipe holds so much: then it is a crowd that reads slowly
PIPES_IDLE_MAX: Final = 16  # pipes a worker keeps for the next body
ACCEPTS_PER_EVENT_MAX: Final = 64  # so that a flood of clients does not starve those being served
TURNED_AWAY_PER_EVENT_MAX: Final = 16  # likewise, of those that are not let in
FAREWELLS_MAX: Final = (
    128  # clients turned away that are being answered at a time; who comes beyond that is just closed
)
FAREWELL_S: Final = 1.0  # how long such a connection stays open, so that the client sees the answer
RECYCLE_AGE_MIN_S: Final = 1.0  # a connection whose first request is under way is not given up for a new one before
RECYCLE_LOOK_INTERVAL_S: Final = 0.1  # between two looks for idle connections when the last one found none
RECYCLED_PER_LOOK_MAX: Final = 256  # idle connections noted in one look
DESCRIPTORS_SPARE: Final = 64  # files of a worker that are no client's, no server's and no pipe's
DESCRIPTORS_PER_PIPE: Final = 32  # one pipe, of two files, for so many files a worker may have open
DESCRIPTORS_PER_CLIENT: Final = 2  # its own connection, and one to a server
CLIENTS_KNOWN_MAX: Final = (
    50_000  # clients whose request rate a worker keeps; beyond it the one quiet longest is forgotten
)
CLIENT_CELLS: Final = (
    1 << 16
)  # by which workers tell each other of one client's connections, and as many for its requests
RELAY_ROUNDS_MAX: Final = 16  # reads of one busy connection before the others get their turn
PROXY_HEADER_BYTES_MAX: Final = 4 * KIB  # a PROXY v2 header with what it carries beside addresses
TLS_SEND_BYTES_MAX: Final = 64 * KIB  # encrypted at once, so that little is held when the peer takes no more
TLS_UNSENT_BYTES_MAX: Final = 128 * KIB  # of TLS itself that the peer does not take; beyond it the connection ends
CLIENT_HELLO_BYTES_MAX: Final = 20 * KIB  # the first message of TLS, whose records are read to find the server's name
RETRY_WINDOW_S: Final = 10.0  # the requests of so long back say how many may be repeated
RETRY_BACKOFF_S: Final = 0.025  # at most so long before a second repeat; the bound doubles with each one after it
RETRY_BACKOFF_MAX_S: Final = 0.5
CLOCK_AHEAD_MAX_S: Final = 24 * 3600.0  # a cookie of a later time than this is not believed
COOKIES_KEPT_MAX: Final = 4096  # values of a pool that a worker knows to be signed; beyond it, it begins anew
PERSISTENCE_PENDING_MAX: Final = 20_000  # clients that a worker has yet to write down; beyond it none are remembered
PERSISTENCE_WRITE_INTERVAL_S: Final = 0.25  # how often a worker writes down who it has to remember
PERSISTENCE_LISTED_MAX: Final = 10_000  # entries in one answer of the control API
CHUNK_LINE_BYTES_MAX: Final = 256  # a chunk's size with its extensions
INTERIM_RESPONSES_MAX: Final = 16  # 1xx before the final response
SWEEP_INTERVAL_S: Final = 0.25  # how often deadlines are looked at
SWEPT_PER_TURN_MAX: Final = 512  # connections looked at before the others get their turn
THREAD_SWITCH_INTERVAL_S: Final = 0.0005  # how long a worker's event loop waits for a thread that works something out
PASSIVE_LOOK_INTERVAL_S: Final = 0.2  # how often failures of live requests are looked at
SLOW_START_STEP_S: Final = 0.25  # how often the share of a server that has come back grows
QUEUE_LOOK_INTERVAL_S: Final = 0.002  # how often a queue looks for room that other workers' exchanges left
QUEUE_FAIRNESS_S: Final = 0.01  # who has waited so much longer at another worker goes first
OVERDUE_PER_TURN_MAX: Final = 16  # waits that are ended for their deadline before the others get their turn
FAULT_LOG_INTERVAL_S: Final = 1.0  # between two errors nobody foresaw that a worker writes out; all are counted
LINGER_S: Final = 2.0  # how long a connection closed early is still read, so that the client sees the answer
LISTEN_BACKLOG: Final = 4096
REGEX_BYTES_MAX: Final = 1024  # of a path or field value that an expression of a route is held against
REGEX_WAYS_MAX: Final = 4 * REGEX_BYTES_MAX  # ways to try that an expression may have; more is refused when it is read
PROXIES_MAX: Final = 32  # entries of X-Forwarded-For that are looked at, from the right
FASTOPEN_QUEUE_MAX: Final = 256  # clients of one listening socket whose first bytes came before their handshake ended
DEFER_ACCEPT_S: Final = 5  # how long the kernel waits for a client's first bytes before it hands the client over
LOG_TARGET_BYTES_MAX: Final = 2048  # of a request's target that a log line shows
LOG_HEADER_BYTES_MAX: Final = 256  # of a header's value, a method or a host that it shows
LOG_PENDING_BYTES_MAX: Final = (
    8 * MIB
)  # lines of a worker that are not written yet; beyond it they are dropped and counted
LOG_WRITE_INTERVAL_S: Final = 0.05  # how often they are written
LOG_END_TIMEOUT_S: Final = 2.0  # for the last of them, when the worker leaves

# The supervisor.
OVERLOAD_LOOK_INTERVAL_S: Final = 0.5
OVERLOAD_QUIET_S: Final = 5.0  # nobody turned away for so long: it is over
HEARTBEAT_INTERVAL_S: Final = 0.5
HEARTBEAT_AGE_MAX_S: Final = 10.0  # a worker silent for longer is killed and replaced
WORKER_START_TIMEOUT_S: Final = 15.0
RESTART_DELAY_MAX_S: Final = 5.0  # between two starts of a worker that dies again and again
UPGRADE_STEP_TIMEOUT_S: Final = 30.0  # for the next engine to start, and then for it to serve
CONFIGURATIONS_KEPT: Final = 50  # copies of what was applied
RELOAD_STEP_TIMEOUT_S: Final = 15.0  # for all workers to be ready for, and then to serve by, another configuration
JOURNAL_BYTES_MAX: Final = 4 * MIB  # a journal that is longer is shortened ...
JOURNAL_ACTIONS_KEPT: Final = 2_000  # ... to so many actions
EVENT_FILE_BYTES_MAX: Final = 4 * MIB  # of events on disk; the file before it is kept, too
REPORT_AGE_MAX_S: Final = 15.0  # how old what is told of routes and records may be, so that anything goes by it
REPORT_LISTED_MAX: Final = 256  # addresses, records or sessions of one report
DRAIN_STEP_TIMEOUT_S: Final = 30.0  # for lbapp dns and lbapp announce to do their part of a node's drain
NODE_DRAIN_TIMEOUT_S: Final = 300.0  # of the node's drain, where nothing else is said
LISTENERS_SPARE: Final = 32  # rows of the scoreboard for what reloads bring ...
POOLS_SPARE: Final = 64
SERVERS_SPARE: Final = 256  # ... or as many as there are at the start, if those are more
EVENTS_MAX: Final = 2_000  # kept in memory
HISTORY_RETRY_S: Final = 30.0  # until a history that could not be written is tried again
HISTORY_LAST_MAX_S: Final = 24 * 3600.0  # how far back one answer goes
BUNDLE_BYTES_MAX: Final = 200 * MIB  # of a bundle, packed or unpacked: room for all its parts
BUNDLE_HISTORY_BYTES_MAX: Final = 96 * MIB  # of the history in it; that of 1,000 servers has 54 MB
BUNDLE_PART_BYTES_MAX: Final = 8 * MIB  # of each other part
READING_INTERVAL_S: Final = 0.5
PEAK_LOOK_INTERVAL_S: Final = 0.05  # how often it is looked at how much is in flight: what lasts so long is seen
PEAK_MINUTES: Final = 60  # so far back goes the peak that servers have to carry when some are taken away
PEAK_MIN: Final = 10  # in flight in a pool: of less, no server without a limit is too full
PEAK_FACTOR: Final = 2.0  # of what it is known to carry, a server is trusted with so much
RATE_WINDOW_S: Final = 10.0
LATENCY_STEP_S: Final = 10.0  # what longer windows are made of
LATENCY_WINDOWS_S: Final = (RATE_WINDOW_S, 60.0, 300.0)
LATENCY_WINDOW_MAX_S: Final = LATENCY_WINDOWS_S[-1]
PROBE_BODY_BYTES_MAX: Final = 64 * KIB
PROBE_EXCERPT_BYTES_MAX: Final = 200  # of an unexpected answer that are kept and shown
PROBES_AT_ONCE_MAX: Final = 256  # who is due then waits for one to end
PROBES_KEPT: Final = 60  # of each server, the last ones
AGENT_LINE_BYTES_MAX: Final = 1024
AGENTS_AT_ONCE_MAX: Final = 256  # asked; likewise
RESOLVE_TTL_MIN_S: Final = 1.0  # an answer is asked for again no sooner
RESOLVE_TTL_MAX_S: Final = 300.0  # and no later
RESOLVE_RETRY_S: Final = 1.0  # after a failure, doubling
RESOLVE_RETRY_MAX_S: Final = 30.0
RESOLVE_INTERVAL_S: Final = 10.0
RESOLVE_TIMEOUT_S: Final = 5.0
CERTIFICATE_FILE_BYTES_MAX: Final = 4 * MIB  # of certificates or a key
CERTIFICATE_LOOK_INTERVAL_S: Final = 1.0  # how often files of certificates and keys are looked at
CERTIFICATE_DAYS_SAID: Final = (30, 14, 7, 1)  # days left of a certificate at which an event says so
CONTROL_BODY_BYTES_MAX: Final = 1 * MIB
CONFIGURATION_BODY_BYTES_MAX: Final = 16 * MIB  # that has the text of a configuration
CONTROL_CONNECTIONS_MAX: Final = 64
CONTROL_STRANGERS_MAX: Final = 4  # connections of those who may do nothing there
CONTROL_REQUEST_TIMEOUT_S: Final = 10.0  # for a whole request on the control socket
CAPTURES_MAX: Final = 32  # malformed heads that a worker keeps
CAPTURES_PER_SECOND_MAX: Final = 2  # as finding the byte that is wrong costs the time of some dozens of requests ...
CAPTURES_AT_ONCE_MAX: Final = 8  # ... and so many when there have been none for a while
METRICS_CONNECTIONS_MAX: Final = 16  # at the address of the metrics
METRICS_CONNECTION_S: Final = 30.0  # for one scrape, from its connection to the last byte that is taken
EXPOSITION_AGE_MAX_S: Final = 1.0  # scrapers get the same figures until then
LOG_LINES_PER_SECOND_MAX: Final = 2_000.0  # of one who looks on
SESSIONS_LISTED_MAX: Final = 1_000  # connections in one answer of the control API
DECISIONS_LISTED_MAX: Final = 1_000
WATCHES_MAX: Final = 32

# The store side of a fleet.
STORE_CONNECT_TIMEOUT_S: Final = 1.0  # to one of its endpoints
STORE_REQUEST_TIMEOUT_S: Final = 2.0  # from the request to the last byte of the answer; then the next endpoint
STORE_SILENCE_S: Final = 5.0  # of a watch, after which it is made sure that the store is there
STORE_RETRY_S: Final = 0.1  # after a failure, doubling
STORE_RETRY_MAX_S: Final = 2.0
STORE_LEAVE_TIMEOUT_S: Final = 1.0  # to say goodbye
STORE_BODY_BYTES_MAX: Final = 4 * MIB  # of one answer
STORE_LINE_BYTES_MAX: Final = 4 * MIB  # of one message of a watch
STORE_ERROR_BYTES_MAX: Final = 300  # of what the store says of an error that are passed on
STORE_PAGE_KEYS: Final = 64  # in one answer
STORE_KEYS_MAX: Final = 20_000  # of one fleet
STORE_BYTES_MAX: Final = 32 * MIB  # likewise, without the texts of configurations
STORE_CONNECTIONS_MAX: Final = 8
FLEET_STATE_INTERVAL_S: Final = 2.0  # how often a node says what it carries
FLEET_KEY_BYTES_MAX: Final = 1 * KIB
FLEET_VALUE_BYTES_MAX: Final = 32 * KIB  # of any value but the text of a configuration
FLEET_INTENTS_AT_ONCE_MAX: Final = 128  # what etcd takes in one transaction
FLEET_TEXT_BYTES_MAX: Final = 1_000_000  # of a configuration; etcd takes 1.5 MiB in one request
FLEET_TEXTS_KEPT: Final = 20  # configurations whose texts are kept in the store
FLEET_TRIES: Final = 10  # of a change by compare-and-swap that others were faster with
FLEET_GONE_MAX: Final = 64  # nodes that have left and are still shown
FLEET_GONE_S: Final = 24 * 3600.0  # for so long
FLEET_KEEP_INTERVAL_S: Final = 1.0  # between two writes of the last view to the disk
FLEET_KEEP_STATE_INTERVAL_S: Final = 60.0  # likewise, where nothing but figures has changed
FLEET_KEPT_BYTES_MAX: Final = 64 * MIB  # of that file
