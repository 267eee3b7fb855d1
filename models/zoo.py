"""Named architectures, any width by one number: the general ones, and those of the papers' tables.

Hidden layers have σ_w² = 2, which keeps K constant through ReLUs, and the last σ_w² = 1; there are no biases.
"""

from collections.abc import Callable
from dataclasses import dataclass

from widesym.models.architecture import Architecture
from widesym.models.groups import Group, cyclic, dihedral
from widesym.models.layer import Layer
from widesym.models.layers.activations import Relu
from widesym.models.layers.conv import Conv
from widesym.models.layers.dense import Dense
from widesym.models.layers.group_conv import GroupConv, LiftingConv
from widesym.models.layers.invariants import Canonicalize, InvariantScalars
from widesym.models.layers.normalization import LayerNorm
from widesym.models.layers.parts import AtomSum, OrbitAverage
from widesym.models.layers.pooling import Flatten, GlobalAvgPool, GroupPool, MaxPool
from widesym.models.layers.residual import Residual
from widesym.models.spherical.conv import SO3Conv, SO3Pool, SphereLifting

HIDDEN_STD = 2**0.5
C4, D4, C8 = cyclic(4), dihedral(4), cyclic(8)
# Filter sizes of arXiv:2406.06504, table 3; a MaxPool follows the first two layers.
MNIST_SIZES = (3, 4, 3, 3, 1, 1, 1)
CIFAR10_SIZES = (3, 4, 3, 4, 1, 1, 1)
PUBLISHED_WIDTH = 4


def mlp(width: int, logits: int = 10, depth: int = 2) -> Architecture:
    """Flatten, then `depth` hidden Dense layers of `width`."""
    return Architecture((Flatten(), *_hidden(width, depth), Dense(logits)))


def cnn(width: int, logits: int = 10, depth: int = 3) -> Architecture:
    """`depth` convolutions of 3 × 3 and `width` channels, mean over pixels, Dense."""
    conv = Conv(width, 3, w_std=HIDDEN_STD)
    return Architecture((*(conv, Relu()) * depth, GlobalAvgPool(), Dense(logits)))


def gcnn(width: int, logits: int = 10, depth: int = 3, group: Group = C4) -> Architecture:
    """The same on a group: lifting, group convolutions of `width` channels, mean over pixels and group, Dense."""
    lifting, conv = (kind(group, width, 3, w_std=HIDDEN_STD) for kind in (LiftingConv, GroupConv))
    return Architecture((lifting, Relu(), *(conv, Relu()) * (depth - 1), GroupPool(), Dense(logits)))


def resnet(width: int, logits: int = 10, depth: int = 2) -> Architecture:
    """A convolution, `depth` pre-activation residual blocks with LayerNorm, mean over pixels, Dense."""
    block = Residual((LayerNorm(), Relu(), Conv(width, 3, w_std=HIDDEN_STD)))
    return Architecture((Conv(width, 3), *(block,) * depth, LayerNorm(), Relu(), GlobalAvgPool(), Dense(logits)))


def spherical_cnn(width: int, logits: int = 10, bandlimits: tuple[int, int] = (8, 4)) -> Architecture:
    """Lifting from the sphere at the first bandlimit to SO(3) at the second, a convolution there, mean, Dense."""
    return Architecture((*_spherical(width, *bandlimits), Dense(logits)))


def mnist_cnn(width: int = PUBLISHED_WIDTH) -> Architecture:
    """The CNN for MNIST of arXiv:2406.06504, table 3, whose first layer has `width` = 4 channels."""
    return Architecture((*_published(width, MNIST_SIZES, None), Flatten()))


def cifar10_cnn(width: int = PUBLISHED_WIDTH) -> Architecture:
    """The CNN for CIFAR10 of arXiv:2406.06504, table 3."""
    return Architecture((*_published(width, CIFAR10_SIZES, None), Flatten()))


def mnist_gcnn(width: int = PUBLISHED_WIDTH, group: Group = C4) -> Architecture:
    """The group-CNN for MNIST of arXiv:2406.06504, table 3."""
    return Architecture((*_published(width, MNIST_SIZES, group), GroupPool()))


def cifar10_gcnn(width: int = PUBLISHED_WIDTH, group: Group = C4) -> Architecture:
    """The group-CNN for CIFAR10 of arXiv:2406.06504, table 3."""
    return Architecture((*_published(width, CIFAR10_SIZES, group), GroupPool()))


