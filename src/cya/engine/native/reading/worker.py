"""A worker process: does tasks as it is told, until it is told no more. When its parent is gone, so is the worker."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from multiprocessing.connection import Connection

import msgspec

from cya.engine.native.reading import tasks
from cya.engine.native.reading.perform import Performer
from cya.errors import CyaError
from cya.garbage import collect_seldom


def main() -> int:
    """Run: ``python -m cya.engine.native.reading.worker``, with a :class:`tasks.Setting` on its standard input."""
    collect_seldom()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent decides
    setting = msgspec.json.decode(sys.stdin.buffer.read(), type=tasks.Setting)
    channel: Connection = Connection(setting.channel)
    threading.Thread(target=_end_with_parent, args=[setting.channel], daemon=True).start()
    encode, decoder = msgspec.msgpack.encode, msgspec.msgpack.Decoder(tasks.AnyTask)
    performer = Performer(setting, lambda tick: channel.send_bytes(encode(tick)))
    try:
        while True:
            task: tasks.AnyTask = decoder.decode(channel.recv_bytes())
            try:
                answer: tasks.AnyAnswer = performer.perform(task)
            except CyaError as error:
                answer = tasks.Failed(type(error).__name__, str(error))
            channel.send_bytes(encode(answer))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return 0


def _end_with_parent(channel: int) -> None:
    """Wait until there is nobody at the other end; whatever this process does then, nobody wants it any more."""
    poll = select.poll()
    poll.register(channel, 0)
    poll.poll()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
