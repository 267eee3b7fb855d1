"""The model zoo: layer specs, each with its finite-width module and its infinite-width covariance side by side."""

from typing import TYPE_CHECKING

from widesym.models.on_demand import on_demand

if TYPE_CHECKING:
    from widesym.models.architecture import Architecture
    from widesym.models.counterpart import group_counterpart
    from widesym.models.groups import Group, cyclic, dihedral
    from widesym.models.layer import NoClosedFormError
    from widesym.models.layers.activations import Abs, Erf, Gelu, LeakyRelu, Relu, Sin
    from widesym.models.layers.conv import Conv
    from widesym.models.layers.dense import Dense
    from widesym.models.layers.group_conv import GroupConv, LiftingConv
    from widesym.models.layers.group_flatten import GroupFlatten
    from widesym.models.layers.invariants import Canonicalize, InvariantScalars
    from widesym.models.layers.normalization import LayerNorm
    from widesym.models.layers.parts import AtomSum, OrbitAverage
    from widesym.models.layers.pooling import AvgPool, Flatten, GlobalAvgPool, GroupPool, MaxPool
    from widesym.models.layers.quadrature import Elementwise, Tanh
    from widesym.models.layers.residual import Identity, Residual
    from widesym.models.spherical.conv import SO3Conv, SO3Pool, SphereLifting
    from widesym.models.spherical.so3 import SO3

__getattr__, __dir__ = on_demand(__name__, __file__)

__all__ = [
    "SO3",
    "Abs",
    "Architecture",
    "AtomSum",
    "AvgPool",
    "Canonicalize",
    "Conv",
    "Dense",
    "Elementwise",
    "Erf",
    "Flatten",
    "Gelu",
    "GlobalAvgPool",
    "Group",
    "GroupConv",
    "GroupFlatten",
    "GroupPool",
    "Identity",
    "InvariantScalars",
    "LayerNorm",
    "LeakyRelu",
    "LiftingConv",
    "MaxPool",
    "NoClosedFormError",
    "OrbitAverage",
    "Relu",
    "Residual",
    "SO3Conv",
    "SO3Pool",
    "Sin",
    "SphereLifting",
    "Tanh",
    "cyclic",
    "dihedral",
    "group_counterpart",
]
