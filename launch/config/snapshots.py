"""What a run can record of every member beside its logits."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from widesym.analysis.empirical.plan import structured_ntk
from widesym.ensembles.recorder import Snapshot
from widesym.ensembles.trainer import EnsembleState, Trainer
from widesym.models.architecture import Architecture

Inputs = Float[Array, "sample *pixel channel"]


@runtime_checkable
class Snapshots(Protocol):
    """A frozen dataclass that names arrays of every member, and takes them."""

    def layout(self, architecture: Architecture, inputs: Inputs) -> tuple[Snapshot, ...]:
        """Names and shapes; raises ValueError where the architecture has no such thing."""
        ...

    def take(
        self, trainer: Trainer, state: EnsembleState, inputs: Inputs
    ) -> dict[str, Float[np.ndarray, "member ..."]]:
        """The arrays of all members."""
        ...


@dataclass(frozen=True)
class Parameters:
    """Every weight and bias, under the names of the parameters' tree: `parameters.layers.0.weight`."""

    def layout(self, architecture: Architecture, inputs: Inputs) -> tuple[Snapshot, ...]:
        """The name and shape of each weight's and each bias's array, for one member."""
        params = jax.eval_shape(lambda: architecture.init(jax.random.key(0), inputs.shape[1:]))
        return tuple(
            Snapshot(name, tuple(f"{name}.{axis}" for axis in range(leaf.ndim)), leaf.shape)
            for name, leaf in named_leaves(params).items()
        )

    def take(
        self, trainer: Trainer, state: EnsembleState, inputs: Inputs
    ) -> dict[str, Float[np.ndarray, "member ..."]]:
        """The parameters as they are."""
        return {name: trainer.on_host(leaf) for name, leaf in named_leaves(state.params).items()}


@dataclass(frozen=True)
class EmpiricalNtk:
    """`ntk` (time, member, input, other_input): `widesym.analysis.empirical.empirical_ntk` on the first training
    inputs: the mean over logits of Σ_θ ∂f ∂f'.
    """

    samples: int

    def __post_init__(self):
        if not isinstance(self.samples, int) or self.samples < 1:
            raise ValueError(f"samples is {self.samples!r}; a kernel needs at least one input")

    def layout(self, architecture: Architecture, inputs: Inputs) -> tuple[Snapshot, ...]:
        """The name and shape of one member's kernel, [input, other_input]."""
        number = len(inputs[: self.samples])
        return (Snapshot("ntk", ("input", "other_input"), (number, number)),)

    def take(
        self, trainer: Trainer, state: EnsembleState, inputs: Inputs
    ) -> dict[str, Float[np.ndarray, "member ..."]]:
        """The kernels of all members as `ntk`, [member, input, other_input]."""
        return {"ntk": trainer.on_host(trainer.each(_ntk, state, jnp.asarray(inputs[: self.samples])))}


def _ntk(architecture: Architecture, params: PyTree[Float[Array, "..."]], x: Inputs) -> Float[Array, "n n"]:
    """One member's."""
    with jax.default_matmul_precision("float32"):
        return structured_ntk(architecture, params, x, None, "trace")


def named_leaves(params: PyTree[Float[Array, "..."]]) -> dict[str, Float[Array, "..."]]:
    """Leaves by their dotted path."""
    leaves = jax.tree.leaves_with_path(params)
    return {f"parameters.{jax.tree_util.keystr(path, simple=True, separator='.')}": leaf for path, leaf in leaves}
