"""Single values of a configuration replaced by dotted paths."""

import copy

import pytest

from widesym.launch.config.changes import overridden
from widesym.launch.errors import ConfigError

CONTENT = {
    "architecture": {"type": "Architecture", "layers": [{"type": "Dense", "features": 4}, {"type": "Relu"}]},
    "recipe": {"learning_rate": 0.1},
    "record_steps": [0, 4],
    "orbit": None,
}


def test_values_at_paths_are_replaced_and_the_rest_stays():
    before = copy.deepcopy(CONTENT)
    changes = {"recipe.learning_rate": 0.5, "architecture.layers.0.features": 64, "record_steps.1": 8, "members": 3}
    assert overridden(CONTENT, changes) == {
        "architecture": {"type": "Architecture", "layers": [{"type": "Dense", "features": 64}, {"type": "Relu"}]},
        "recipe": {"learning_rate": 0.5},
        "record_steps": [0, 8],
        "orbit": None,
        "members": 3,
    }
    assert before == CONTENT


def test_nothing_changed_is_the_same():
    assert overridden(CONTENT, {}) == CONTENT


def test_wholes_are_replaced_before_their_parts():
    """In whichever order they are given."""
    changes = {"architecture.layers.0.features": 7, "architecture": {"layers": [{"type": "Conv"}]}}
    expected = {"layers": [{"type": "Conv", "features": 7}]}
    assert overridden(CONTENT, changes)["architecture"] == expected
    assert overridden(CONTENT, dict(reversed(changes.items())))["architecture"] == expected


def test_a_part_of_what_is_not_there_is_made():
    assert overridden({}, {"recipe.optimizer.b1": 0.9}) == {"recipe": {"optimizer": {"b1": 0.9}}}


def test_layers_that_are_one_in_the_file_are_two_afterwards():
    """YAML's anchors give the same object twice."""
    layer = {"type": "Dense", "features": 4}
    found = overridden({"layers": [layer, layer]}, {"layers.1.features": 5})
    assert [each["features"] for each in found["layers"]] == [4, 5]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("architecture.layers.2.features", "architecture.layers is a list of 2, and '2' is no place in it"),
        ("architecture.layers.-1", "and '-1' is no place"),
        ("architecture.layers.first", "and 'first' is no place"),
        ("recipe.learning_rate.0", "recipe.learning_rate is 0.1, which has no part '0'"),
        ("orbit.group", "orbit is None, which has no part 'group'"),
        ("recipe.", "one of its names is empty"),
        ("", "one of its names is empty"),
    ],
)  # fmt: skip
def test_paths_that_lead_nowhere_are_refused(path, message):
    with pytest.raises(ConfigError) as refused:
        overridden(CONTENT, {path: 1})
    assert str(refused.value).startswith(f"{path} cannot be set: ")
    assert message in str(refused.value)
