"""The channel between supervisor and worker."""

from __future__ import annotations

import os
import socket

import anyio
import pytest

from lbapp.engine.channel import AddressesChanged, Channel, ChannelClosed, CloseServer, Drain, channel_pair

pytestmark = pytest.mark.anyio


async def test_messages_arrive_whole_in_order_and_with_their_descriptors() -> None:
    ours, end = channel_pair()
    theirs = Channel(end)
    read_end, write_end = os.pipe()
    large = AddressesChanged({row: ((socket.AF_INET, "127.0.0.1", row),) for row in range(20_000)})
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ours.send, Drain(5.0))
            with anyio.fail_after(25):
                assert await theirs.receive() == (Drain(5.0), [])
            tasks.start_soon(ours.send, large, [write_end])
            with anyio.fail_after(25):
                message, fds = await theirs.receive()
        assert message == large
        os.write(fds[0], b"through the copy")
        assert os.read(read_end, 100) == b"through the copy"
        os.close(fds[0])
    finally:
        os.close(read_end)
        os.close(write_end)
        ours.close()
        theirs.close()


async def test_end_of_the_other_process_is_told() -> None:
    ours, end = channel_pair()
    end.close()
    with anyio.fail_after(25):
        with pytest.raises(ChannelClosed):
            await ours.receive()
        with pytest.raises(ChannelClosed):
            await ours.send(CloseServer(1))
    with pytest.raises(ValueError, match="251 descriptors"):
        await ours.send(CloseServer(1), [0] * 251)
    ours.close()
