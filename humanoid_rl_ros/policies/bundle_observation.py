"""The ``observation`` mapping of a `policy.yaml`."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.observation_spec import (
    FIRST_FILLS,
    LAYOUTS,
    ORDERS,
    BlockSpec,
    HistorySpec,
    ObservationSpec,
    TermSpec,
)
from humanoid_rl_ros.core.observation_terms import find_term


def read_observation(section: Section, defaults: dict[str, float], gait_threshold: float | None) -> ObservationSpec:
    """Read the ``observation`` mapping.

    Args:
        section: the mapping.
        defaults: default position of the driven joints, in the network's order [rad].
        gait_threshold: stand threshold of the gait clock, or None.

    Raises:
        ConfigError: a key is missing, unknown or malformed.
    """
    driven = tuple(defaults)
    joints = section.names("joints", driven)
    overrides = section.section("default", {})
    reference = dict(defaults)
    for name in overrides.keys():
        if name not in joints:
            raise ConfigError(f"{overrides.where}: '{name}' is not an observed joint")
        reference[name] = overrides.number(name)
    missing = [name for name in joints if name not in reference]
    if missing:
        raise ConfigError(
            f"{section.where}: observed joint '{missing[0]}' is not driven; give its default position under 'default'"
        )
    history = _history(section.section("history")) if "history" in section else None
    blocks: list[BlockSpec] = []
    plain: list[TermSpec] = []
    for item in section.sections("terms"):
        if "history" not in item:
            plain.append(_term(item, joints, driven))
            continue
        if history is not None:
            raise ConfigError(f"{item.where}: a history block cannot stand inside a history of the whole vector")
        if plain:
            blocks.append(BlockSpec(tuple(plain)))
            plain = []
        blocks.append(_block(item, joints, driven))
    if plain:
        blocks.append(BlockSpec(tuple(plain), history))
    spec = ObservationSpec(
        joints=joints,
        default_position=tuple(reference[name] for name in joints),
        blocks=tuple(blocks),
        clip=read_bounds(section, "clip"),
        stand_threshold=section.number(
            "stand_threshold", 0.01 if gait_threshold is None else gait_threshold, least=0.0
        ),
    )
    section.finish()
    return spec


def _block(section: Section, joints: tuple[str, ...], driven: tuple[str, ...]) -> BlockSpec:
    """A history block of its own: ``history`` and the ``terms`` in it, or one term with its own ``history``."""
    history = _history(section.section("history"))
    if "terms" in section:
        if not section.raw("terms"):
            raise ConfigError(f"{section.where}: 'terms' names no term")
        terms = tuple(_term(item, joints, driven) for item in section.sections("terms"))
        section.finish()
        return BlockSpec(terms, history)
    return BlockSpec((_term(section, joints, driven),), history)


def _history(section: Section) -> HistorySpec:
    spec = HistorySpec(
        length=section.integer("length", least=1),
        layout=section.choice("layout", LAYOUTS),
        order=section.choice("order", ORDERS),
        first_fill=section.choice("first_fill", FIRST_FILLS, "first_frame"),
        include_current=section.boolean("include_current", True),
    )
    section.finish()
    return spec


def _term(section: Section, joints: tuple[str, ...], driven: tuple[str, ...]) -> TermSpec:
    name = section.text("term")
    try:
        find_term(name)
    except ConfigError as error:
        raise ConfigError(f"{section.where}: {error}") from None
    scale, elements = section.raw("scale", 1.0), _elements(section)
    if isinstance(scale, dict):
        over = {"observed": joints, "driven": driven}.get(find_term(name).over)
        if over is None:
            raise ConfigError(
                f"{section.where}: term '{name}' has no number per joint; give 'scale' as a number or a list"
            )
        if any(not 0 <= i < len(over) for i in elements):
            raise ConfigError(
                f"{section.where}: term '{name}' has elements 0 to {len(over) - 1}, found {list(elements)}"
            )
        # By the joints that are seen.
        values = section.per_name("scale", [over[i] for i in elements] or over)
    elif isinstance(scale, list):
        values = section.numbers("scale")
    else:
        values = np.array([section.number("scale", 1.0)])
    if name == "constant" and "value" not in section:
        raise ConfigError(f"{section.where}: a constant needs 'value'")
    spec = TermSpec(
        term=name,
        scale=tuple(float(v) for v in values),
        clip=read_bounds(section, "clip"),
        clip_scaled=read_bounds(section, "clip_scaled"),
        masked_joints=section.names("masked_joints", ()),
        zero_when_standing=section.boolean("zero_when_standing", False),
        value=tuple(float(v) for v in section.numbers("value", [])),
        elements=elements,
    )
    section.finish()
    return spec


def _elements(section: Section) -> tuple[int, ...]:
    found = section.numbers("elements", [])
    if any(value != int(value) for value in found):
        raise ConfigError(f"{section.where}: 'elements' must be whole numbers, found {found.tolist()}")
    return tuple(int(value) for value in found)


def read_bounds(section: Section, key: str) -> tuple[float, float] | None:
    """A pair of bounds, or one number for ±number."""
    value = section.raw(key, None)
    if value is None:
        return None
    if isinstance(value, list):
        low, high = (float(v) for v in section.numbers(key, length=2, infinite=True))
    else:
        high = section.number(key, above=0.0)
        low = -high
    if not low < high:
        raise ConfigError(f"{section.where}: '{key}' contradicts itself: [{low:g}, {high:g}]")
    return low, high
