"""The MNIST networks of arXiv:2406.06504, table 3, as every worker trains them, and what a training image costs.

Standard library alone: the peers' interpreter imports it, too.
"""

from typing import NamedTuple

PIXELS, LOGITS, GROUP_ORDER, POOL = 28, 10, 4, 2
BATCH, IMAGES = 64, 4096
OPTIMIZER, LEARNING_RATE = "adam", 1e-3  # every variant's; workers know "sgd" and "adam"
NETWORKS = ("cnn", "gcnn")


class Convolution(NamedTuple):
    """One VALID convolution; a max pool of 2 × 2 and a ReLU may follow, in this order."""

    inputs: int
    features: int
    size: int
    pool: bool
    relu: bool

    @property
    def fan_in(self) -> int:
        """Weights behind one output of the plain convolution."""
        return self.inputs * self.size**2


CONVOLUTIONS = (
    Convolution(1, 4, 3, pool=True, relu=True),
    Convolution(4, 16, 4, pool=True, relu=True),
    Convolution(16, 32, 3, pool=False, relu=True),
    Convolution(32, 64, 3, pool=False, relu=True),
    Convolution(64, 128, 1, pool=False, relu=True),
    Convolution(128, 32, 1, pool=False, relu=True),
    Convolution(32, LOGITS, 1, pool=False, relu=False),
)


def training_flops(network: str) -> int:
    """Floating-point operations that training one image takes in matrix products: a forward pass of

    2·size²·positions·channels in·channels out a convolution (both channels times 4 on C4, but for the lifting's input),
    and twice that backward, for the gradients of weights and input; nobody asks for that of the image.
    """
    order = GROUP_ORDER if network == "gcnn" else 1
    forward, pixels = [], PIXELS
    for depth, layer in enumerate(CONVOLUTIONS):
        pixels -= layer.size - 1
        channels_in = layer.inputs * (order if depth else 1)
        forward.append(2 * layer.size**2 * pixels**2 * channels_in * layer.features * order)
        pixels = pixels // POOL if layer.pool else pixels
    return 3 * sum(forward) - forward[0]
