"""`lbapp save`: what was changed while the engine ran, into the operator's own file.

Responsible for setting weights in the TOML where the engine has others, and nothing else in it. Knows nothing of how the engine
keeps its own record. Invariants: comments, order and layout of the file stay as they are; a file that would not be valid, or
has been changed since it was read, is not written; the old one is replaced at one stroke.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from lbapp.cli.context import Settings, engine, json_option, say, say_json, socket_option
from lbapp.control.changes import Difference
from lbapp.control.config_file import LocalFile
from lbapp.control.messages import ServerStatus
from lbapp.model.errors import LbappError
from lbapp.model.journal import shown

NOBODY: Final[Mapping[str, ServerStatus]] = {}


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@json_option
@socket_option
@click.pass_obj
def save(settings: Settings, dry_run: bool) -> None:
    """Write weights that were changed, and servers that came or went, into the file, keeping its comments and order."""
    settings.stay_here()  # where the file is
    with engine(settings) as client:
        differences, status = client.differences(), client.status()
        path = Path(status["engine"]["configuration_path"])
        servers = {server["id"]: server for pool in status["pools"] for server in pool["servers"]}
        saved, left = save_into(path, differences, servers, is_dry=dry_run)
    if settings.as_json:
        say_json({"path": str(path), "saved": saved, "left": left})
        return
    for each in saved:
        if each["setting"] == "server":
            say(f"{each['on']} {'added to' if each['now'] else 'taken out of'} {path}")
        else:
            say(f"{each['on']}: {each['setting']} {shown(each['in_file'])} -> {shown(each['now'])} in {path}")
    for each in left:
        value = f"{each['setting']} {shown(each['now'])}"
        say(f"{each['on']}: {value} has no key in the file; it stays a change of the running engine")
    if not saved:
        say("nothing to write")


def save_into(
    path: Path, differences: list[Difference], servers: Mapping[str, ServerStatus] = NOBODY, *, is_dry: bool
) -> tuple[list[Difference], list[Difference]]:
    """Write what has a key into the file; return what was written, and what has none. Raises LbappError, ConfigurationError."""
    from lbapp.config.load import parse_configuration

    wanted = [each for each in differences if each["setting"] == "weight"]
    members = [each for each in differences if each["setting"] == "server"]
    left = [each for each in differences if each["setting"] not in ("weight", "server")]
    file = LocalFile(path)
    before = file.read()
    after = with_servers(before.text, members, servers)
    after, saved = with_weights(after, wanted)
    saved = members + saved
    parse_configuration(after, str(path))
    if saved and not is_dry:
        file.write(after, before)
    return saved, [*left, *(each for each in wanted if each not in saved)]


def with_servers(text: str, wanted: list[Difference], servers: Mapping[str, ServerStatus]) -> str:
    """Return the file with the servers that were added, and without those that were removed. Raises LbappError."""
    from lbapp.config.edit import add_server, remove_server

    for each in wanted:
        pool, _, name = each["on"].partition("/")
        try:
            is_new = bool(each["now"])  # one that has another address now is taken out first
            text = add_server(text, pool, _fields(servers[each["on"]])) if is_new else remove_server(text, pool, name)
        except KeyError as error:
            message = f"{each['on']}: {error.args[0]} is not in the file any more; nothing was written"
            raise LbappError(message, "Look at it, then save again") from error
    return text


def _fields(server: ServerStatus) -> dict[str, str | int | bool]:
    fields: dict[str, str | int | bool] = {
        "name": server["name"],
        "address": server["address"],
        "weight": server["configured_weight"],
    }
    if server["connections_max"]:
        fields["connections_max"] = server["connections_max"]
    if server["is_backup"]:
        fields["backup"] = True
    return fields


def with_weights(text: str, wanted: list[Difference]) -> tuple[str, list[Difference]]:
    """Return the file with other weights, and those differences that have a place in it."""
    import tomlkit

    document = tomlkit.parse(text)
    tables: dict[str, Any] = {
        f"{pool.get('name')}/{server.get('name')}": server
        for pool in document.get("pool", [])
        for server in pool.get("server", [])
    }
    saved = [each for each in wanted if each["on"] in tables]
    for each in saved:
        tables[each["on"]]["weight"] = each["now"]
    return tomlkit.dumps(document), saved
