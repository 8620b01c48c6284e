"""Questions to DNS servers, with how long the answers hold.

Responsible for asking for addresses and SRV records without holding up the event loop, and for one sentence when there is no
answer. Knows nothing of servers or of what an answer is for. Invariants: an answer is not empty; it holds for RESOLVE_TTL_MIN_S
at least, so that no zone has us ask all the time, and for RESOLVE_TTL_MAX_S at most; addresses of a family that cannot be asked
for now are those of its last answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from lbapp.engine.policy.discovery import SrvRecord
from lbapp.model.limits import RESOLVE_TIMEOUT_S, RESOLVE_TTL_MAX_S, RESOLVE_TTL_MIN_S

_Value = TypeVar("_Value")
_TRY_S: Final = 1.0  # for one server, before the next is asked
_FAMILIES: Final = (dns.rdatatype.A, dns.rdatatype.AAAA)
_NAMES_KEPT: Final = 10_000


class DnsFailed(Exception):
    """There is no answer: a sentence says why."""


class NoRecords(DnsFailed):
    """The answer is that there is nothing of the kind."""


@dataclass(frozen=True, slots=True)
class Answered(Generic[_Value]):
    """An answer, and for how many seconds it holds."""

    values: tuple[_Value, ...]
    ttl_s: float


class Dns:
    """`nameservers`: (address, port) of those to ask; none: the system's."""

    def __init__(self, nameservers: Sequence[tuple[str, int]] = ()) -> None:
        self._nameservers = nameservers
        self._last: dict[tuple[str, dns.rdatatype.RdataType], tuple[str, ...]] = {}
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def addresses(self, name: str) -> Answered[str]:
        """Return the IPv4 and IPv6 addresses of a name, in no particular order. Raises DnsFailed."""
        found: dict[dns.rdatatype.RdataType, tuple[str, ...]] = {}
        ttls: list[float] = []
        failed: DnsFailed | None = None
        for kind in _FAMILIES:
            try:
                answer = await self._ask(name, kind)
            except NoRecords as error:
                failed, found[kind] = failed or error, ()
            except DnsFailed as error:
                failed, found[kind] = failed or error, self._last.get((name, kind), ())
            else:
                found[kind] = tuple(record.address for record in answer)
                ttls.append(_ttl_of(answer))
        if not ttls:
            raise failed or DnsFailed("it has no addresses")
        self._keep(name, found)
        return Answered(tuple(address for every in found.values() for address in every), min(ttls))

    def _keep(self, name: str, found: dict[dns.rdatatype.RdataType, tuple[str, ...]]) -> None:
        if len(self._last) >= _NAMES_KEPT:
            self._last.clear()  # names of SRV targets may be others every day
        self._last.update({(name, kind): addresses for kind, addresses in found.items()})

    async def srv(self, name: str) -> Answered[SrvRecord]:
        """Return the SRV records of a name. Raises DnsFailed."""
        answer = await self._ask(name, dns.rdatatype.SRV)
        records = tuple(
            SrvRecord(record.priority, record.weight, record.port, record.target.to_text(omit_final_dot=True))
            for record in answer
            if record.target != dns.name.root  # the service is decidedly not there (RFC 2782)
        )
        if not records:
            raise DnsFailed("the service is not offered there")
        return Answered(records, _ttl_of(answer))

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer:
        try:
            return await self._asked().resolve(name, kind, search=True, lifetime=RESOLVE_TIMEOUT_S)
        except dns.resolver.NXDOMAIN as error:
            raise NoRecords("there is no such name") from error
        except dns.resolver.NoAnswer as error:
            raise NoRecords(f"it has no {kind.name} records") from error
        except dns.resolver.NoNameservers as error:
            raise DnsFailed("no name server answers it (SERVFAIL or refused)") from error
        except dns.exception.Timeout as error:
            raise DnsFailed(f"no answer within {RESOLVE_TIMEOUT_S:g} s") from error
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise DnsFailed(str(error) or type(error).__name__) from error

    def _asked(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
            self._resolver.timeout = _TRY_S
            if self._nameservers:
                self._resolver.nameservers = [
                    dns.nameserver.Do53Nameserver(address, port) for address, port in self._nameservers
                ]
        return self._resolver


def _ttl_of(answer: dns.resolver.Answer) -> float:
    ttl = answer.rrset.ttl if answer.rrset is not None else 0
    return min(max(float(ttl), RESOLVE_TTL_MIN_S), RESOLVE_TTL_MAX_S)
