"""The questions and answers of plain text: what a tcp check sends and expects, and an agent's line.

Responsible for reading until what is expected has come, or a line is whole. Knows nothing of connections or of what an agent's
words mean. Invariant: no more is read than the limits allow, whatever the server sends.
"""

from __future__ import annotations

from lbapp.engine.policy.health import ProbeResult
from lbapp.engine.supervisor.probe_http import printable
from lbapp.engine.supervisor.probe_stream import ProbeStream
from lbapp.model.health import HealthCheck
from lbapp.model.limits import AGENT_LINE_BYTES_MAX, PROBE_BODY_BYTES_MAX


async def converse(stream: ProbeStream, check: HealthCheck) -> ProbeResult:
    """Say what a tcp check has to say and wait for what it expects. Raises OSError."""
    if check.send is None and check.expect is None:
        return ProbeResult(is_success=True, reason="connected")
    stream.layer = "tcp"
    if check.send is not None:
        await stream.send(check.send.encode())
    if check.expect is None:
        return ProbeResult(is_success=True, reason="connected and sent")
    wanted, said = check.expect.encode(), b""
    while wanted not in said:
        data = await stream.receive()
        said += data
        if not data or len(said) > PROBE_BODY_BYTES_MAX:
            return ProbeResult(is_success=False, reason="it did not say what is expected", excerpt=printable(said))
    return ProbeResult(is_success=True, reason="said what is expected")


async def read_line(stream: ProbeStream) -> bytes:
    """Return the first line that the other side says, or all it said before it closed. Raises OSError."""
    stream.layer = "agent"
    said = b""
    while b"\n" not in said and len(said) <= AGENT_LINE_BYTES_MAX:
        data = await stream.receive()
        if not data:
            break
        said += data
    return said.partition(b"\n")[0].rstrip(b"\r")[:AGENT_LINE_BYTES_MAX]
