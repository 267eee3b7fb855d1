"""A comparison as a whole holds a few blocks of members and the resampled means, whatever the stores' size."""

import tracemalloc

import numpy as np

from widesym.analysis.comparison import Compared, Times, compare
from widesym.analysis.estimators.logits import BLOCK_BYTES, EnsembleLogits
from widesym.analysis.estimators.orbit_statistics import OrbitSet

TIMES, MEMBERS, SAMPLES, LOGITS, DISTINCT = 2, 4000, 2000, 10, 40
TURNED = 16  # samples recorded on two elements, the last of all


class Repeated:
    """Logits of few members, over and over: 640 MB, made when asked for."""

    shape = (TIMES, MEMBERS, SAMPLES, LOGITS)

    def __init__(self, seed):
        self.members = np.random.default_rng(seed).standard_normal((DISTINCT, SAMPLES, LOGITS), dtype=np.float32)

    def __getitem__(self, index):
        _, members = index
        return self.members[np.arange(members.start, members.stop) % DISTINCT]


def test_memory_is_that_of_a_few_blocks():
    stores = {name: Repeated(seed) for seed, name in enumerate(("cnn", "gcnn"))}
    upright = SAMPLES - 2 * TURNED
    ensembles = [
        Compared(
            name,
            EnsembleLogits(store),
            tuple(range(TIMES)),
            {"test": slice(0, upright)},
            {"test": OrbitSet(slice(upright, SAMPLES), 2)},
        )
        for name, store in stores.items()
    ]
    times = Times((0.0, 1.0), (0, 1))
    tracemalloc.start()
    try:
        tables = compare(ensembles, times, "gcnn", draws=20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A block as read, and less its centre; the next one meanwhile; 260 resampled means are 0.16 blocks. Stores are 9.5.
    assert peak < 3 * BLOCK_BYTES, peak / BLOCK_BYTES
    a, b = (store.members[:, :upright].mean(0, dtype=np.float64) for store in stores.values())
    expected = np.linalg.norm(a - b, axis=-1).mean()
    # Means of float32 logits, summed in float64.
    np.testing.assert_allclose(tables["divergence"].divergence, np.full((1, 1, TIMES), expected), rtol=1e-6)
