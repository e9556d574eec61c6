"""Curves with bands about them, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import HumanoidError

FAR = 5.0


@dataclass(frozen=True, eq=False)
class Band:
    """A curve and what it may as well be.

    Attributes:
        name: what it is.
        steps: where [Shape (k,)].
        mean, low, high: the curve and the edges of its band [Shape (k,)].
    """

    name: str
    steps: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray


def shown_range(bands: Sequence[Band]) -> tuple[float, float]:
    """The lowest and the highest height to show.

    One curve that is `FAR` times as far down as all the others would press them together: it leaves the picture.
    """
    lows = sorted(float(band.mean.min()) for band in bands)
    highest = max(float(band.mean.max()) for band in bands)
    if len(lows) > 1 and highest - lows[0] > FAR * (highest - lows[1]):
        return lows[1], highest
    return lows[0], highest


def draw_bands(bands: Sequence[Band], title: str, levels: Sequence[tuple[str, float]], path: Path, what: str) -> None:
    """Draw curves over environment steps, and dashed lines at what is known, as a PNG.

    Args:
        bands: the curves.
        title: over the picture.
        levels: text and height of each line.
        path: the file.
        what: is drawn, for the axis.

    Raises:
        HumanoidError: the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9.5, 5.2), layout="constrained")
    for i, band in enumerate(bands):
        axes.plot(band.steps / 1000.0, band.mean, color=f"C{i}", linewidth=1.8, label=band.name)
        axes.fill_between(band.steps / 1000.0, band.low, band.high, color=f"C{i}", alpha=0.2, linewidth=0.0)
    names = [band.name for band in bands]
    for text, height in levels:
        owner = text.partition(",")[0]
        colour = f"C{names.index(owner)}" if owner in names else "black"
        axes.axhline(height, color=colour, linestyle="--", linewidth=1.0, label=text)
    lowest, highest = shown_range(bands)
    heights = [lowest, highest, *(height for _, height in levels)]
    margin = 0.08 * (max(heights) - min(heights) or 1.0)
    axes.set_ylim(min(heights) - margin, max(heights) + margin)  # a wide band would press the curves together
    axes.set_title(title)
    axes.set_xlabel("environment steps [thousand]")
    axes.set_ylabel(what)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=8)
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise HumanoidError(f"cannot write {path}: {error.strerror}") from None
    finally:
        pyplot.close(figure)
