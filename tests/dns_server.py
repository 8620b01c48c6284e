"""A DNS server for tests: real packets over UDP and TCP on loopback, made and read by dnspython.

Responsible for answering what a test has it say, and for counting what was asked. Knows nothing of lbapp.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Zone = dict[tuple[str, str], tuple[int, list[str]]]  # (name, type): TTL and records in text


class DnsServer:
    """Answers from `zone`. `rcode`: what every answer says instead; `is_silent`: no answer at all."""

    def __init__(self) -> None:
        self.zone: Zone = {}
        self.rcode: dns.rcode.Rcode | None = None
        self.failing: set[str] = set()  # types that are answered SERVFAIL
        self.is_silent = False
        self.is_truncating = False  # over UDP, so that TCP has to be used
        self.asked: Counter[tuple[str, str]] = Counter()
        self.over_tcp = 0
        while True:  # one port for both
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.bind(("127.0.0.1", 0))
            self.port: int = self._udp.getsockname()[1]
            try:
                self._tcp = socket.create_server(("127.0.0.1", self.port))
                break
            except OSError:
                self._udp.close()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._serve_udp, self._serve_tcp)]

    def say(self, name: str, kind: str, ttl: int, *records: str) -> None:
        """Answer that from now on."""
        self.zone[name, kind] = (ttl, list(records))

    def _answer(self, wire: bytes, *, is_udp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked[name, kind] += 1
        if self.is_silent:
            return None
        answer = dns.message.make_response(query)
        if self.rcode is not None or kind in self.failing:
            answer.set_rcode(dns.rcode.SERVFAIL if self.rcode is None else self.rcode)
            return answer.to_wire()
        if is_udp and self.is_truncating:
            answer.flags |= dns.flags.TC
            return answer.to_wire()
        found = self.zone.get((name, kind))
        if found is not None and found[1]:
            answer.answer.append(dns.rrset.from_text_list(question.name, found[0], dns.rdataclass.IN, kind, found[1]))
        elif not any(known == name for known, _ in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()

    def _serve_udp(self) -> None:
        while True:
            try:
                wire, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            if not wire:
                return
            answer = self._answer(wire, is_udp=True)
            if answer is not None:
                self._udp.sendto(answer, peer)

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    (length,) = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
                    answer = self._answer(connection.recv(length, socket.MSG_WAITALL), is_udp=False)
                    self.over_tcp += 1
                    if answer is not None:
                        connection.sendall(struct.pack("!H", len(answer)) + answer)
                except (OSError, struct.error):
                    continue

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._tcp.close()
        self._udp.close()


@contextmanager
def dns_server() -> Iterator[DnsServer]:
    server = DnsServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
