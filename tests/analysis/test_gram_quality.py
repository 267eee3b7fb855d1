"""Whether what should be a Gram matrix is one."""

import numpy as np
import pytest

from widesym.analysis.gram import GramError, measure_quality, quality


def spectrum(eigenvalues, seed=0):
    """A symmetric matrix with these eigenvalues."""
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(eigenvalues),) * 2))[0]
    made = (rotation * eigenvalues) @ rotation.T
    return (made + made.T) / 2


@pytest.mark.parametrize("exact_up_to", [2048, 8], ids=["all eigenvalues", "Cholesky and Lanczos"])
@pytest.mark.parametrize(("smallest", "positive"), [(0.1, True), (-1e-9, True), (-1e-3, False)], ids=str)
def test_quality(monkeypatch, exact_up_to, smallest, positive):
    """Tolerance 1e-6 of λ_max = 50; rounding moves eigenvalues by 1e-14."""
    monkeypatch.setattr(quality, "EXACT_UP_TO", exact_up_to)
    found = measure_quality(spectrum(np.array([smallest, *np.linspace(1, 50, 39)])), tolerance=1e-6)
    assert found.is_positive == positive
    np.testing.assert_allclose(found.largest, 50, rtol=1e-10)
    if not found.smallest_is_bound:
        np.testing.assert_allclose(found.smallest, smallest, atol=1e-9)
    else:
        assert exact_up_to == 8
        assert positive
        np.testing.assert_allclose(found.smallest, -50e-6, rtol=1e-10)
    assert ("NOT" in found.message) != positive


def test_quality_follows_the_precision():
    matrix = np.diag([1.0, -1e-6])
    assert measure_quality(matrix.astype(np.float32)).is_positive
    assert not measure_quality(matrix).is_positive


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), "square"),
        (np.array([[1, np.nan], [np.nan, 1]]), "2 entries of the Gram matrix are not finite"),
        (np.array([[1, 0.5], [0.25, 1]]), "not symmetric: entries differ by up to 0.25"),
    ],
    ids=["rectangular", "nan", "asymmetric"],
)
def test_what_is_no_gram_matrix(matrix, message):
    with pytest.raises(GramError, match=message):
        measure_quality(matrix)


def test_zero_inputs_have_a_gram_matrix(monkeypatch):
    """Also where Lanczos would have to start from a zero vector."""
    monkeypatch.setattr(quality, "EXACT_UP_TO", 8)
    assert measure_quality(np.zeros((9, 9), np.float32))[:2] == (0, 0)
