"""Means, variances and half-samples of ensembles, read block by block: against NumPy on everything at once."""

import itertools
import tracemalloc

import numpy as np
import pytest
import zarr

from widesym.analysis.estimators.divergence import divergence, squared_divergence_interval
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.means import (
    EstimatedMean,
    estimate_mean,
    estimate_with_subsets,
    half_samples,
    subset_means,
)


def logits(seed=0, times=2, members=11, samples=3, outputs=2, offset=0.0):
    rng = np.random.default_rng(seed)
    return (offset + rng.standard_normal((times, members, samples, outputs))).astype(np.float32)


def test_blocks_are_whole_chunks_of_kept_members():
    array = zarr.create_array({}, shape=(2, 11, 3, 2), chunks=(1, 2, 3, 2), dtype="float32")
    values = logits()
    array[:] = values
    kept = np.array([1, 2, 3, 6, 8, 10])
    read = EnsembleLogits(array, kept)
    assert (read.members, read.shape) == (6, (3, 2))
    blocks = list(read.blocks(1, memory=5 * 24))  # five members fit, so four are read: two chunks
    assert [place for place, _ in blocks] == [slice(0, 3), slice(3, 4), slice(4, 6)]
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), values[1, kept])
    assert [len(block) for _, block in EnsembleLogits(values).blocks(0, memory=5 * 24)] == [5, 5, 1]
    assert [len(block) for _, block in EnsembleLogits(values).blocks(0, memory=1)] == [1] * 11


def test_what_is_not_finite_is_named():
    values = logits()
    values[1, 7, 0, 1] = np.nan
    with pytest.raises(ValueError, match="member 7 at time index 1 are not finite"):
        estimate_mean(EnsembleLogits(values), 1)
    assert estimate_mean(EnsembleLogits(values), 0).members == 11
    without = EnsembleLogits(values, np.delete(np.arange(11), 7))
    np.testing.assert_allclose(estimate_mean(without, 1).mean, np.delete(values[1], 7, 0).mean(0), rtol=1e-5)


@pytest.mark.parametrize("kept", [[], [0, 0], [3, 1], [11], [-1, 2]], ids=str)
def test_members_that_cannot_be_kept_are_refused(kept):
    with pytest.raises(ValueError, match="rising numbers between 0 and 10"):
        EnsembleLogits(logits(), np.array(kept, int))


@pytest.mark.parametrize("memory", [24, 100, 2**20])
def test_mean_and_variance_are_numpys_whatever_the_blocks(memory):
    """An offset of 1000 leaves float32 inputs, converted exactly, but sums in float32 would lose three digits."""
    values = logits(offset=1000)
    found = estimate_mean(EnsembleLogits(values), 1, draws=8, memory=memory)
    exact = values[1].astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(0), rtol=1e-12)
    # Deviations from a block's mean are float32: 6e-8 each.
    np.testing.assert_allclose(found.variance, exact.var(0, ddof=1), rtol=1e-6)
    np.testing.assert_allclose(found.squared_error, exact.var(0, ddof=1) / 11, rtol=1e-6)
    expected = np.einsum("dm,msl->dsl", half_samples(11, 8, 0).astype(np.float64), exact) / 11
    # Float32 sums of deviations of about one, far below the 6e-5 that float32 keeps of a thousand.
    np.testing.assert_allclose(found.noise, expected, atol=1e-6)


@pytest.mark.parametrize("members", [2, 4, 5])
def test_half_samples_have_the_covariance_of_the_mean(members):
    """Averaged over every sign pattern, S/M to rounding: neither M² nor (M − 1)M in the wrong place."""
    patterns = np.unique(half_samples(members, 2000, 0), axis=0).astype(np.float64)
    assert len(patterns) == {2: 2, 4: 6, 5: 30}[members]  # 2 over 1, 4 over 2, and 5 times that: all there are
    np.testing.assert_allclose(patterns.sum(1), 0, atol=1e-6)
    np.testing.assert_allclose((patterns**2).sum(1), members, rtol=1e-6)
    x = logits(members=members)[0].reshape(members, -1).astype(np.float64)
    noise = patterns @ x / members
    np.testing.assert_allclose(noise.T @ noise / len(patterns), np.cov(x.T) / members, rtol=1e-5, atol=1e-7)


