"""Ctrl-C, and the signal by which a cluster takes a machine away: noted, and heeded where nothing is lost."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class PreemptedError(BaseException):
    """The process was told to end (SIGTERM). Like KeyboardInterrupt it is no error that a program would handle."""


class StopRequest:
    """Whether somebody has asked the process to stop, and how."""

    number: int = 0  # of the signal, if there was one

    @property
    def made(self) -> bool:
        """Whether the process has been asked to stop."""
        return self.number > 0


def raise_if_requested(number: int) -> None:
    """Raise what stands for the signal, if there was one (0 is none); call it where everything is saved."""
    if number:
        raise stop_exception(number)


def stop_exception(number: int) -> BaseException:
    """The exception that stands for a signal."""
    return PreemptedError() if number == signal.SIGTERM else KeyboardInterrupt()


@contextlib.contextmanager
def stops_noted(say: Callable[[str], None]) -> Iterator[StopRequest]:
    """Within, a first SIGINT or SIGTERM is noted, and whoever works looks at the request from time to time.

    A second one raises at once; `say` hears of the first. No effect off the main thread, which hears the signals.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        if request.made:
            raise stop_exception(number)
        request.number = number
        say("stopping, once the state is saved; again to stop at once")

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Within, SIGTERM raises PreemptedError, as SIGINT raises KeyboardInterrupt. No effect off the main thread."""

    def end(number: int, frame: FrameType | None) -> None:
        raise PreemptedError

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
