"""One field of all layers changed, however deep they are."""

import pytest

from widesym.models import (
    Architecture,
    Canonicalize,
    Dense,
    Flatten,
    GroupConv,
    GroupPool,
    LiftingConv,
    OrbitAverage,
    Relu,
    Residual,
    cyclic,
    dihedral,
)
from widesym.models.substitution import substituted, with_group

C4, D4 = cyclic(4), dihedral(4)


def network(group):
    conv = GroupConv(group, 2, 3)
    body = (LiftingConv(group, 2, 3), Residual((Relu(), conv)), GroupPool(), Dense(10))
    return Architecture((Canonicalize((OrbitAverage(body, group),), group),), "standard")


def test_values_are_changed_in_their_order():
    spec = Architecture((Flatten(), Dense(3), Residual((Dense(4), Dense(3))), Dense(5)))
    found = []
    changed = substituted(spec, "features", lambda features: found.append(features) or 10 * features)
    assert found == [3, 4, 3, 5]
    assert changed == Architecture((Flatten(), Dense(30), Residual((Dense(40), Dense(30))), Dense(50)))


def test_all_layers_are_brought_to_another_group():
    assert with_group(network(C4), D4) == network(D4)
    assert with_group(network(C4), D4) != network(C4)


def test_a_network_without_groups_is_brought_to_none():
    with pytest.raises(ValueError, match="group is D4, but the architecture has no layer on a group"):
        with_group(Architecture((Flatten(), Dense(3))), D4)
