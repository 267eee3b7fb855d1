"""Run by test_compiled_gradients.py in a process of its own: what XLA compiles for is fixed before JAX starts.

Own arguments: a file of cases [network, formulation, members, members at once], and where to write their errors.
"""

import json
from pathlib import Path

import jax
import numpy as np

from tests.support.jax_processes import start_jax

*_, (CASES, FOUND) = start_jax()

from tests.support.forward_pass import derivative, flat, logits  # noqa: E402
from tests.support.gradient_networks import ALL_NETWORKS, inputs  # noqa: E402
from widesym.ensembles import Strategy, Trainer, TrainingRecipe  # noqa: E402
from widesym.models import Architecture  # noqa: E402

RATE = (
    2.0**6
)  # a power of two is multiplied without rounding; so large, a step leaves little of the parameters' own size
DIRECTIONS = 2  # of each array of parameters


def steps_of(layers, shape, formulation, members, at_once):
    """x, y, and of every member its parameters and the gradient that one step as `train` takes it descends along."""
    x = inputs(shape)
    y = np.random.default_rng(1).standard_normal((len(x), 3), dtype=np.float32)
    trainer = Trainer(Architecture(layers), TrainingRecipe(RATE), members, strategy=Strategy(at_once, formulation))
    state = trainer.init(shape)
    after = trainer.advance(state, (jax.numpy.asarray(x), jax.numpy.asarray(y)), 0, 1)
    assert (np.asarray(after.frozen_at) == -1).all()
    before, gradient = (
        jax.tree.map(np.float64, tree)
        for tree in (state.params, jax.tree.map(lambda a, b: (np.float64(a) - b) / RATE, state.params, after.params))
    )
    for member in range(members):
        yield x, y, *(jax.tree.map(lambda leaf, member=member: leaf[member], tree) for tree in (before, gradient))


def error_of(layers, x, y, params, gradient):
    """The largest error of the gradient along random directions of one array each, over its size there."""

    def loss(params):
        return 0.5 * ((logits(layers, params, x) - y) ** 2).sum(-1).mean()

    rng, errors = np.random.default_rng(2), []
    for way, found in flat(gradient).items():
        for _ in range(DIRECTIONS):
            direction = rng.standard_normal(found.shape)
            expected = derivative(loss, params, {way: direction})
            errors.append(abs((found * direction).sum() - expected) / np.linalg.norm(found))
    return max(errors)


def main():
    """The error of each case, as it is found."""
    found = []
    for name, formulation, members, at_once in json.loads(Path(CASES).read_text()):
        shape, layers = ALL_NETWORKS[name]
        errors = [error_of(layers, *step) for step in steps_of(layers, shape, formulation, members, at_once)]
        found.append(max(errors))
        Path(FOUND).write_text(json.dumps(found))


main()
