"""Lines of the access log.

Responsible for the three formats: JSON, combined, httplog; and for the parts of a JSON line that are worth keeping, or have to be
quick. Knows nothing of where lines go.

Sources: HAProxy's configuration manual, section 8.2.3 (httplog) and 8.5 (termination states); Apache's and nginx' combined.

Invariants: whatever a client or a server sent, a line is one line of printable ASCII and ends with the only line feed in it; what
stands in quotes cannot end them; what is long is cut, and shows that it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from lbapp.model.access_log import LogFormat
from lbapp.model.exchange_record import ExchangeRecord
from lbapp.model.limits import LOG_HEADER_BYTES_MAX, LOG_TARGET_BYTES_MAX
from lbapp.model.outcomes import Outcome, Phase
from lbapp.model.persistence import PersistenceVerdict

Verdicts = tuple[PersistenceVerdict | None, PersistenceVerdict | None]

_ESCAPED: Final = {byte: f"\\x{byte:02x}" for byte in range(256) if not 0x20 <= byte < 0x7F or byte in b'"\\'}
_V = PersistenceVerdict
_COOKIE_LETTERS: Final = {
    _V.NONE: "N", _V.INVALID: "I", _V.SERVER_DOWN: "D", _V.SERVER_GONE: "D", _V.VALID: "V", _V.EXPIRED: "E", _V.TOO_OLD: "O",
}  # fmt: skip
_GIVEN_LETTERS: Final = {_V.INSERTED: "I", _V.UPDATED: "U"}
_ENDED_LETTERS: Final = {
    Outcome.COMPLETED: "-", Outcome.CLIENT_BAD_REQUEST: "P", Outcome.CLIENT_TIMEOUT: "c", Outcome.CLIENT_GONE: "C",
    Outcome.BODY_TOO_LARGE: "P", Outcome.NO_ROUTE: "P", Outcome.NO_SERVER: "S", Outcome.CONNECT_FAILED: "S",
    Outcome.CONNECT_TIMEOUT: "s", Outcome.RESPONSE_TIMEOUT: "s", Outcome.RESPONSE_BROKEN: "P", Outcome.SERVER_CLOSED: "S",
    Outcome.ABORTED: "K", Outcome.RATE_LIMITED: "P", Outcome.OVERLOADED: "R", Outcome.EXCHANGE_TIMEOUT: "P",
    Outcome.QUEUE_FULL: "S", Outcome.QUEUE_TIMEOUT: "s",
}  # fmt: skip
_PHASE_LETTERS: Final = {
    Phase.REQUEST: "R", Phase.QUEUE: "Q", Phase.CONNECT: "C", Phase.HEADERS: "H", Phase.BODY: "D",
}  # fmt: skip
_VERSIONS: Final = {10: "1.0", 11: "1.1"}


def text_of(data: bytes, bytes_max: int) -> str:
    """Return bytes as a line shows them: printable ASCII, all else and `"` and `\\` as \\xNN; cut at `bytes_max`."""
    shown = data[:bytes_max].decode("latin-1").translate(_ESCAPED)
    return shown if len(data) <= bytes_max else f"{shown}..."


def json_text(data: bytes, bytes_max: int = LOG_HEADER_BYTES_MAX) -> str:
    """Return bytes as a JSON string; what is no UTF-8 as \\xNN in it."""
    shown = json.dumps(data[:bytes_max].decode("utf-8", "backslashreplace"))
    return shown if len(data) <= bytes_max else f'{shown[:-1]}..."'


def json_target(target: bytes) -> str:
    """Return a request's target as a JSON string; most need no quoting."""
    text = target.decode("latin-1")
    if (
        text.isascii()
        and text.isprintable()
        and '"' not in text
        and "\\" not in text
        and len(text) <= LOG_TARGET_BYTES_MAX
    ):
        return f'"{text}"'
    return json_text(target, LOG_TARGET_BYTES_MAX)


def json_second(second: int) -> str:
    """Return the beginning of a JSON line up to the fraction of the second; `second` in Unix seconds."""
    return f'{{"time":"{_at(second):%Y-%m-%dT%H:%M:%S}.'


def _at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def _or_null(value: int) -> str:
    return "null" if value < 0 else str(value)


def persistence_text(verdicts: Verdicts) -> str:
    """Return what came of persistence, as JSON."""
    words = ",".join(f'"{each.name.lower()}"' for each in verdicts if each is not None)
    return f"[{words}]" if words else "null"


def json_client(client: str, port: int, listener: str) -> str:
    """Return the part of a JSON line about who asked."""
    return f'"client":{json.dumps(client)},"port":{port or "null"},"listener":"{listener}",'