def molecule_gcnn(width: int = 32) -> Architecture:
    """The spherical network of arXiv:2406.06504, table 2: one per atom, bandlimits 6 → 3, their sum, Dense(1)."""
    return Architecture((AtomSum(_spherical(width, 6, 3), shared=False), Dense(1)))


def molecule_mlp(width: int = 512) -> Architecture:
    """The MLP of arXiv:2406.06504, table 2: one per atom, two hidden layers, summed over atoms, Dense(1)."""
    return Architecture((AtomSum((Flatten(), *_hidden(width, 2)), shared=False), Dense(1)))


def invariant_mlp(width: int, logits: int = 1) -> Architecture:
    """An MLP on the scalars of a set of vectors, invariant under SO(d)."""
    return Architecture((InvariantScalars(determinants=True), *_hidden(width, 2), Dense(logits)))


def orbit_averaged_mlp(width: int, logits: int = 10, group: Group = D4) -> Architecture:
    """The mean of an MLP over a group's rotations of its input."""
    return Architecture((OrbitAverage(mlp(width, logits), group),))


def canonicalized_cnn(width: int, logits: int = 10, group: Group = C4) -> Architecture:
    """A CNN that sees one image of each orbit."""
    return Architecture((Canonicalize(cnn(width, logits), group),))


def _hidden(width: int, depth: int) -> tuple[Layer, ...]:
    return (Dense(width, w_std=HIDDEN_STD), Relu()) * depth


def _spherical(width: int, bandlimit_in: int, bandlimit: int) -> tuple[Layer, ...]:
    lifting = SphereLifting(width, bandlimit_in, bandlimit, w_std=HIDDEN_STD)
    return (lifting, Relu(), SO3Conv(width, bandlimit, bandlimit, w_std=HIDDEN_STD), Relu(), SO3Pool())


def _published(width: int, sizes: tuple[int, ...], group: Group | None) -> list[Layer]:
    """Table 3's layers without the head. Maximum and ReLU commute, and the maximum first saves three ReLUs of four."""
    layers: list[Layer] = []
    channels = (width, 4 * width, 8 * width, 16 * width, 32 * width, 8 * width, 10)
    for depth, (features, size) in enumerate(zip(channels, sizes, strict=True)):
        last = depth == len(sizes) - 1
        w_std = 1.0 if last else HIDDEN_STD
        if group is None:
            layers.append(Conv(features, size, "VALID", w_std=w_std))
        else:
            kind = LiftingConv if depth == 0 else GroupConv
            layers.append(kind(group, features, size, "VALID", w_std=w_std))
        layers += [MaxPool(2)] if depth < 2 else []
        layers += [] if last else [Relu()]
    return layers


@dataclass(frozen=True)
class Model:
    """A member of the zoo: its network at any width, an input shape, and which group leaves its logits alone."""

    name: str
    make: Callable[[int], Architecture]
    width: int
    input_shape: tuple[int, ...]
    invariance: str


MODELS = (
    Model("mlp", mlp, 512, (8, 8, 1), "none"),
    Model("cnn", cnn, 64, (8, 8, 1), "none"),
    Model("resnet", resnet, 64, (8, 8, 1), "none"),
    Model("c4-gcnn", gcnn, 32, (8, 8, 1), "C4"),
    Model("d4-gcnn", lambda width: gcnn(width, group=D4), 32, (8, 8, 1), "D4"),
    Model("c8-gcnn", lambda width: gcnn(width, group=C8), 32, (9, 9, 1), "C4 (≈ C8)"),
    Model("orbit-averaged-mlp", orbit_averaged_mlp, 512, (8, 8, 1), "D4"),
    Model("canonicalized-cnn", canonicalized_cnn, 64, (8, 8, 1), "C4"),
    Model("spherical-cnn", spherical_cnn, 32, (16, 15, 1), "SO(3)"),
    Model("mnist-cnn", mnist_cnn, PUBLISHED_WIDTH, (28, 28, 1), "none"),
    Model("mnist-c4-gcnn", mnist_gcnn, PUBLISHED_WIDTH, (28, 28, 1), "C4"),
    Model("cifar10-cnn", cifar10_cnn, PUBLISHED_WIDTH, (32, 32, 3), "none"),
    Model("cifar10-c4-gcnn", cifar10_gcnn, PUBLISHED_WIDTH, (32, 32, 3), "C4"),
    Model("molecule-gcnn", molecule_gcnn, 32, (29, 12, 11, 10), "SO(3)/atom"),
    Model("molecule-mlp", molecule_mlp, 512, (29, 12, 11, 10), "none"),
    Model("invariant-mlp", invariant_mlp, 512, (4, 3), "SO(3)"),
)
