"""Members over devices, and over time within a device."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, PartitionSpec
from jaxtyping import Array, PyTree, Shaped


def map_members(
    function: Callable[[PyTree, PyTree], PyTree], stacked: PyTree[Shaped[Array, "member ..."]], common: PyTree
) -> PyTree[Shaped[Array, "member ..."]]:
    """function(one member of `stacked`, `common`) for every member, stacked again.

    Members are split evenly over the devices, the last one repeated where their numbers do not divide. On a CPU each
    device runs its members one after the other, which keeps the working set in cache; an accelerator runs them together
    (docs/design.md).
    """
    members = len(jax.tree.leaves(stacked)[0])
    devices = jax.devices()[:members]
    share = math.ceil(members / len(devices))
    mesh = Mesh(np.array(devices), ("member",), axis_types=(AxisType.Auto,))
    together = None if devices[0].platform == "cpu" else share

    def on_device(stacked: PyTree, common: PyTree) -> PyTree:
        return jax.lax.map(lambda member: function(member, common), stacked, batch_size=together)

    def filled_up(x: Shaped[Array, "member ..."]) -> Shaped[Array, "filled ..."]:
        missing = share * len(devices) - members
        return jnp.concatenate([x, jnp.repeat(x[-1:], missing, axis=0)]) if missing else x

    by_member, everywhere = PartitionSpec("member"), PartitionSpec()
    # check_vma=False: the members' loops start from constants, which the check would have cast to per-device values.
    split = jax.shard_map(on_device, mesh=mesh, in_specs=(by_member, everywhere), out_specs=by_member, check_vma=False)
    return jax.tree.map(lambda x: x[:members], split(jax.tree.map(filled_up, stacked), common))
