"""The ground that a task's episodes take place on."""

from __future__ import annotations

from dataclasses import dataclass, field

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.simulation.terrain import TerrainShape


@dataclass(frozen=True)
class GroundSpec:
    """Uneven ground; each episode begins at a random place of it.

    Attributes:
        height: of the highest hill over the lowest dale, drawn for each episode between these [m].
        flat_share: share of the episodes on even ground.
        shape: of the hills.
    """

    height: tuple[float, float]
    flat_share: float = 0.0
    shape: TerrainShape = field(default_factory=TerrainShape)


def ground_from_section(section: Section) -> GroundSpec:
    """Read the ``terrain`` mapping of a task YAML.

    Raises:
        ConfigError: a key is missing, unknown or out of range.
    """
    low, high = (float(bound) for bound in section.numbers("height", length=2))
    if not 0.0 <= low <= high <= 0.5:
        raise ConfigError(f"{section.where}: 'height' must be two numbers from 0 to 0.5 m, the larger last")
    usual = TerrainShape()
    try:
        shape = TerrainShape(
            wavelength=section.number("wavelength", usual.wavelength, above=0.0),
            cell=section.number("cell", usual.cell, above=0.0),
            size=section.number("size", usual.size, above=0.0),
            seed=section.integer("seed", usual.seed, least=0),
        )
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(section.where) else f"{section.where}: {text}") from None
    spec = GroundSpec((low, high), section.number("flat_share", 0.0, least=0.0, most=1.0), shape)
    section.finish()
    return spec
