"""Looking at and changing a name in a zone, by signed messages to its primary server (RFC 1035, RFC 2136, RFC 8945).

Responsible for the messages, and for three kinds of failure: somebody else was faster, the server refuses, the server is silent.
Knows nothing of what is to be changed, or why.

Invariants: one change is one message, made whole or not at all; where addresses of a family go, the server makes it only if that
family is as it was seen; over TCP, so that nothing is cut short and nobody answers in the server's place.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.tsig
import dns.update

from lbapp.cluster.dns.decide import Decision, Seen, is_ipv6
from lbapp.cluster.dns.notes import read_note
from lbapp.model.dns import DnsSettings

TIMEOUT_S: Final = 5.0  # of a message: servers write to disk before they answer, which takes a second now and then
LOOK_MESSAGES: Final = 3  # of a look: each family, and the notes
_TEXT_BYTES_MAX: Final = 255  # of one string in a TXT record
_FAMILIES: Final = {False: dns.rdatatype.A, True: dns.rdatatype.AAAA}
_OTHERS_WERE_FASTER: Final = (dns.rcode.NXRRSET, dns.rcode.YXRRSET)
_SILENCE: Final = (dns.rcode.SERVFAIL,)  # a server that is starting, or cannot write at the moment


class ZoneFailed(Exception):
    """The zone cannot be seen or changed: one sentence says why."""


class ZoneRefused(ZoneFailed):
    """The server has decided so, and will again: somebody has to change a configuration."""


class ZoneSilent(ZoneFailed):
    """The server has not answered, or not now."""


class ZoneChanged(ZoneFailed):
    """The addresses are no longer as they were seen; nothing was written."""


class Zone:
    """One name of a zone, and the notes beside it."""

    def __init__(self, settings: DnsSettings) -> None:
        self._server = settings.server
        self._ttl_s = settings.ttl_s
        self._origin = dns.name.from_text(settings.zone)
        self._name = dns.name.from_text(settings.name)
        self._notes = dns.name.from_text(f"_nodes.{settings.name}")
        self._key_name = settings.key.name
        self._key = dns.tsig.Key(settings.key.name, settings.key.secret, f"{settings.key.algorithm.value}.")

    @property
    def server(self) -> str:
        """The server, as people write it."""
        host, port = self._server
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def look(self) -> Seen:
        """Return what stands there. Raises ZoneRefused, ZoneSilent."""
        addresses: set[str] = set()
        ttl_s = 0
        for kind in _FAMILIES.values():
            answer = await self._ask(self._name, kind)
            if answer is not None:
                addresses.update(record.address for record in answer)
                ttl_s = max(ttl_s, answer.ttl)
        noted = await self._ask(self._notes, dns.rdatatype.TXT)
        texts = [] if noted is None else [b"".join(record.strings).decode("ascii", "replace") for record in noted]
        notes = {text: note for text in texts if (note := read_note(text)) is not None}
        return Seen(frozenset(addresses), ttl_s, notes)

    async def write(self, seen: Seen, decision: Decision) -> None:
        """Make a change, if the addresses are as they were seen. Raises ZoneChanged, ZoneRefused, ZoneSilent."""
        message = dns.update.UpdateMessage(self._origin, keyring=self._key)
        for is_six, kind in _FAMILIES.items():
            going = [each for each in decision.removed if is_ipv6(each) is is_six]
            if going:
                before = [_record(kind, each) for each in sorted(seen.addresses) if is_ipv6(each) is is_six]
                message.present(self._name, *before)
                message.delete(self._name, *(_record(kind, each) for each in going))
            for address in decision.added:
                if is_ipv6(address) is is_six:
                    message.add(self._name, self._ttl_s, _record(kind, address))
        if decision.notes_removed:
            message.delete(self._notes, *map(_text_record, decision.notes_removed))
        for text in decision.notes_added:
            message.add(self._notes, self._ttl_s, _text_record(text))
        answer = await self._exchange(message)
        if answer.rcode() in _OTHERS_WERE_FASTER:
            raise ZoneChanged(f"{self._name} was changed by somebody else meanwhile")
        self._check(answer)

    async def _ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.rdataset.Rdataset | None:
        query = dns.message.make_query(name, kind, flags=0)  # no recursion: what the server itself has
        query.use_tsig(self._key)
        answer = await self._exchange(query)
        if answer.rcode() != dns.rcode.NXDOMAIN:
            self._check(answer)
        if not answer.flags & dns.flags.AA:
            raise ZoneRefused(
                f"{self.server} is no server of its own for {self._origin}: name the zone's primary as server"
            )
        if any(each.rdtype == dns.rdatatype.CNAME for each in answer.answer):
            raise ZoneRefused(f"{name} is another name for something (CNAME), so it has no addresses of its own")
        return answer.get_rrset(answer.answer, name, dns.rdataclass.IN, kind)

    async def _exchange(self, message: dns.message.Message) -> dns.message.Message:
        async with self._reached():
            host, port = self._server
            return await dns.asyncquery.tcp(message, host, TIMEOUT_S, port)

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[None]:
        """Turn what goes wrong into ZoneRefused and ZoneSilent."""
        key = f"key {self._key_name} of {self._key.algorithm.to_text(omit_final_dot=True)}"
        try:
            yield
        except (dns.tsig.PeerBadKey, dns.message.UnknownTSIGKey, dns.tsig.BadAlgorithm) as error:
            raise ZoneRefused(f"{self.server} does not know the {key}, or not for this name (BADKEY)") from error
        except (dns.tsig.PeerBadSignature, dns.tsig.BadSignature) as error:
            raise ZoneRefused(f"{self.server} has another secret for the {key} (BADSIG)") from error
        except (dns.tsig.PeerBadTime, dns.tsig.BadTime) as error:
            raise ZoneRefused(f"the clocks of {self.server} and of this node are too far apart (BADTIME)") from error
        except dns.tsig.PeerError as error:
            raise ZoneRefused(f"{self.server} does not take the {key}: {error}") from error
        except (dns.exception.Timeout, TimeoutError) as error:
            raise ZoneSilent(f"{self.server} has not answered within {TIMEOUT_S:g} s") from error
        except (OSError, EOFError) as error:
            number = getattr(error, "errno", None)
            why = os.strerror(number) if number else "the connection was closed"
            raise ZoneSilent(f"{self.server} cannot be reached: {why}") from error
        except dns.exception.FormError as error:
            # What a Knot says of a zone that it does not have, and who is not the server at all.
            why = f"{self.server} has not signed its answer, as if it did not have the zone {self._origin}: {error}"
            raise ZoneSilent(why) from error
        except (dns.exception.DNSException, ValueError) as error:
            raise ZoneSilent(f"{self.server} has answered what is no answer: {error}") from error

    def _check(self, answer: dns.message.Message) -> None:
        code = answer.rcode()
        if code == dns.rcode.NOERROR:
            return
        if code in _SILENCE:
            raise ZoneSilent(f"{self.server} cannot do it now ({dns.rcode.to_text(code)})")
        raise ZoneRefused(
            f"{self.server} does not let the key {self._key_name} see or change {self._name} and {self._notes} "
            f"({dns.rcode.to_text(code)})"
        )


def _record(kind: dns.rdatatype.RdataType, address: str) -> dns.rdata.Rdata:
    return dns.rdata.from_text(dns.rdataclass.IN, kind, address)


def _text_record(text: str) -> dns.rdata.Rdata:
    whole = text.encode("ascii")
    strings: Iterable[bytes] = (whole[at : at + _TEXT_BYTES_MAX] for at in range(0, len(whole), _TEXT_BYTES_MAX))
    return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, list(strings))
