"""Files of figures without their pictures.

A comparison draws some twenty, which takes longer than all else in its tests. What figures show is tested on tables
(tests/analysis/test_*_figures.py).
"""

import contextlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from widesym.analysis.figures.drawing import save_figure
from widesym.ensembles.files import write_whole

SAVE = "widesym.launch.analyses.files.save_figure"


def save_blank(figure: Figure, path: Path) -> list[Path]:
    """Write small pictures in place of the figure's, by the names that it would have."""
    written = [path.with_name(f"{path.name}{suffix}") for suffix in (".png", ".pdf")]
    for target in written:
        picture = BytesIO()
        Figure((0.1, 0.1)).savefig(picture, format=target.suffix[1:])
        write_whole(target, lambda file, picture=picture: file.write(picture.getvalue()))
    return written


@contextlib.contextmanager
def blank_figures() -> Iterator[None]:
    """Comparisons write blank figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SAVE, save_blank)
        yield


@contextlib.contextmanager
def drawn_figures() -> Iterator[None]:
    """Comparisons draw, as they do for people."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SAVE, save_figure)
        yield
