"""Work on all devices of this process, one item at a time on each."""

import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

import jax

Item = TypeVar("Item")
Device = TypeVar("Device")
Result = TypeVar("Result")


def devices_sharing_memory() -> int:
    """How many devices of this process compute in the same memory."""
    return jax.local_device_count() if jax.default_backend() == "cpu" else 1


def on_devices(
    function: Callable[[Item, Device], Result], items: Sequence[Item], devices: Sequence[Device]
) -> Iterator[Result]:
    """Results as they come, with one item at a time on each device, each in a thread."""
    free: queue.SimpleQueue[Device] = queue.SimpleQueue()
    for device in devices:
        free.put(device)

    def on_free_device(item: Item) -> Result:
        device = free.get()
        try:
            return function(item, device)
        finally:
            free.put(device)

    left, running = iter(items), set[Future[Result]]()
    pool = ThreadPoolExecutor(len(devices))
    try:
        while True:
            while len(running) < len(devices) and (item := next(left, None)) is not None:
                running.add(pool.submit(on_free_device, item))
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
