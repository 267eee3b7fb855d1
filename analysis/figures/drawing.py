"""What all figures share: colours, empty figures, lines with bands, and files."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from widesym.ensembles.files import write_whole

BLUE, GREEN, RED, PINK, ORANGE, SKY = "#0072b2", "#009e73", "#d55e00", "#cc79a7", "#e69f00", "#56b4e9"
PALETTE = (BLUE, GREEN, RED, PINK, ORANGE, SKY)  # told apart by the colour-blind, too (Okabe and Ito)

Values = Float[np.ndarray, " x"] | Sequence[float]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, without a window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def line_with_band(
    axis: Axes, x: Values, y: Values, band: Float[np.ndarray, "x 2"] | None, style: str, colour: str, name: str
) -> None:
    """Marked values, with a band from low to high around them if there is one; around a single value it is a bar."""
    axis.plot(np.asarray(x), np.asarray(y), style, color=colour, ms=4, label=name)
    if band is not None and len(x) == 1:
        axis.vlines(np.asarray(x), *np.transpose(band), color=colour, lw=3, alpha=0.4)
    elif band is not None:
        axis.fill_between(np.asarray(x), *np.transpose(band), color=colour, alpha=0.2, lw=0)


def save_figure(figure: Figure, path: Path) -> list[Path]:
    """Write path.png and path.pdf, each whole or not at all."""
    written = [path.with_name(f"{path.name}{suffix}") for suffix in (".png", ".pdf")]
    layout = figure.get_layout_engine()
    try:
        for target in written:
            write_whole(target, partial(figure.savefig, format=target.suffix[1:], dpi=150))
            figure.set_layout_engine("none")  # once is enough: it takes longer than drawing
    finally:
        figure.set_layout_engine(layout)
    return written
