"""Loss surfaces drawn."""

import numpy as np
from matplotlib.colors import LogNorm

from masam_jax.analysis.plots import write_plot, write_svg
from masam_jax.analysis.surface_plots import surface_plots
from masam_jax.geometry import LossSurface

AXIS = np.linspace(-1, 1, 5)


def _bowl(scale):
    return LossSurface((AXIS, AXIS), scale * (AXIS[:, None] ** 2 + AXIS**2) + 1e-3, 1e-3)


def test_contours_and_hills_share_their_scale(tmp_path):
    flat, broken = _bowl(0.1), _bowl(5.0)
    broken.losses[0, 0] = np.inf
    contours, hills = surface_plots({"all": broken, "audio": flat}, "surface-masam", "MASAM")
    assert (contours.name, hills.name) == ("surface-masam-contours", "surface-masam-hills")
    shades = [ax.collections[0].norm for ax in contours.figure.axes]
    assert all(isinstance(norm, LogNorm) for norm in shades)
    assert shades[0].vmin == shades[1].vmin == 1e-3
    heights = [ax.get_zlim() for ax in hills.figure.axes]
    assert heights[0] == heights[1]
    for plot in (contours, hills):
        assert write_plot(plot, tmp_path).stat().st_size > 1000
        assert b"</svg>" in write_svg(plot, tmp_path).read_bytes()


def test_a_line_is_drawn_as_one():
    (plot,) = surface_plots({"all": LossSurface((AXIS,), AXIS**2, 0.0)}, "line", "MASAM")
    line, centre = plot.figure.axes[0].get_lines()
    np.testing.assert_array_equal(line.get_ydata(), AXIS**2)
    assert centre.get_ydata() == [0.0]
