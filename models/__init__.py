"""The model zoo: layer specs, each with its finite-width module and its infinite-width covariance side by side."""

from models.activations import Abs, Erf, Gelu, LeakyRelu, Relu, Sin
from models.architecture import Architecture
from models.conv import Conv
from models.counterpart import group_counterpart
from models.dense import Dense
from models.group_conv import GroupConv, LiftingConv
from models.group_flatten import GroupFlatten
from models.groups import Group, cyclic, dihedral
from models.invariants import Canonicalize, InvariantScalars
from models.layer import NoClosedFormError
from models.normalization import LayerNorm
from models.parts import AtomSum, OrbitAverage
from models.pooling import AvgPool, Flatten, GlobalAvgPool, GroupPool, MaxPool
from models.quadrature import Elementwise, Tanh
from models.residual import Identity, Residual
from models.so3 import SO3
from models.spherical import SO3Conv, SO3Pool, SphereLifting

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
