"""Training steps of the demo's networks: our layers and member mapping against `vmap` over Flax's own convolutions."""

import jax
import optax
from ensembles.training import mean_squared_error
from flax import nnx

from benchmarks.timing import median_seconds, print_table
from ensembles import Trainer, TrainingRecipe
from ensembles.augmentation import Policy
from launch.recipes import DigitsC4
from models import Architecture

MEMBERS, STEPS, IMAGES = 8, 2, 64


class FlaxCnn(nnx.Module):
    """The demo's CNN from Flax's layers, in its standard parametrization (the same arithmetic)."""

    def __init__(self, width: int, rngs: nnx.Rngs):
        def conv(inputs: int, size: int) -> nnx.Conv:
            return nnx.Conv(inputs, width, (size, size), padding="VALID", use_bias=False, rngs=rngs)

        self.layers = nnx.List([conv(1, 3), conv(width, 3), conv(width, 4)])
        self.last = nnx.Linear(width, 10, use_bias=False, rngs=rngs)

    def __call__(self, x):
        for layer in self.layers:
            x = jax.nn.relu(layer(x))
        return self.last(x.reshape(len(x), -1))


def main() -> None:
    """Print member-steps per second of each network and, for the CNNs, of the peer in the same run."""
    demo, key = DigitsC4(), jax.random.key(0)
    x = jax.random.normal(key, (IMAGES, 8, 8, 1))
    y = jax.random.normal(jax.random.key(1), (IMAGES, 10))
    rows = []
    for name, (architecture, policy) in demo.networks.items():
        ours, peer, ratio = ours_seconds(architecture, policy, x, y), "", ""
        if name != "gcnn":
            seconds = flax_seconds(demo.width, *policy(key, x, y))
            peer, ratio = f"{MEMBERS * STEPS / seconds:.1f}", f"{seconds / ours:.1f}"
        rows.append([name, f"{MEMBERS * STEPS / ours:.1f}", peer, ratio])
    title = f"Training: {MEMBERS} members, {IMAGES} images of 8×8 (×4 where augmented), full batch, member-steps/s"
    print_table(title, ["network", "widesym", "vmap of flax.nnx.Conv", "ratio"], rows)


def ours_seconds(architecture: Architecture, policy: Policy, x: jax.Array, y: jax.Array) -> float:
    """Time of STEPS steps of MEMBERS members through the trainer."""
    trainer = Trainer(architecture, TrainingRecipe(0.01, augmentation=policy), MEMBERS)
    state = trainer.init(x.shape[1:])
    return median_seconds(lambda: trainer.advance(state, (x, y), 0, STEPS))


def flax_seconds(width: int, x: jax.Array, y: jax.Array) -> float:
    """The same with Flax's layers, all members under one vmap."""
    keys = jax.random.split(jax.random.key(2), MEMBERS)
    graph, _ = nnx.split(FlaxCnn(width, nnx.Rngs(0)))
    stacked = jax.vmap(lambda key: nnx.split(FlaxCnn(width, nnx.Rngs(key)))[1])(keys)
    optimizer = optax.sgd(0.01)

    def one_step(params):
        gradient = jax.grad(lambda p: mean_squared_error(nnx.merge(graph, p)(x), y))(params)
        updates, _ = optimizer.update(gradient, optimizer.init(params), params)
        return optax.apply_updates(params, updates)

    step = jax.jit(jax.vmap(one_step))

    def steps():  # a Python loop: on CPU, XLA runs convolutions inside a compiled loop many times slower still
        params = stacked
        for _ in range(STEPS):
            params = step(params)
        return params

    return median_seconds(steps)
