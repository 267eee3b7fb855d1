"""Ctrl-C, kept out of what must not be left half done."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Within, Ctrl-C is noted; KeyboardInterrupt is raised on leaving. No effect off the main thread, which hears it.

    Orbax writes checkpoints from threads of its own: an interrupt in the middle would leave them at work on a directory
    that the next save wants.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted = False

    def note(number: int, frame: object) -> None:
        nonlocal noted
        noted = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if noted:
        raise KeyboardInterrupt
