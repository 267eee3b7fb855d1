"""How one member learns: loss, optimiser, batches and augmentation."""

import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from ensembles.augmentation import NoAugmentation, Policy
from models.architecture import Architecture

Params = PyTree[Float[Array, "..."]]


@dataclass(frozen=True)
class TrainingRecipe:
    """Gradient descent on L = 1/(2N) Σ ‖f(x_i) − y_i‖² (theory.md §4), N counting augmented samples.

    `batch_size` None is full-batch descent; a number draws each batch's samples independently and uniformly, which
    leaves the mean over draws equal to full-batch descent's at infinite width.
    """

    learning_rate: float
    batch_size: int | None = None
    augmentation: Policy = field(default_factory=NoAugmentation)

    def __post_init__(self):
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is {self.learning_rate!r}; it must be positive")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size!r}; it must be positive, or None for the full batch")

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Plain SGD: momentum and Adam lie outside theory.md §4."""
        return optax.sgd(self.learning_rate)


def mean_squared_error(logits: Float[Array, "sample logit"], targets: Float[Array, "sample logit"]) -> Float[Array, ""]:
    """L = 1/(2N) Σ_i ‖f(x_i) − y_i‖² (theory.md §4)."""
    return 0.5 * jnp.sum((logits - targets) ** 2, axis=-1).mean()


def batch_of(
    recipe: TrainingRecipe,
    key: Key[Array, ""],
    x: Float[Array, "train *pixel channel"],
    y: Float[Array, "train logit"],
) -> tuple[Float[Array, "batch *pixel channel"], Float[Array, "batch logit"]]:
    """The samples of one step, augmented; `key` is the member's key for this step."""
    draw, augment = jax.random.split(key)
    if recipe.batch_size is not None:
        chosen = jax.random.randint(draw, (recipe.batch_size,), 0, len(x))
        x, y = x[chosen], y[chosen]
    return recipe.augmentation(augment, x, y)


def train_member(
    architecture: Architecture,
    recipe: TrainingRecipe,
    params: Params,
    optimizer_state: optax.OptState,
    key: Key[Array, ""],
    data: tuple[Float[Array, "train *pixel channel"], Float[Array, "train logit"]],
    start: Int[Array, ""],
    stop: Int[Array, ""],
) -> tuple[Params, optax.OptState, Float[Array, ""]]:
    """One member from step `start` to step `stop`, and the loss of its last batch before the update."""
    optimizer = recipe.optimizer

    def one_step(step, carry):
        params, optimizer_state, _ = carry
        x, y = batch_of(recipe, jax.random.fold_in(key, step), *data)
        loss, gradient = jax.value_and_grad(lambda p: mean_squared_error(architecture.apply(p, x), y))(params)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        return optax.apply_updates(params, updates), optimizer_state, loss

    return jax.lax.fori_loop(start, stop, one_step, (params, optimizer_state, jnp.zeros(())))
