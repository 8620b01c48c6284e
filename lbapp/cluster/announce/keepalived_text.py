"""What keepalived is told, and what it says.

Responsible for its configuration, for the numbers of the track file and for the lines of its notify FIFO (keepalived.conf(5),
version 2.2). Knows nothing of files.

Invariants: a node that is not ready, or whose track file is not there, is out of the election (FAULT); one that drains stays
in it, behind all others, so that the last one keeps the address; a node that comes back takes the address from nobody who is as
good.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

from lbapp.cluster.announce.decision import RouteState
from lbapp.control.fleet import SessionReport
from lbapp.model.announce import AnnounceSettings

# Added to the priority; -254 and less is a fault. keepalived takes a file that is not there, is empty or has no number for a 0,
# which is why 0 is none of them: it is a fault by the second look at the file, `lbapp_there`.
TRACKED: Final = {RouteState.ANNOUNCED: 1, RouteState.DRAINED: -50, RouteState.WITHDRAWN: -254}
INSTANCE: Final = "lbapp"
_IN_ELECTION: Final = ("MASTER", "BACKUP")
_match_notice: Final = re.compile(r'INSTANCE "([^"]{1,64})" ([A-Z_]{1,32})(?: \d+)?').fullmatch
_HEAD: Final = """# Made by `lbapp announce --print keepalived`. Check it with: keepalived -t -f FILE
global_defs {{
  router_id {name}
  vrrp_notify_fifo {fifo}
}}
track_file lbapp {{
  file {track_file}
  weight 1
  init_file {fault}
}}
track_file lbapp_there {{
  file {track_file}
  weight 0 reverse
}}
"""
_INSTANCE: Final = """
vrrp_instance {instance} {{
  state BACKUP
  interface {interface}
  virtual_router_id {router_id}
  priority {priority}
  version 3
  advert_int {interval:g}
  unicast_src_ip {source}
  unicast_peer {{
    {peers}
  }}
  virtual_ipaddress {{
    {addresses}
  }}
"""
_EXCLUDED: Final = """  virtual_ipaddress_excluded {{
    {addresses}
  }}
"""
_TAIL: Final = """  track_file {
    lbapp
    lbapp_there
  }
}
"""


def keepalived_text(settings: AnnounceSettings, name: str) -> str:
    """Return the configuration: one instance, which all addresses move with. `name`: of this node."""
    own = settings.keepalived
    version = ip_address(own.source).version
    same = [each for each in settings.addresses if ip_address(each).version == version]
    other = [each for each in settings.addresses if each not in same]
    text = _HEAD.format(name=name, fifo=own.fifo, track_file=own.track_file, fault=TRACKED[RouteState.WITHDRAWN])
    text += _INSTANCE.format(
        instance=INSTANCE,
        interface=own.interface,
        router_id=own.virtual_router_id,
        priority=own.priority,
        interval=own.advert_interval_s,
        source=own.source,
        peers="\n    ".join(own.peers),
        addresses=_lines(same, own.interface),
    )
    # An instance speaks one family; addresses of the other move with it without being spoken of.
    text += _EXCLUDED.format(addresses=_lines(other, own.interface)) if other else ""
    return text + _TAIL


def _lines(addresses: list[str], interface: str) -> str:
    return "\n    ".join(f"{each}/{128 if ':' in each else 32} dev {interface}" for each in addresses)


def session_in(line: str, at: str) -> SessionReport | None:
    """Return what a line of the FIFO says of an instance; None: it is about something else. `at`: the time, as it is shown."""
    match = _match_notice(line.strip())
    if match is None:
        return None
    name, state = match[1], match[2]
    return {"name": name, "state": state, "is_up": state in _IN_ELECTION, "since": at, "bfd": ""}
