"""Where the scale of the weights stands: one function class and one initial law, three behaviours under training.

A layer computes z = a·W x with W ~ N(0, s²). Initially only the product a·s matters, but a step of gradient descent at
learning rate η moves z by η·a² (…): the split decides what training does as the width grows.

- `ntk`: s = 1, a = σ_w/√fan_in (theory.md §1). Kernels have a limit, and training follows it.
- `standard`: a = 1, s = σ_w/√fan_in, as deep-learning libraries initialise. The same function initially; the learning
  rate must shrink as 1/width.
- `mup`: hidden layers as in `standard`; the first layer has a multiplied and s divided by √width, the last has
  a = 1/√width and so starts at zero as the width grows (Yang & Hu 2021, arXiv:2011.14522, table 1, c = 0; for SGD).
  Features are learned at any width, at one learning rate. Of a last residual connection only the body is scaled down.

Biases are weights on one constant input: of the first kind in every layer but the last.
"""

from typing import Literal

from widesym.models.network import Network

Parametrization = Literal["ntk", "standard", "mup"]


def place_scales(network: Network, parametrization: Parametrization) -> None:
    """Move the scales of a freshly initialised network, whose weights are all N(0, 1), to where they belong."""
    modules = list(network.affine_modules())
    for index, module in enumerate(modules):
        if parametrization == "ntk":
            return
        weight_std, bias_std = module.scale, module.bias_scale
        module.scale = module.bias_scale = 1.0
        first, last, gain = index == 0, index == len(modules) - 1, module.layer.features**0.5
        if parametrization == "mup" and not last:
            module.bias_scale, bias_std = gain, bias_std / gain
            if first:
                module.scale, weight_std = gain, weight_std / gain
        elif parametrization == "mup" and not first:
            module.scale = module.fan_in**-0.5
        module.weight[...] = weight_std * module.weight[...]
        if module.bias is not None:
            module.bias[...] = bias_std * module.bias[...]
