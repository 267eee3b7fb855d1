"""Tiles from a budget of memory, and what is said before a Gram matrix is computed."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.support.networks import HIDDEN, LOGITS, NETWORKS
from widesym.analysis import analytic_kernel
from widesym.analysis.gram import Gram, Tiling, choose_tiling, info
from widesym.analysis.gram.tiling import COMPILED, lag_arrays, tile_bytes
from widesym.analysis.programs.devices import devices_sharing_memory
from widesym.analysis.programs.memory import peak_bytes
from widesym.models import Architecture, Relu

MLP = Architecture((HIDDEN, Relu(), LOGITS))


def test_tiles_fill_the_budget_and_no_more():
    gram = Gram(MLP, np.zeros((1000, 3), np.float32))
    budgets = [tile_bytes(gram, (side, side)) * devices_sharing_memory() for side in (1, 5, 50)]
    tilings = [choose_tiling(gram, budget) for budget in budgets]
    for budget, tiling in zip(budgets, tilings, strict=True):
        assert tile_bytes(gram, tiling.tile) * devices_sharing_memory() <= budget
        # Sides are halved until they fit, so none is less than a third of what would.
    assert tilings[0].tile == (1, 1)
    assert 17 <= tilings[2].tile[0] <= 50
    assert choose_tiling(gram).tile[0] > 200
    covered = np.zeros(gram.shape, int)
    for tile in tilings[2]:
        covered[tile.rows, tile.columns] += 1
        covered[tile.columns, tile.rows] += tile.place[0] != tile.place[1]
    assert (covered == 1).all()
    assert len(list(tilings[2])) == len(tilings[2])


def test_the_same_tiles_every_time():
    """Their shape decides rounding, so nothing measured goes into it."""
    gram = Gram(MLP, np.zeros((300, 3), np.float32))
    assert choose_tiling(gram, 10**6) == choose_tiling(gram, 10**6)


def test_peak_memory_bounds_what_the_compiler_takes():
    """The traced program's count against XLA's own, within what fusion saves and placement costs."""
    shape, layers = NETWORKS["CNN, SAME, flattened"]
    kernel, x = analytic_kernel(Architecture(layers)), jax.ShapeDtypeStruct((16, *shape), np.float32)
    bound = peak_bytes(jax.make_jaxpr(kernel)(x, x))
    found = jax.jit(kernel).lower(x, x).compile().memory_analysis()
    taken = found.temp_size_in_bytes + found.argument_size_in_bytes + found.output_size_in_bytes
    assert bound / 4 <= taken <= COMPILED * bound


def test_peak_memory_of_programs_known_by_heart():
    ones = jnp.ones(100, np.float32)  # 400 bytes

    def chain(x):  # x, and at most two of the values after it
        return jnp.sin(jnp.cos(jnp.exp(x)))

    def loop(x):  # the stacked result beside one row's values
        return jax.lax.map(lambda row: jnp.sin(jnp.cos(row)), jnp.ones((5, 100), np.float32) * x)

    assert peak_bytes(jax.make_jaxpr(chain)(ones)) == 1200
    assert 2 * 2000 <= peak_bytes(jax.make_jaxpr(loop)(ones)) <= 3 * 2000 + 3 * 400
    assert peak_bytes(jax.make_jaxpr(lambda x: x + np.ones(100, np.float32))(ones)) == 1200


def test_info_says_what_it_takes():
    gram = Gram(MLP, np.random.default_rng(0).standard_normal((10, 3)))
    found = info(gram)
    assert found.tiling == Tiling((10, 10), (10, 10), True)
    assert found.store_bytes == gram.bytes == 2 * 10 * 10 * 4
    assert found.tile_bytes == tile_bytes(gram, (10, 10))
    assert 0 < found.seconds < 60
    assert found.lags == 1
    shape, layers = NETWORKS["CNN, SAME, flattened"]
    assert lag_arrays(Gram(Architecture(layers), np.ones((2, *shape)))) == 1
