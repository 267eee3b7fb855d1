"""What is drawn in a panel: lines by their look, bands, and the legend's labels."""

import numpy as np
from matplotlib.colors import to_hex


def lines(axis, style, colour=None):
    """Those with numbers, of one line style, and of one colour if it is given."""
    return [
        line
        for line in axis.lines
        if len(line.get_xdata()) and line.get_linestyle() == style and colour in (None, to_hex(line.get_color()))
    ]


def check_line(line, x, y):
    np.testing.assert_array_equal(line.get_xdata(), x)
    np.testing.assert_array_equal(line.get_ydata(), y)


def check_band(band, x, low, high):
    """A filled band goes from low to high at every x."""
    edges = band.get_paths()[0].vertices
    for place, bottom, top in zip(x, low, high, strict=True):
        at = edges[edges[:, 0] == place, 1]
        assert (at.min(), at.max()) == (bottom, top)


def legend(figure):
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


def check_laid_out(figure):
    """Drawing works, no panel has collapsed, and the legend lies below all panels."""
    figure.canvas.draw()
    bottom = min(axis.get_tightbbox().y0 for axis in figure.axes)
    (found,) = figure.legends
    box = found.get_window_extent()
    assert box.y1 <= bottom + 1
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert all(axis.get_position().height > 0.1 for axis in figure.axes)
    assert figure._suptitle.get_window_extent().x0 >= 0
