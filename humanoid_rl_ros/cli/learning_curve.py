"""How a policy learned, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import HumanoidError

ROWS = (
    ("episode/return", "return", "tab:blue"),
    ("episode/length", "episode length [{}]", "tab:green"),
    ("task/velocity_error", "velocity error [m/s]", "tab:red"),
)
EVALUATED = "evaluation/return"
SMOOTHED_SHARE = 0.02
"""Of a curve's points, on each side, that its mean is taken over."""


def smoothed(values: FloatArray, half_width: int) -> FloatArray:
    """A moving mean, over fewer points towards the ends [Shape (n,)]."""
    window = np.ones(2 * half_width + 1)
    sums = np.convolve(values, window, mode="full")[half_width : half_width + len(values)]
    counts = np.convolve(np.ones(len(values)), window, mode="full")[half_width : half_width + len(values)]
    mean: FloatArray = sums / counts
    return mean


def draw_learning_curve(
    metrics: Mapping[str, FloatArray], title: str, control_period: float | None, path: Path
) -> bool:
    """Return, episode length and velocity error over steps and over time, and evaluated returns, as a PNG.

    Args:
        metrics: columns of `metrics.csv`.
        title: over the picture.
        control_period: length of a step [s]; None to count steps.
        path: the file.

    Returns:
        Whether there was anything to draw.

    Raises:
        HumanoidError: the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in ROWS if np.isfinite(metrics.get(row[0], np.array(()))).any()]
    if not rows:
        return False
    figure, axes = pyplot.subplots(
        len(rows), 2, figsize=(12, 1 + 2.6 * len(rows)), sharex="col", sharey="row", squeeze=False, layout="constrained"
    )
    figure.suptitle(title)
    for (name, label, colour), pair in zip(rows, axes, strict=True):
        there = np.isfinite(metrics[name])
        values = metrics[name][there]
        if name == "episode/length" and control_period is not None:
            values = values * control_period
        mean = smoothed(values, int(SMOOTHED_SHARE * len(values)))
        for axis, over in zip(pair, (metrics["steps"] / 1e6, metrics["seconds"] / 60.0), strict=True):
            axis.plot(over[there], values, color=colour, alpha=0.25, linewidth=0.8)
            axis.plot(over[there], mean, color=colour, linewidth=1.8)
            axis.grid(alpha=0.3)
            if name == "episode/return" and EVALUATED in metrics:
                axis.plot(over, metrics[EVALUATED], "o", color="black", markersize=3.5, label="evaluated")
                axis.legend(loc="upper left")
        pair[0].set_ylabel(label.format("steps" if control_period is None else "s"))
        if name != "episode/return":
            pair[0].set_ylim(bottom=0.0)
    axes[-1][0].set_xlabel("environment steps [million]")
    axes[-1][1].set_xlabel("training time [min]")
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise HumanoidError(f"cannot write {path}: {error.strerror}") from None
    finally:
        pyplot.close(figure)
    return True
