#!/usr/bin/env python3
"""Runs a command beside a relay to a server that breaks connections in the middle of things:

    tests/servers/flaky.py unix:PATH|tcp:HOST:PORT COMMAND...

The relay listens on 127.0.0.1; the command finds its port in PANG_FLAKY_PORT. Each connection may
carry a number of bytes each way; then both its ends are closed, so that now a request is lost or
cut, now an answer. Every other number is random (PANG_FLAKY_SEED makes them come again; it is
printed); those in between go up by STEP, now of one direction, now of the other, so that a
connection's first talk is cut before, within and after everything that it says.
"""

import asyncio
import itertools
import os
import random
import sys

LEAST, MOST = 2_000, 60_000  # bytes of one direction
STEP, STEPS = 113, 120


async def carry(source, sink, allowed, dice):
    """Until the end, or until `allowed` bytes have passed: with dice, maybe some more."""
    while True:
        block = await source.read(65536)
        if not block:
            return
        if len(block) > allowed and (dice is None or dice.random() < 0.5):
            block = block[:allowed]
        allowed -= len(block)
        sink.write(block)
        await sink.drain()
        if allowed <= 0:
            await asyncio.sleep(0.02)  # so that the other side takes it in before the end comes
            return


async def connect(target):
    kind, _, place = target.partition(":")
    if kind == "unix":
        return await asyncio.open_unix_connection(place)
    host, _, port = place.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def main():
    target, command = sys.argv[1], sys.argv[2:]
    seed = int(os.environ.get("PANG_FLAKY_SEED", random.randrange(1 << 30)))
    print("flaky seed %d" % seed, flush=True)
    dice = random.Random(seed)

    numbers = itertools.count()

    def limits():
        """Of what is sent and what is answered, with the dice that cut the last block."""
        turn, n = divmod(next(numbers), 2)
        if n == 0:
            return [(dice.randrange(LEAST, MOST), dice) for _ in range(2)]
        swept = [(MOST, dice), (MOST, dice)]
        swept[turn % 2] = (turn // 2 % STEPS * STEP, None)
        return swept

    async def serve(reader, writer):
        sink = None
        try:
            source, sink = await connect(target)
            both = [asyncio.ensure_future(carry(*way, *limit))
                    for way, limit in zip(((reader, sink), (source, writer)), limits())]
            _, rest = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in rest:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, sink):
                if end is not None:
                    end.transport.abort()

    relay = await asyncio.start_server(serve, "127.0.0.1", 0)
    os.environ["PANG_FLAKY_PORT"] = str(relay.sockets[0].getsockname()[1])
    process = await asyncio.create_subprocess_exec(*command)
    return await process.wait()


sys.exit(asyncio.run(main()))
