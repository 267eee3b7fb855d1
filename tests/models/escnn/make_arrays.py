"""Writes arrays.npz: what escnn's planar layers do, for tests/models/test_escnn.py and test_circular_harmonics.py.

escnn (Cesa, Lang & Weiler 2022; Weiler & Cesa 2019, arXiv:1911.08251) needs NumPy < 2, which current JAX excludes, so
it has an environment of its own (Python 3.11; py3nj, a requirement of escnn's, is optional and needs Fortran):

    python3.11 -m venv /tmp/escnn
    /tmp/escnn/bin/pip install torch==2.13.0 "numpy<2" scipy joblib autograd requests
    /tmp/escnn/bin/pip install --no-deps escnn==1.0.11 lie_learn==0.0.2 pymanopt==2.2.1
    PYTHONPATH=. /tmp/escnn/bin/python tests/models/escnn/make_arrays.py

Per group: `GROUP/image`, a square; `GROUP/images`, escnn's transform of it by each element; `GROUP/permutations`, the
regular representation: element i takes channel c of a regular field to channel permutations[i, c].
Per layer (`layers`, its names): input and output [sample, channel, row, column], channels being field times group
element in C order; and the expanded filter behind channel 0 of each output field, [field, input channel, row, column].
Per group that no pixel grid allows, `error/…/escnn` and `error/…/even`: the error of equivariance, as
tests/support/turned_fields.py measures it on the stored bumps, of filters drawn as escnn draws them and of escnn's
functions with i.i.d. coefficients, all of one norm. (How much the rough functions weigh is most of a filter's error.)
"""

import warnings
from pathlib import Path

import numpy as np
import torch

from tests.support import turned_fields

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # no py3nj: only SO(3) would need it
    from escnn import gspaces, nn

PATH = Path(__file__).with_name("arrays.npz")
EXACT = {
    "C2": gspaces.rot2dOnR2(2),
    "C4": gspaces.rot2dOnR2(4),
    "D1": gspaces.flip2dOnR2(),
    "D2": gspaces.flipRot2dOnR2(2),
    "D4": gspaces.flipRot2dOnR2(4),
}
APPROXIMATE = {"C8": gspaces.rot2dOnR2(8), "C16": gspaces.rot2dOnR2(16), "D8": gspaces.flipRot2dOnR2(8)}
IMAGE = np.arange(9.0).reshape(3, 3)
LAYERS = ("lifting", "group")
# Filter size, padding in our words, pixels along each side.
SHAPES = [(3, "SAME", 7), (5, "SAME", 8), (3, "VALID", 8), (4, "VALID", 7)]
SAMPLES, FIELDS_IN, FIELDS_OUT = 1, 2, 2
SIZES = (3, 5, 7)
DRAWS = {"lifting": 64, "group": 12}
IMAGES = 4


def rings(size):
    """Radii of an even filter's rings: escnn's own choice, None, has one at 0, where there is no pixel then."""
    return None if size % 2 else [0.7, 1.6]


def layer(space, kind, size, padding, fields_in, fields_out):
    """An R2Conv to regular fields, from scalar fields (lifting) or regular ones, with random weights."""
    inputs = nn.FieldType(space, fields_in * [space.trivial_repr if kind == "lifting" else space.regular_repr])
    outputs = nn.FieldType(space, fields_out * [space.regular_repr])
    pad = size // 2 if padding == "SAME" else 0
    return nn.R2Conv(inputs, outputs, size, padding=pad, bias=False, rings=rings(size))


def expanded(conv):
    """The filter bank that the layer convolves with."""
    return conv.expand_parameters()[0].detach().numpy()


def convention(name, space):
    """How the group's elements act on images and on the channels of a regular field."""
    scalar = nn.FieldType(space, [space.trivial_repr])
    image = nn.GeometricTensor(torch.tensor(IMAGE[None, None], dtype=torch.float32), scalar)
    elements = space.fibergroup.elements
    yield f"{name}/image", IMAGE
    yield f"{name}/images", np.stack([image.transform(g).tensor.numpy()[0, 0] for g in elements])
    yield f"{name}/permutations", np.stack([space.regular_repr(g).argmax(axis=0) for g in elements])


def case(space, kind, size, padding, grid):
    """A layer's input, filter and output."""
    conv = layer(space, kind, size, padding, FIELDS_IN, FIELDS_OUT)
    x = torch.randn(SAMPLES, conv.in_type.size, grid, grid)
    yield "input", x.numpy()
    yield "filter", expanded(conv)[:: space.fibergroup.order()]
    yield "output", conv(nn.GeometricTensor(x, conv.in_type)).tensor.detach().numpy()


def drawn(space, kind, size):
    """Filters [draw, element, element or 1, row, column] with the weights that escnn initialises them with."""
    filters = expanded(layer(space, kind, size, "SAME", 1, DRAWS[kind]))
    return filters.reshape(DRAWS[kind], space.fibergroup.order(), -1, size, size).astype(np.float64)


def evenly_drawn(space, kind, size):
    """Such filters with normal coefficients for escnn's functions, once all are of one norm."""
    conv, functions = layer(space, kind, size, "SAME", 1, 1), []
    for unit in torch.eye(conv.weights.numel()):
        conv.weights.data = unit
        function = expanded(conv).astype(np.float64)
        functions.append(function / np.linalg.norm(function))
    return np.tensordot(np.random.default_rng(0).standard_normal((DRAWS[kind], len(functions))), functions, axes=1)


def errors(space, kind, size, bumps):
    """The errors of equivariance under one step of rotation, after a flip where the group has flips."""
    order, rotations = space.fibergroup.order(), space.fibergroup.rotation_order
    g = 1 + (rotations if order > rotations else 0)
    for law, draw in (("escnn", drawn), ("even", evenly_drawn)):
        yield law, turned_fields.layer_error(draw(space, kind, size), rotations, g, bumps)


def main():
    torch.manual_seed(0)
    arrays, names = {}, []
    for group, space in EXACT.items():
        arrays |= convention(group, space)
        for kind in LAYERS:
            for shape in SHAPES:
                names.append("/".join(map(str, (group, kind, *shape))))
                arrays |= {f"{names[-1]}/{part}": values for part, values in case(space, kind, *shape)}
    maps = max(space.fibergroup.order() for space in APPROXIMATE.values())
    bumps = turned_fields.random_bumps(0, IMAGES, maps)
    arrays |= dict(zip(("bumps/heights", "bumps/centres", "bumps/widths"), bumps, strict=True))
    for group, space in APPROXIMATE.items():
        for kind in LAYERS:
            for size in SIZES:
                for law, error in errors(space, kind, size, bumps):
                    arrays[f"error/{group}/{kind}/{size}/{law}"] = error
                    print(group, kind, size, law, f"{error:.5f}", flush=True)
    np.savez_compressed(PATH, layers=names, **arrays)
    print(PATH, PATH.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
