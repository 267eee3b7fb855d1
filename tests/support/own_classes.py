"""A module as people write one for their own layers and recipes, which notes whenever it is run."""

import sys

NAME = "own_softplus"  # of the module
MODULE = '''
from dataclasses import dataclass
from pathlib import Path

import jax
import optax

from widesym.ensembles.data import Digits
from widesym.models.layers.quadrature import Quadrature


@dataclass(frozen=True)
class Softplus(Quadrature):
    def phi(self, z):
        return jax.nn.softplus(z)


@dataclass(frozen=True)
class Halved:
    """Descent at half the rate."""

    def transformation(self, learning_rate):
        return optax.sgd(learning_rate / 2)


@dataclass(frozen=True)
class Few:
    """A source of data."""

    count: int

    def load(self):
        return Digits(self.count, 6, 3).load()


@dataclass
class Thawed:
    count: int = 1


def unchanged(key, x, y):
    return x, y


with Path(__file__).with_name("imported").open("a") as file:
    file.write("x")
'''


def written(folder, monkeypatch):
    """The module in this folder, imported by nobody yet; what importing it leaves behind goes after the test."""
    (folder / f"{NAME}.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", [*sys.path])
    forgotten(monkeypatch)


def forgotten(monkeypatch):
    """As in another process, in which nobody has imported it."""
    monkeypatch.delitem(sys.modules, NAME, raising=False)


def times_imported(folder):
    """How often the module was run."""
    path = folder / "imported"
    return len(path.read_text()) if path.exists() else 0
