"""The published networks in PyTorch: plain, with a hand-built bank of rotated filters, and from escnn's layers."""

import torch
from torch import nn

from benchmarks.published import CONVOLUTIONS, GROUP_ORDER, LOGITS


def activation(spec) -> list[nn.Module]:
    """What follows a convolution."""
    return ([nn.MaxPool2d(2)] if spec.pool else []) + ([nn.ReLU()] if spec.relu else [])


def cnn(memory_format=torch.contiguous_format) -> nn.Module:
    """The CNN."""
    layers = []
    for spec in CONVOLUTIONS:
        layers += [nn.Conv2d(spec.inputs, spec.features, spec.size, bias=False), *activation(spec)]
    return nn.Sequential(*layers, nn.Flatten()).to(memory_format=memory_format)


class BankConv(nn.Module):
    """A C4 convolution, [sample, channel·p, row, column] to [sample, feature·r, row, column]."""

    def __init__(self, spec, order: int, memory_format):
        super().__init__()
        self.memory_format = memory_format
        shape = (spec.features, spec.inputs, order, spec.size, spec.size)
        self.weight = nn.Parameter(torch.randn(shape) * (2 / spec.fan_in / order) ** 0.5)

    def forward(self, x):
        features, inputs, order, size, _ = self.weight.shape
        turned = [self.weight.roll(r, 2).rot90(r, (3, 4)) for r in range(GROUP_ORDER)]
        bank = torch.stack(turned, 1).reshape(features * GROUP_ORDER, inputs * order, size, size)
        return nn.functional.conv2d(x, bank.contiguous(memory_format=self.memory_format))


class GroupMean(nn.Module):
    """Mean over group elements and pixels."""

    def forward(self, x):
        return x.reshape(len(x), LOGITS, -1).mean(-1)


def bank_gcnn(memory_format=torch.contiguous_format) -> nn.Module:
    """The C4 GCNN with banks built by hand."""
    layers = []
    for depth, spec in enumerate(CONVOLUTIONS):
        layers += [BankConv(spec, GROUP_ORDER if depth else 1, memory_format), *activation(spec)]
    return nn.Sequential(*layers, GroupMean())


class EscnnGcnn(nn.Module):
    """The C4 GCNN of escnn's layers, whose filters are band-limited (even sizes get rings where they have pixels)."""

    def __init__(self):
        super().__init__()
        from escnn import gspaces
        from escnn import nn as enn

        space, layers = gspaces.rot2dOnR2(GROUP_ORDER), []
        self.inputs = kind = enn.FieldType(space, [space.trivial_repr])
        for spec in CONVOLUTIONS:
            outputs = enn.FieldType(space, spec.features * [space.regular_repr])
            rings = None if spec.size % 2 else [0.7, 1.6]
            layers.append(enn.R2Conv(kind, outputs, spec.size, bias=False, rings=rings))
            kind = outputs
            layers += [enn.PointwiseMaxPool2D(kind, 2)] if spec.pool else []
            layers += [enn.ReLU(kind)] if spec.relu else []
        self.body, self.wrap, self.mean = enn.SequentialModule(*layers), enn.GeometricTensor, GroupMean()

    def forward(self, x):
        return self.mean(self.body(self.wrap(x, self.inputs)).tensor)