def json_server(pool: str, server: str) -> str:
    """Return the part of a JSON line about who was asked; names are of the configuration, and need no quoting."""
    return f'"pool":{_name(pool)},"server":{_name(server)},'


def json_trace(request_id: str, trace_id: str) -> str:
    """Return the part of a JSON line about the ids of a request, each empty where there is none; they need no quoting."""
    if request_id and trace_id:
        return f',"request_id":"{request_id}","trace_id":"{trace_id}"'
    return f',"request_id":{_name(request_id)},"trace_id":{_name(trace_id)}'


def _name(name: str) -> str:
    return f'"{name}"' if name else "null"


def json_line(record: ExchangeRecord) -> str:
    """Return a line with everything that is known."""
    millis, ended = int(record.at_s * 1000), record.ended_by
    what = "null" if not record.method else json_text(record.method)
    host = json_text(record.host) if record.method else "null"
    target = json_target(record.target) if record.method else "null"
    version = f'"{_VERSIONS[record.version]}"' if record.method else "null"
    headers = ",".join(f"{json.dumps(name)}:{json_text(value)}" for name, value in record.headers)
    return (
        f'{json_second(millis // 1000)}{millis % 1000:03d}Z",{json_client(record.client, record.port, record.listener)}'
        f'"method":{what},"host":{host},"target":{target},"version":{version},"status":{record.status or "null"},'
        f'{json_server(record.pool, record.server)}"bytes_in":{record.bytes_in},"bytes_out":{record.bytes_out},'
        f'"queue_us":{_or_null(record.queue_us)},"connect_us":{_or_null(record.connect_us)},'
        f'"first_byte_us":{_or_null(record.first_byte_us)},"total_us":{record.total_us},"attempts":{record.attempts},'
        f'"persistence":{persistence_text((record.verdict, record.given))},"outcome":"{record.outcome.name.lower()}",'
        f'"ended_by":{_name(ended.value if ended else "")},"phase":{_name(record.phase.value if record.phase else "")}'
        f"{'' if record.trace is None else json_trace(*record.trace)}"
        f'{f""","headers":{{{headers}}}""" if headers else ""}}}\n'
    )


def combined_line(record: ExchangeRecord) -> str:
    """Return a line as Apache and nginx write it; of a TCP connection with `-` for its request."""
    headers = dict(record.headers)
    at = f"{_at(int(record.at_s)):%d/%b/%Y:%H:%M:%S} +0000"
    fields = [text_of(headers.get(name, b"") or b"-", LOG_HEADER_BYTES_MAX) for name in COMBINED_HEADERS]
    return (
        f'{record.client} - - [{at}] "{_request(record)}" {record.status or "-"} {record.bytes_out} '
        f'"{fields[0]}" "{fields[1]}"\n'
    )


COMBINED_HEADERS: Final = ("referer", "user-agent")


def httplog_line(record: ExchangeRecord) -> str:
    """Return a line as HAProxy writes it with `option httplog`; connections and what is in flight are those of one worker."""
    micros = int(record.at_s * 1e6)
    at = f"{_at(micros // 1_000_000):%d/%b/%Y:%H:%M:%S}.{micros % 1_000_000 // 1000:03d}"
    queue, connect, answer = (each if each < 0 else each // 1000 for each in _phases_us(record))
    total = record.total_us // 1000
    cookie = "-" if record.verdict is None else _COOKIE_LETTERS.get(record.verdict, "-")
    given = "-" if record.verdict is None else _GIVEN_LETTERS.get(record.given or _V.NONE, "N")
    state = f"{_ENDED_LETTERS[record.outcome]}{_PHASE_LETTERS[record.phase] if record.phase else '-'}{cookie}{given}"
    server = record.server.rpartition("/")[2] or "<NOSRV>"
    many = record.connections
    return (
        f"{record.client}:{record.port} [{at}] {record.listener} {record.pool or record.listener}/{server} "
        f"0/{queue}/{connect}/{answer}/{total} {record.status or -1} {record.bytes_out} - - {state} "
        f'{many}/{many}/{many}/{many}/{max(record.attempts - 1, 0)} 0/0 "{_request(record)}"\n'
    )


def _phases_us(record: ExchangeRecord) -> tuple[int, int, int]:
    return record.queue_us, record.connect_us, record.first_byte_us


def _request(record: ExchangeRecord) -> str:
    if not record.method:
        return "-"
    method, target = text_of(record.method, LOG_HEADER_BYTES_MAX), text_of(record.target, LOG_TARGET_BYTES_MAX)
    return f"{method} {target} HTTP/{_VERSIONS[record.version]}"


LINE_OF: Final[dict[LogFormat, Callable[[ExchangeRecord], str]]] = {
    LogFormat.JSON: json_line,
    LogFormat.COMBINED: combined_line,
    LogFormat.HTTPLOG: httplog_line,
}
