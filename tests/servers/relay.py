"""A relay to a server whose state a test sets: "up" carries bytes, "down" refuses connections and
breaks those that are open, "mute" takes them and carries nothing, as a machine that is cut off.

    relay = Relay("unix:/path/of/socket")      or "tcp:HOST:PORT"; relay.port is where it listens
"""

import asyncio
import threading


class Relay:
    """Listens on 127.0.0.1, on one port for its whole life, in a thread of its own."""

    def __init__(self, target):
        self.target = target
        self.state = "down"
        self.port = 0
        self.accepted = 0
        self.open, self.server = set(), None
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.set("up")

    def set(self, state):
        asyncio.run_coroutine_threadsafe(self.change(state), self.loop).result(10)

    async def change(self, state):
        self.state = state
        if state != "down" and self.server is None:
            self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)
            self.port = self.server.sockets[0].getsockname()[1]
        if state == "down" and self.server is not None:
            self.server.close()
            self.server = None
        if state in ("down", "up"):  # what was mute has lost bytes
            for end in list(self.open):
                end.transport.abort()

    async def serve(self, reader, writer):
        self.accepted += 1
        ends = [writer]
        self.open.add(writer)
        try:
            kind, _, place = self.target.partition(":")
            source, sink = await (asyncio.open_unix_connection(place) if kind == "unix" else
                                  asyncio.open_connection(*place.rsplit(":", 1)))
            ends.append(sink)
            self.open.add(sink)
            both = [asyncio.ensure_future(self.carry(*way))
                    for way in ((reader, sink), (source, writer))]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        except OSError:
            pass
        finally:
            for end in ends:
                self.open.discard(end)
                end.transport.abort()

    async def carry(self, source, sink):
        while block := await source.read(65536):
            if self.state == "up":
                sink.write(block)
                await sink.drain()
