"""Questions to DNS servers, with how long the answers hold.

Responsible for asking for addresses and SRV records without holding up the event loop, and for one sentence when there is no
answer. Knows nothing of servers or of what an answer is for. Its library is imported with the first question, so that an engine
whose servers have addresses pays nothing for it. Invariants: an answer is not empty; it holds for RESOLVE_TTL_MIN_S
at least, so that no zone has us ask all the time, and for RESOLVE_TTL_MAX_S at most; addresses of a family that cannot be asked
for now are those of its last answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from lbapp.engine.policy.discovery import SrvRecord
from lbapp.model.limits import RESOLVE_TIMEOUT_S, RESOLVE_TTL_MAX_S, RESOLVE_TTL_MIN_S

if TYPE_CHECKING:
    import dns.asyncresolver
    import dns.resolver

_Value = TypeVar("_Value")
_TRY_S: Final = 1.0  # for one server, before the next is asked
_FAMILIES: Final = ("A", "AAAA")
_ROOT: Final = "."
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
        self._last: dict[tuple[str, str], tuple[str, ...]] = {}
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def addresses(self, name: str) -> Answered[str]:
        """Return the IPv4 and IPv6 addresses of a name, in no particular order. Raises DnsFailed."""
        found: dict[str, tuple[str, ...]] = {}
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

    def _keep(self, name: str, found: dict[str, tuple[str, ...]]) -> None:
        if len(self._last) >= _NAMES_KEPT:
            self._last.clear()  # names of SRV targets may be others every day
        self._last.update({(name, kind): addresses for kind, addresses in found.items()})

    async def srv(self, name: str) -> Answered[SrvRecord]:
        """Return the SRV records of a name. Raises DnsFailed."""
        answer = await self._ask(name, "SRV")
        records = tuple(
            SrvRecord(record.priority, record.weight, record.port, record.target.to_text(omit_final_dot=True))
            for record in answer
            if record.target.to_text() != _ROOT  # the service is decidedly not there (RFC 2782)
        )
        if not records:
            raise DnsFailed("the service is not offered there")
        return Answered(records, _ttl_of(answer))

    async def _ask(self, name: str, kind: str) -> dns.resolver.Answer:
        import dns.exception
        import dns.resolver

        try:
            return await self._asked().resolve(name, kind, search=True, lifetime=RESOLVE_TIMEOUT_S)
        except dns.resolver.NXDOMAIN as error:
            raise NoRecords("there is no such name") from error
        except dns.resolver.NoAnswer as error:
            raise NoRecords(f"it has no {kind} records") from error
        except dns.resolver.NoNameservers as error:
            raise DnsFailed("no name server answers it (SERVFAIL or refused)") from error
        except dns.exception.Timeout as error:
            raise DnsFailed(f"no answer within {RESOLVE_TIMEOUT_S:g} s") from error
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise DnsFailed(str(error) or type(error).__name__) from error

    def _asked(self) -> dns.asyncresolver.Resolver:
        import dns.asyncresolver
        import dns.nameserver

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
