"""What several foreign formats have in common: whole numbers, lists of a known length, the widths of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from humanoid_rl_ros.core.config import REQUIRED, Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.source import Source


def whole(section: Section, key: str, default: Any = REQUIRED, *, least: int, most: int) -> int:
    """A whole number within bounds; 20.0 is one too.

    Raises:
        ConfigError: it is none, or beyond them.
    """
    value = section.number(key, default, least=least, most=most)
    if value != int(value):
        raise ConfigError(f"{section.where}: '{key}' must be a whole number, found {value:g}")
    return int(value)


def indices(section: Section, key: str, length: int, within: int) -> list[int]:
    """Distinct whole numbers from 0 to `within` − 1.

    Raises:
        ConfigError: a number is none of these, or stands twice.
    """
    values = [float(value) for value in section.numbers(key, length=length)]
    for value in values:
        if value != int(value) or not 0 <= value < within:
            raise ConfigError(
                f"{section.where}: '{key}' must hold whole numbers from 0 to {within - 1}, found {value:g}"
            )
        if values.count(value) > 1:
            raise ConfigError(f"{section.where}: '{key}' holds {value:g} twice")
    return [int(value) for value in values]


def per_joint(
    section: Section, key: str, length: int, *, least: float | None = None, above: float | None = None
) -> list[float]:
    """One number for each joint, in the order of the file; a single number counts for all.

    Raises:
        ConfigError: their number is another, or one is below `least` or not above `above`.
    """
    value = section.raw(key)
    if isinstance(value, int | float):
        return [section.number(key, least=least, above=above)] * length
    values = [float(number) for number in section.numbers(key, length=length)]
    for i, number in enumerate(values):
        if least is not None and number < least:
            raise ConfigError(f"{section.where}: '{key}[{i}]' must be at least {least:g}, found {number:g}")
        if above is not None and number <= above:
            raise ConfigError(f"{section.where}: '{key}[{i}]' must be above {above:g}, found {number:g}")
    return values


def command_ranges(section: Section, axes: Mapping[str, str]) -> dict[str, list[float]]:
    """Bounds of the command [m/s, rad/s] by axis of ours.

    Args:
        section: holds the lower and the upper bound of each.
        axes: ours by the file's name.

    Raises:
        ConfigError: an axis is missing or contradicts itself.
    """
    ranges = {}
    for theirs, ours in axes.items():
        low, high = (float(bound) for bound in section.numbers(theirs, length=2))
        if low > high:
            raise ConfigError(f"{section.where}: '{theirs}' contradicts itself: [{low:g}, {high:g}]")
        ranges[ours] = [low, high]
    return ranges


def fit_network(draft: Draft, source: Source, terms: Sequence[tuple[str, int]], frames: int, actions: int) -> None:
    """Name the one input and the first output of an ONNX, and compare their widths with what the files say.

    Args:
        draft: takes the names.
        source: the files; nothing is known of TorchScript here.
        terms: what one frame of the observation holds, and how many numbers each.
        frames: in the input.
        actions: number of driven joints.

    Raises:
        ConfigError: there are several inputs, or a width is another.
    """
    if source.onnx is None:
        return
    inputs, outputs = list(source.onnx.inputs), list(source.onnx.outputs)
    if len(inputs) != 1:
        raise ConfigError(f"{source.weights}: expected one input, as the origin's runner feeds it, found {inputs}")
    size = frames * sum(width for _, width in terms)
    listed = ", ".join(f"{name} {width}" for name, width in terms)
    for tensor, expected, what in (
        (inputs[0], size, f"{frames} x ({listed})" if frames > 1 else listed),
        (outputs[0], actions, "one for each driven joint"),
    ):
        width = source.onnx.width(tensor)
        if width is not None and width != expected:
            raise ConfigError(f"{source.weights}: '{tensor}' has {width} numbers, the files say {expected}: {what}")
    draft.say("weights.input", inputs[0])
    if len(outputs) == 1:
        draft.say("weights.output", outputs[0])
    else:
        draft.infer("weights.output", outputs[0], f"the origin's runner takes the first of {len(outputs)} outputs")
