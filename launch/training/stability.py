"""Whether gradient descent is stable with a run's learning rate, where theory says with which (theory.md §4).

On a quadratic loss with curvature h, descent with momentum μ, v ← μ v + h w, w ← w − η v, converges for
η < 2(1 + μ)/h (Polyak 1964). On the mean squared error the largest curvature at initialisation is λ_max(Θ)/N of the
member's own NTK, to which weight decay adds. Members differ in it by 1/√width, and training changes it: this is about
orders of magnitude, and exact for networks linear in their parameters alone.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from widesym.analysis.empirical.sharpness import largest_ntk_eigenvalue
from widesym.ensembles.losses import MeanSquaredError
from widesym.ensembles.optimizers import Sgd
from widesym.ensembles.randomness import initial_key
from widesym.ensembles.recipe import TrainingRecipe
from widesym.ensembles.strategy import Strategy
from widesym.launch.runs.files import write_json
from widesym.launch.runs.run import Run
from widesym.models.numerics import fixed_numerics, key_of_seed

SAMPLES = 512  # that the kernel is between; of larger batches it is an estimate
FILE = "stability.json"


@dataclass(frozen=True)
class Stability:
    """The learning rates of a run beside those that it is stable with, at the initialisation of member 0."""

    largest_learning_rate: float  # the least of the members' bounds
    learning_rate: float  # the largest over schedule and members
    samples: int  # that λ_max was computed on
    batch: int  # samples of a step, after augmentation
    members_above: int  # whose learning rate exceeds their own bound


def check_stability(run: Run, path: Path, say: Callable[[str], None]) -> None:
    """Write `path`/stability.json, once, and warn where members' learning rates are too large.

    For Sgd without nesterov on the mean squared error; of other recipes nothing is known, said or written.
    """
    if not is_covered(run.recipe) or run.record_steps[-1] == 0 or (path / FILE).exists():
        return
    try:
        found = stability(run)
    except (ValueError, jax.errors.JaxRuntimeError) as error:  # training has messages of its own for sick networks
        say(f"whether the learning rate is stable was not found out: {error}")
        return
    write_json(path / FILE, asdict(found))
    if found.members_above:
        say(warning(found, run.members))


def is_covered(recipe: TrainingRecipe) -> bool:
    """Whether the learning rates that training is stable with are known."""
    optimizer = recipe.optimizer
    return isinstance(optimizer, Sgd) and not optimizer.nesterov and isinstance(recipe.loss, MeanSquaredError)


@fixed_numerics()
def stability(run: Run) -> Stability:
    """The largest stable learning rate, 2(1 + μ)/(λ_max(Θ)/N + weight decay), beside the run's."""
    batch = run.step_batch(key_of_seed(run.seed))[0]
    chosen = np.linspace(0, len(batch) - 1, min(len(batch), SAMPLES)).round().astype(int)
    params = run.architecture.init(initial_key(run.trainer(Strategy()).roots[0], jnp.uint32(0)), batch.shape[1:])
    curvature = largest_ntk_eigenvalue(run.architecture, params, batch[chosen]) / len(chosen)
    factors = run.recipe.schedule.factor(jnp.arange(run.record_steps[-1], dtype=jnp.int32))
    rates = np.asarray(run.recipe.learning_rate) * float(np.max(factors))
    bounds = largest_stable(run.recipe, curvature)
    above = int(np.broadcast_to(rates > bounds, run.members).sum())
    return Stability(float(bounds.min()), float(rates.max()), len(chosen), len(batch), above)


def largest_stable(recipe: TrainingRecipe, curvature: float) -> Float[np.ndarray, "*member"]:
    """2(1 + μ)/(h + weight decay), for all members, or for each where these numbers differ."""
    sgd = recipe.optimizer
    if not isinstance(sgd, Sgd):
        raise ValueError(f"the optimizer is {sgd!r}; stable learning rates are known for Sgd alone")
    total = curvature + np.asarray(sgd.weight_decay)
    return 2 * (1 + np.asarray(sgd.momentum)) / np.maximum(total, np.finfo(np.float32).tiny)  # flat: no bound


def warning(found: Stability, members: int) -> str:
    """What to tell people whose learning rate is too large."""
    who = "" if found.members_above == members else f" for {found.members_above} of {members} members"
    of_batch = f"{found.samples} inputs" if found.samples == found.batch else f"{found.samples} of {found.batch} inputs"
    return (
        f"the learning rate is too large{who}: it is up to {found.learning_rate:.4g}, and gradient descent is stable "
        f"below {found.largest_learning_rate:.4g} at initialisation (an estimate, from the NTK of member 0 on "
        f"{of_batch}); the loss may grow; lower the learning rate to be safe"
    )
