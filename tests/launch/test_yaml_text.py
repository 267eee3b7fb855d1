"""How YAML is read: names once, nothing inside itself, numbers as in YAML 1.2."""

import pytest

from launch.yaml_text import parsed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-2E+4", -2e4),
        ("[&a {b: 1}, *a]", [{"b": 1}, {"b": 1}]),
        ("{c: &a {b: 1}, d: {<<: *a, e: 2}}", {"c": {"b": 1}, "d": {"b": 1, "e": 2}}),
        ("{c: &a {b: 1}, d: &d {<<: *a, b: 2}, e: {<<: *d}}", {"c": {"b": 1}, "d": {"b": 2}, "e": {"b": 2}}),
    ],
)
def test_what_is_yaml_is_read(text, value):
    assert parsed(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a: 1, b: 2, a: 3}", "'a' is given twice"),
        ("a: 1\nb: {c: 1, 'c': 2}", "'c' is given twice .*line 2"),
        ("a: &x [1, *x]", "'x' refers to itself"),
        ("&x {a: {b: *x}}", "'x' refers to itself"),
        ("{a: *x}", "undefined alias 'x'"),
        ("{a: [", "expected the node content"),
        ("[" * 100_000, "recursion"),
        ("\0", "special characters"),
    ],
)
def test_what_is_none_is_refused_on_one_line(text, message):
    with pytest.raises(ValueError, match=message) as refused:
        parsed(text)
    assert "\n" not in str(refused.value)