def test_noise_follows_the_seed():
    first, again, other = (estimate_mean(EnsembleLogits(logits()), 0, seed=seed).noise for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_one_member_has_a_mean_alone():
    alone = estimate_mean(EnsembleLogits(logits(members=1)), 0)
    assert (alone.members, alone.variance, alone.noise) == (1, None, None)
    with pytest.raises(ValueError, match="one member"):
        _ = alone.squared_error
    with pytest.raises(ValueError, match="5 members or more"):
        squared_divergence_interval(alone, EstimatedMean.exact(alone.mean + 1))


def test_part_of_the_samples_is_that_of_theirs_alone():
    values = logits()
    part = estimate_mean(EnsembleLogits(values), 0).of(slice(1, 3))
    alone = estimate_mean(EnsembleLogits(values[:, :, 1:3]), 0)
    for ours, theirs in zip(part, alone, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)  # float32 sums in another order
    assert EstimatedMean.exact(values[0, 0]).of(slice(1, 3)).mean.shape == (2, 2)


@pytest.mark.parametrize("memory", [1, 2**28])
def test_subset_means_are_means_of_distinct_members(memory):
    values = logits(offset=100)[:, :5]
    drawn = list(subset_means(EnsembleLogits(values), 1, (1, 2, 5), draws=60, memory=memory))
    for size, means in zip((1, 2, 5), drawn, strict=True):
        subsets = [values[1, list(s)].astype(float).mean(0) for s in itertools.combinations(range(5), size)]
        near = [np.abs(mean - subsets).max((1, 2)).argmin() for mean in means]
        np.testing.assert_allclose(means, np.array(subsets)[near], atol=1e-5)
        assert len(set(near)) == len(subsets)  # each of at most ten is among 60: missed once in 50 (seed fixed)


def test_one_pass_gives_mean_and_subsets():
    read = EnsembleLogits(logits(offset=100))
    blocks = read.blocks(1, memory=5 * 24)  # an iterator: it could not be read twice
    mean, subsets = estimate_with_subsets(read, blocks, (2, 7), half_samples(read.members, 30, 4), subsets=9, seed=4)
    for ours, theirs in zip(mean, estimate_mean(read, 1, draws=30, seed=4), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)  # float32 sums about another centre
    for size, theirs in zip((2, 7), subset_means(read, 1, (2, 7), draws=9, seed=4), strict=True):
        np.testing.assert_allclose(subsets[size], theirs, atol=2e-5)  # float32 of a hundred has an ulp of 8e-6


@pytest.mark.parametrize("size", [0, 12])
def test_sizes_that_are_not_there_are_refused(size):
    with pytest.raises(ValueError, match=rf"sizes are \[2, {size}\]; .* the ensemble's 11 members"):
        next(subset_means(EnsembleLogits(logits()), 0, [2, size]))


class Generated:
    """4,000 members of 2,000 samples and ten logits at two times, 640 MB, made when asked for."""

    shape = (2, 4000, 2000, 10)

    def __getitem__(self, index):
        _, members = index
        rng = np.random.default_rng(members.start)
        return rng.standard_normal((members.stop - members.start, 2000, 10), dtype=np.float32)


def test_memory_is_that_of_a_block_and_the_draws():
    """Draws of 2,000 × 10 logits in float64 are 3 MB at 20; a block is 8 MB, and there are a few copies of each."""
    tracemalloc.start()
    try:
        found = estimate_mean(EnsembleLogits(Generated()), 0, draws=20, memory=2**23)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64e6
    # 20,000 variances of 4,000 normal numbers scatter by 2 % each, their mean by 0.02 %.
    assert found.variance is not None
    np.testing.assert_allclose(found.variance.mean(), 1, atol=1e-3)
    assert divergence(found, EstimatedMean.exact(np.zeros((2000, 10)))) < 0.06  # √(10/4000) = 0.05
