"""What training a run takes, known before anything is compiled."""

from typing import NamedTuple

import jax
from jaxtyping import Array, Float, PyTree

from widesym.analysis.programs.flops import product_flops
from widesym.ensembles import Strategy
from widesym.ensembles.batches import Data
from widesym.launch.runs.disk import DiskSpace, needed_space
from widesym.launch.runs.run import Run


class TrainingCost(NamedTuple):
    """Of a whole run: floating-point operations are those of matrix products in losses and their gradients alone."""

    parameters: int  # of a member
    samples: int  # a step is taken on, after augmentation
    flops_a_step: float  # of a member
    flops: float
    space: DiskSpace


def training_cost(run: Run, checkpoints_kept: int) -> TrainingCost:
    """The cost of a run; raises ValueError as `batch_shapes` does."""
    shape, steps = run.training_set.inputs.shape[1:], run.record_steps[-1]
    flops, data = gradient_flops(run), sum(data.bytes for data in run.sets)
    return TrainingCost(
        parameters=run.architecture.count_parameters(shape),
        samples=len(batch_shapes(run)[0]),
        flops_a_step=flops,
        flops=flops * steps * run.members,
        space=needed_space(run.layout, run.trainer(Strategy()), shape, checkpoints_kept, data),
    )


def batch_shapes(run: Run) -> Data:
    """Shapes of the inputs and targets that a member takes a step on, after augmentation.

    Raises ValueError where the augmentation cannot act on the data, or changes the shape of a sample.
    """
    recipe, (x, y) = run.recipe, run.data
    try:
        found = jax.eval_shape(run.step_batch, jax.random.key(0))
        shapes = tuple(array.shape[1:] for array in found)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"augmentation {recipe.augmentation!r} does not fit the data: {reason}") from None
    if shapes != (x.shape[1:], y.shape[1:]):
        raise ValueError(
            f"augmentation {recipe.augmentation!r} makes inputs and targets of shapes {shapes}, but the data have "
            f"{(x.shape[1:], y.shape[1:])}"
        )
    return found


def gradient_flops(run: Run) -> float:
    """Floating-point operations of matrix products in the loss of one step's batch and its gradient, of one member."""
    shape = run.training_set.inputs.shape[1:]
    params = jax.eval_shape(lambda: run.architecture.init(jax.random.key(0), shape))

    def loss(params: PyTree[Float[Array, "..."]], x: Array, y: Array) -> Float[Array, ""]:
        return run.recipe.loss(run.architecture.apply(params, x), y)  # patches: convolutions as products, none wasted

    return product_flops(jax.make_jaxpr(jax.grad(loss))(params, *batch_shapes(run)))
