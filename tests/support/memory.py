"""How much memory is taken."""

import contextlib
import tracemalloc


@contextlib.contextmanager
def little_memory(most=2**22):
    """Within, Python and NumPy take no more than this many bytes at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
