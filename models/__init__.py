"""The model zoo: layer specs, each with its finite-width module and its infinite-width covariance side by side."""

from models.activations import Relu
from models.architecture import Architecture
from models.conv import Conv
from models.dense import Dense
from models.group_conv import GroupConv, LiftingConv
from models.groups import Group, cyclic
from models.layer import NoClosedFormError
from models.pooling import Flatten, GlobalAvgPool, GroupPool

__all__ = [
    "Architecture",
    "Conv",
    "Dense",
    "Flatten",
    "GlobalAvgPool",
    "Group",
    "GroupConv",
    "GroupPool",
    "LiftingConv",
    "NoClosedFormError",
    "Relu",
    "cyclic",
]
