"""The verbs that look at single exchanges and connections: log, sessions, captures.

Responsible for what they print, and for closing one connection. Knows nothing of how exchanges are seen. Invariant: what came
from the network never reaches the terminal raw.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from typing import cast

import click

from lbapp.cli.context import Settings, duration_option, engine, json_option, say, say_json, socket_option
from lbapp.cli.format import count, duration, milliseconds, table
from lbapp.control.looking import Captures, CaptureStatus, LogLine, Sessions, Skipped

_SESSIONS = ("ID", "CLIENT", "LISTENER", "STATE", "AGE", "BUSY", "SERVER", "REQUEST")
_SESSIONS_RIGHT = frozenset((0, 4, 5))


@click.command()
@click.option("-f", "--follow", is_flag=True, required=True, help="Exchanges as they end, until Ctrl-C.")
@click.option("--listener", default="", metavar="NAME", help="Of this listener.")
@click.option("--pool", default="", metavar="NAME", help="Of this pool.")
@click.option("--server", default="", metavar="POOL/SERVER", help="Of this server.")
@click.option("--client", default="", metavar="ADDRESS", help="Of this client.")
@click.option("--path", default="", metavar="PREFIX", help="Whose target begins so.")
@click.option("--status", default="", metavar="STATUS", help="Such as 503, 5xx or 400-499.")
@duration_option("--slower-than", "That took at least so long, such as 500ms.")
@click.option("--failed", is_flag=True, help="That were not complete, or a 5xx.")
@click.option("--prefer", is_flag=True, help="Where there are too many, those first that --failed would show.")
@duration_option("--slow", "With --prefer: and those that took so long, such as 500ms.")
@click.option("--rate", default=100, show_default=True, type=click.IntRange(1), help="Lines a second, at most.")
@json_option
@socket_option
@click.pass_obj
def log(
    settings: Settings, /, follow: bool, slower_than: float | None, slow: float | None, **wanted: str | bool | int
) -> None:
    """Show exchanges as they end. The rest is counted where there are too many to show."""
    query = {name: str(int(value) if isinstance(value, bool) else value) for name, value in wanted.items() if value}
    if slower_than is not None:
        query["slower_ms"] = f"{slower_than * 1000:.3f}"
    if slow is not None:
        query["slow_ms"] = f"{slow * 1000:.3f}"
    with engine(settings) as client, suppress(KeyboardInterrupt):
        for line in client.follow_log(query):
            if settings.as_json:
                say_json(line)
            elif "skipped" in line:
                say(f"... {cast(Skipped, line)['skipped']} more")
            else:
                say(_exchange(line))


def _exchange(line: LogLine) -> str:
    at = datetime.fromisoformat(line["time"].replace("Z", "+00:00")).astimezone()
    asked = f"{line['method']} {line['target']}" if line["method"] else "tcp" if line["server"] else "-"
    parts = [
        f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}",
        str(line["status"] or "-").rjust(3),
        milliseconds(line["total_us"] / 1000).rjust(6),
        (line["server"] or line["listener"]).ljust(12),
        line["client"].ljust(15),
        asked,
    ]
    if line["ended_by"] is not None:
        parts.append(f"[{line['outcome'].replace('_', ' ')}: by {line['ended_by']} in {line['phase']}]")
    if line["attempts"] > 1:
        parts.append(f"({line['attempts']} attempts)")
    return "  ".join(parts)


@click.command()
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--pool", default="", metavar="NAME", help="Busy with this pool.")
@click.option("--server", default="", metavar="POOL/SERVER", help="Busy with this server.")
@click.option("--close", type=click.IntRange(0), metavar="ID", help="Close this one, whatever it carries.")
@json_option
@socket_option
@click.pass_obj
def sessions(settings: Settings, /, limit: int, close: int | None, **where: str) -> None:
    """Show the connections of clients, those busy for longest first; close one."""
    named = {name: value for name, value in where.items() if value}
    with engine(settings) as client:
        if close is not None:
            client.close_session(close, named)
            say(f"closed: {close}")
            return
        found = client.sessions(limit, named)
        if settings.as_json:
            say_json(found)
        else:
            say(_sessions(found))


def _sessions(found: Sessions) -> str:
    rows = [
        (
            str(each["id"]),
            each["client"] + (f":{each['port']}" if each["port"] else ""),
            each["listener"],
            each["state"].upper(),
            duration(each["age_s"]),
            duration(each["busy_s"]) if each["busy_s"] else "-",
            each["server"] or "-",
            f"{each['method']} {each['target']}" if each["method"] else "-",
        )
        for each in found["sessions"]
    ]
    head = f"{count(found['connections'])} connections at {time.strftime('%H:%M:%S')}"
    shown = f", {len(rows)} of them:" if len(rows) < found["connections"] else ""
    return f"{head}{shown}\n" + table(_SESSIONS, rows, _SESSIONS_RIGHT)


@click.command()
@json_option
@socket_option
@click.pass_obj
def captures(settings: Settings) -> None:
    """Show the last requests and answers that were no HTTP, and where they were wrong."""
    with engine(settings) as client:
        found = client.captures()
        if settings.as_json:
            say_json(found)
        else:
            say(_captures(found))


def _captures(found: Captures) -> str:
    lines = [line for each in found["captures"] for line in _capture(each)]
    if found["skipped"]:
        lines.append(f"... {count(found['skipped'])} more, too many to look at")
    return "\n".join(lines) or "none"


def _capture(capture: CaptureStatus) -> list[str]:
    at = datetime.fromtimestamp(capture["at"]).astimezone()
    sender = capture["client"] + (f":{capture['port']}" if capture["port"] else "")
    if capture["who"] == "server":
        sender = f"{capture['server'] or capture['pool']} for {sender}"
    where = f", {capture['offset_is']} at {capture['offset']}" if capture["offset"] is not None else ""
    lines = [f"{at:%Y-%m-%d %H:%M:%S}  {capture['listener']}  {capture['who']} {sender}: {capture['reason']}{where}"]
    if capture["excerpt"]:
        lines.append(f"    {capture['excerpt_offset']}: {capture['excerpt']}")
    return lines
