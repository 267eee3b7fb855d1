"""`python -m benchmarks.peers.jax_worker VARIANT NETWORK CORES`: widesym's training, and Flax's convolutions."""

import sys

from benchmarks.worker import Work, pin, round_robin, serve

if __name__ == "__main__":
    pin(sys.argv[3])  # before JAX counts the cores

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.peers.flax_networks import ensemble_of
from benchmarks.published import BATCH, IMAGES, LEARNING_RATE, LOGITS, OPTIMIZER, PIXELS
from widesym.ensembles import Adam, IndependentDraws, MeanSquaredError, Sgd, Trainer, TrainingRecipe
from widesym.launch.process import configure_jax
from widesym.models.zoo import mnist_cnn, mnist_gcnn

ARCHITECTURES = {"cnn": mnist_cnn, "gcnn": mnist_gcnn}
SQUARE = 2048  # side of the matrices whose product gives the peak
OPTIMIZERS = {"sgd": (Sgd(), optax.sgd), "adam": (Adam(), optax.adam)}


def data() -> tuple[jax.Array, jax.Array]:
    """Noise in MNIST's shapes: what pixels hold does not matter for speed."""
    draw = np.random.default_rng(0).standard_normal
    return jnp.asarray(draw((IMAGES, PIXELS, PIXELS, 1), np.float32)), jnp.asarray(draw((IMAGES, LOGITS), np.float32))


def trainer_of(network: str, members: int) -> Trainer:
    """The library's own trainer."""
    recipe = TrainingRecipe(LEARNING_RATE, OPTIMIZERS[OPTIMIZER][0], batches=IndependentDraws(BATCH))
    return Trainer(ARCHITECTURES[network](), recipe, members)


def library(network: str, members: int) -> Work:
    """The library's trainer: all members and steps in one call. On two cores it splits the members itself."""
    trainer, train_set = trainer_of(network, members), data()
    state, step = trainer.init((PIXELS, PIXELS, 1)), 0

    def run(units: int) -> None:
        nonlocal state, step
        state = jax.block_until_ready(trainer.advance(state, train_set, step, step + units))
        step += units

    return Work(run, members * BATCH)


def loop(network: str, members: int) -> Work:
    """The library's layers, but Python loops over members and steps."""
    trainer, train_set = trainer_of(network, 1), data()
    states, step = [trainer.init((PIXELS, PIXELS, 1)) for _ in range(members)], 0

    def step_member(member: int) -> None:
        nonlocal step
        states[member] = jax.block_until_ready(trainer.advance(states[member], train_set, step, step + 1))
        step += 1

    return round_robin(step_member, members, BATCH)


def naive_vmap(network: str, members: int) -> Work:
    """Flax's convolutions (lax.conv), all members under one vmap, stepped from Python."""
    (x, y), optimizer = data(), OPTIMIZERS[OPTIMIZER][1](LEARNING_RATE)
    (params, apply), loss = ensemble_of(network, members), MeanSquaredError()
    keys = jax.random.split(jax.random.key(2), members)
    carry = (params, jax.vmap(optimizer.init)(params), keys)

    def one_step(params, optimizer_state, key):
        key, draw = jax.random.split(key)
        batch = jax.random.randint(draw, (BATCH,), 0, IMAGES)
        _, gradient = jax.value_and_grad(lambda p: loss(apply(p, x[batch]), y[batch]))(params)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        return optax.apply_updates(params, updates), optimizer_state, key

    step = jax.jit(jax.vmap(one_step))

    def run(units: int) -> None:
        nonlocal carry
        for _ in range(units):
            carry = step(*carry)
        jax.block_until_ready(carry)

    return Work(run, members * BATCH)


def matmul(library) -> Work:
    """Products of two large float32 matrices; the amount is operations, not images."""
    a = library.asarray(np.random.default_rng(0).standard_normal((SQUARE, SQUARE)), dtype=np.float32)
    product = jax.jit(jnp.matmul) if library is jnp else np.matmul

    def run(units: int) -> None:
        for _ in range(units):
            jax.block_until_ready(product(a, a))

    return Work(run, 2 * SQUARE**3)


def main() -> None:
    """Serve one variant."""
    variant, network = sys.argv[1:3]
    configure_jax()
    variants = {
        "library": lambda members: library(network, members),
        "loop": lambda members: loop(network, members),
        "naive vmap": lambda members: naive_vmap(network, members),
        "jnp matmul": lambda members: matmul(jnp),
        "numpy matmul": lambda members: matmul(np),
    }
    serve(variants[variant])


if __name__ == "__main__":
    main()
