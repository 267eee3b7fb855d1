"""Widths of architectures: what is hidden, and the same network at other widths."""

import numpy as np
import pytest

from widesym.analysis import analytic_kernel
from widesym.models import Architecture, Conv, Dense, Flatten, GlobalAvgPool, Relu, Residual
from widesym.models.width import at_width, hidden_features, narrowest, with_logits
from widesym.models.zoo import MODELS

NARROW = [model for model in MODELS if model.name != "resnet"]  # LayerNorm needs two channels


def test_features_of_hidden_layers_are_found_inside_others():
    network = Architecture((Conv(4, 3), Residual((Conv(12, 3), Relu(), Conv(4, 3))), GlobalAvgPool(), Dense(10)))
    assert hidden_features(network) == (4, 12, 4)
    narrow, divisor = narrowest(network)
    assert (hidden_features(narrow), divisor) == ((1, 3, 1), 4)
    assert narrow.layers[-1] == Dense(10)
    assert narrowest(narrow) == (narrow, 1)


def test_a_network_without_hidden_layers_is_its_own():
    linear = Architecture((Flatten(), Dense(10)))
    assert hidden_features(linear) == ()
    assert narrowest(linear) == (linear, 1)


def test_other_proportions_are_other_networks():
    one, other = (Architecture((Dense(a), Relu(), Dense(b), Relu(), Dense(3))) for a, b in ((8, 8), (8, 16)))
    assert narrowest(one)[0] != narrowest(other)[0]
    assert narrowest(Architecture((Dense(2), Relu(), Dense(4), Relu(), Dense(3))))[0] == narrowest(other)[0]


@pytest.mark.parametrize("model", NARROW, ids=lambda model: model.name)
def test_the_zoo_has_one_narrow_network_for_all_widths(model):
    one, other = (narrowest(model.make(width))[0] for width in (model.width, 3 * model.width))
    assert one == other
    assert one.signals(model.input_shape)[-1] == model.make(model.width).signals(model.input_shape)[-1]


def test_kernels_are_the_same():
    x = np.random.default_rng(0).standard_normal((3, 6, 6, 2), np.float32)
    network = Architecture((Conv(8, 3, w_std=1.4, b_std=0.2), Relu(), Conv(24, 3), Relu(), Flatten(), Dense(5)))
    for one, other in zip(*(analytic_kernel(each)(x) for each in (network, narrowest(network)[0])), strict=True):
        np.testing.assert_array_equal(one, other)  # no feature enters them


def test_a_width_is_that_of_the_first_hidden_layer():
    network = Architecture((Conv(4, 3), Residual((Conv(12, 3), Relu(), Conv(4, 3))), GlobalAvgPool(), Dense(10)))
    wide = at_width(network, 6)
    assert hidden_features(wide) == (6, 18, 6)
    assert wide.layers[-1] == Dense(10)
    assert narrowest(wide)[0] == narrowest(network)[0]
    assert at_width(wide, 4) == network


@pytest.mark.parametrize("model", NARROW, ids=lambda model: model.name)
def test_the_zoo_is_made_at_the_width_of_its_first_layer(model):
    assert at_width(model.make(model.width), 3 * model.width) == model.make(3 * model.width)


@pytest.mark.parametrize("width", [0, -6, 2, 7])
def test_widths_that_make_no_whole_features_are_refused(width):
    network = Architecture((Flatten(), Dense(6), Relu(), Dense(4), Relu(), Dense(10)))
    with pytest.raises(ValueError, match=f"width is {width}, but .* are as 3:2; take a positive multiple of 3"):
        at_width(network, width)


def test_a_network_without_hidden_layers_has_no_width():
    with pytest.raises(ValueError, match="width is 8, but the architecture has no hidden layer"):
        at_width(Architecture((Flatten(), Dense(10))), 8)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_network_of_the_zoo_has_as_many_logits_as_asked_for(model):
    narrow = model.make(8)
    for logits in (1, 7):
        found = with_logits(narrow, logits)
        assert found.signals(model.input_shape)[-1].channels == logits
        assert hidden_features(found) == hidden_features(narrow)
    assert with_logits(narrow, narrow.signals(model.input_shape)[-1].channels) == narrow
    with pytest.raises(ValueError, match="features is 0; it must be a positive integer"):
        with_logits(narrow, 0)
