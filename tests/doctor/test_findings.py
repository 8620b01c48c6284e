"""What is found, judged: each check at its border."""

from __future__ import annotations

import pytest

from lbapp.doctor import findings
from lbapp.doctor.findings import Finding, Verdict
from lbapp.model.descriptors import descriptors_for

OK, WARN, BAD = Verdict.OK, Verdict.WARN, Verdict.BAD


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (findings.descriptors(descriptors_for(1000), 1999, 2), OK),
        (findings.descriptors(descriptors_for(1000) - 1, 1999, 2), WARN),
        (findings.somaxconn(4096), OK),
        (findings.somaxconn(128), WARN),
        (findings.somaxconn(None), WARN),
        (findings.versions("3.11.2", "3.0.2", "6.1"), OK),
        (findings.versions("3.11.2", "1.1.1w", "6.1"), WARN),
        (findings.descriptors(descriptors_for(1000) - 1, 1999, 2, of="the unit"), WARN),
        (findings.syn_backlog(1024), OK),
        (findings.syn_backlog(1023), WARN),
        (findings.syn_backlog(None), WARN),
        (findings.conntrack(2000, 1600, 1000), OK),
        (findings.conntrack(2000, 1601, 1000), WARN),
        (findings.conntrack(1999, 0, 1000), WARN),
        (findings.conntrack(None, 0, 1000), WARN),
        (findings.disk("/x", 1 << 29, of="access log"), WARN),
        (findings.syslog("/dev/log", is_there=True), OK),
        (findings.syslog("/dev/log", is_there=False), WARN),
        (findings.store("http://e:1", "", 1.0, 10.0, others=1), OK),
        (findings.store("http://e:1", "", 1.1, 10.0, others=1), WARN),
        (findings.store("http://e:1", "connection refused", 0.0, 10.0, others=1), WARN),
        (findings.store("http://e:1", "connection refused", 0.0, 10.0, others=0), BAD),
        (findings.server("p/s", "a:1", "", 0.1), OK),
        (findings.server("p/s", "a:1", "connection refused", 0.1), WARN),
        (findings.local_ports((32768, 60999), 28232, 1), OK),
        (findings.local_ports((32768, 60999), 28233, 1), WARN),
        (findings.local_ports((32768, 60999), 28233, 2), OK),
        (findings.local_ports(None, 1, 1), WARN),
        (findings.port("0.0.0.0:80", "", is_ours=False), OK),
        (findings.port("0.0.0.0:80", "address already in use", is_ours=True), OK),
        (findings.port("0.0.0.0:80", "address already in use", is_ours=False), BAD),
        (findings.folder("state_dir", "/x", ""), OK),
        (findings.folder("state_dir", "/x", "no folder"), BAD),
        (findings.disk("/x", 1 << 30), OK),
        (findings.disk("/x", 1 << 29), WARN),
        (findings.certificate("f", 0), BAD),
        (findings.certificate("f", 13 * 86400), WARN),
        (findings.certificate("f", 14 * 86400), OK),
        (findings.name("h", ""), OK),
        (findings.name("h", "name or service not known"), BAD),
        (findings.clock(is_synchronised=True), OK),
        (findings.clock(is_synchronised=False), WARN),
        (findings.clock(is_synchronised=None), WARN),
        (findings.engine(None, "/f", ""), OK),
        (findings.engine("/g", "/f", "x"), OK),
        (findings.engine("/f", "/f", ""), OK),
        (findings.engine("/f", "/f", "it was changed"), WARN),
        (findings.engine(None, "/f", "", has_unit=True), OK),
        (findings.user("lbapp", "lbapp", "/f"), OK),
        (findings.user("alice", "lbapp", "/f"), WARN),
        (findings.readable("/k", "", "lbapp"), OK),
        (findings.readable("/k", "lbapp may not read it", "lbapp"), BAD),
        (findings.folder("state_dir", "/x", "read-only to the unit (ProtectSystem=strict)"), BAD),
        (findings.port("0.0.0.0:80", "permission denied", is_ours=False, may_unit=True), WARN),
        (findings.port("0.0.0.0:80", "permission denied", is_ours=False), BAD),
        (findings.certificate("f", 0, of="authority"), BAD),
    ],
)
def test_each_check_has_its_border_and_says_what_to_do(finding: Finding, verdict: Verdict) -> None:
    assert finding.verdict is verdict
    assert bool(finding.command and finding.why) or verdict is OK
