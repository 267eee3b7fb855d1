"""Random pictures to write to files, and a check that a source loads them."""

import numpy as np

CLASSES = ("plane", "car", "bird")


def pictures(samples, shape, seed, classes=3):
    """Random bytes, and labels that take on every class."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (samples, *shape), dtype=np.uint8)
    return images, rng.permutation(np.arange(samples) % classes).astype(np.uint8)


def standardised(images, training):
    """Each channel with the mean and deviation of the training images, in float64."""
    images, training = np.asarray(images, float), np.asarray(training, float)
    return (images - training.mean((0, 1, 2))) / training.std((0, 1, 2))


def check_splits(splits, train, test, classes):
    """That both parts are these images, normalised with the training images, and these labels."""
    for name, part, (images, labels) in zip(("train", "test"), splits, (train, test), strict=True):
        assert (part.name, part.classes, part.inputs.dtype) == (name, classes, np.float32)
        assert np.issubdtype(part.labels.dtype, np.integer)
        np.testing.assert_array_equal(part.labels, labels)
        # Values of order one, rounded to float32 once after the shift and once after the scale.
        np.testing.assert_allclose(part.inputs, standardised(images, train[0]), rtol=3e-7, atol=1e-7)
