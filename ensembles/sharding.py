"""Members over devices and processes, and over time within a device."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree, Shaped

from widesym.ensembles.strategy import Strategy

Number = TypeVar("Number", int, float)
BY_MEMBER, EVERYWHERE = PartitionSpec("member"), PartitionSpec()


@dataclass(frozen=True)
class Placement:
    """`members` on `devices` devices, each taking `rounds` groups of `together`; the last places may be idle."""

    members: int
    devices: int
    rounds: int
    together: int

    @property
    def places(self) -> int:
        """Members and idle places: the length of every stacked array."""
        return self.devices * self.rounds * self.together

    @property
    def mesh(self) -> Mesh:
        """The devices as a JAX mesh with one axis, `member`."""
        return Mesh(np.array(jax.devices()[: self.devices]), ("member",), axis_types=(AxisType.Auto,))

    @property
    def by_member(self) -> NamedSharding:
        """The sharding of arrays whose leading axis is the members', split over the devices."""
        return NamedSharding(self.mesh, BY_MEMBER)

    def everywhere(self, x: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
        """The array on each of the devices."""
        return jax.device_put(x, NamedSharding(self.mesh, EVERYWHERE))

    def filled(self, x: Shaped[np.ndarray, "member ..."]) -> Shaped[np.ndarray, "place ..."]:
        """Numbers for all places: those of the last member repeated for the idle ones."""
        return np.concatenate([x, np.repeat(x[-1:], self.places - self.members, axis=0)])


def placement(members: int, strategy: Strategy) -> Placement:
    """Members spread evenly over the devices, and over rounds of at most the strategy's number at once.

    All devices take part where there are several processes; else no more than there are members.
    """
    devices = jax.device_count() if jax.process_count() > 1 else min(jax.device_count(), members)
    share = math.ceil(members / devices)
    at_once = strategy.on(jax.default_backend(), share).members_at_once or share
    rounds = math.ceil(share / at_once)
    return Placement(members, devices, rounds, math.ceil(share / rounds))


def map_members(
    function: Callable[[PyTree, PyTree], PyTree],
    stacked: PyTree[Shaped[Array, "place ..."]],
    common: PyTree,
    where: Placement,
) -> PyTree[Shaped[Array, "place ..."]]:
    """function(one member of `stacked`, `common`) for every place, stacked again. No device waits for another."""

    def on_device(stacked: PyTree, common: PyTree) -> PyTree:
        def one(member: PyTree) -> PyTree:
            return function(member, common)

        if where.rounds == 1 and where.together > 1:
            return jax.vmap(one)(stacked)
        return jax.lax.map(one, stacked, batch_size=where.together if where.together > 1 else None)

    # check_vma=False: the members' loops start from constants, which the check would have cast to per-device values.
    split = jax.shard_map(
        on_device, mesh=where.mesh, in_specs=(BY_MEMBER, EVERYWHERE), out_specs=BY_MEMBER, check_vma=False
    )
    return split(stacked, common)


def gathered(x: Shaped[Array, "place ..."], members: int) -> Shaped[np.ndarray, "member ..."]:
    """The members' part of a stacked array on the host; with several processes, on every one's."""
    whole = x if x.is_fully_addressable else multihost_utils.process_allgather(x, tiled=True)
    return np.asarray(whole)[:members]


def agreed(value: Number) -> Number:
    """The first process's value, to about seven digits, for decisions that all must take alike."""
    if jax.process_count() == 1:
        return value
    return type(value)(multihost_utils.broadcast_one_to_all(np.float32(value)))


def on_first(function: Callable[[], object]) -> None:
    """Call it in the first process alone; the others wait, and raise RuntimeError if it fails there."""
    error = None
    if jax.process_index() == 0:
        try:
            function()
        except Exception as raised:
            error = raised
    if error is not None and jax.process_count() == 1:
        raise error
    if any_process(error is not None):
        raise error or RuntimeError("the first process has failed; its own message says why")


def any_process(value: bool) -> bool:
    """Whether it is true for one of the processes."""
    return bool(largest_of_processes(int(value)))


def largest_of_processes(value: int) -> int:
    """The largest of all processes' values."""
    return value if jax.process_count() == 1 else int(multihost_utils.process_allgather(np.int32(value)).max())
