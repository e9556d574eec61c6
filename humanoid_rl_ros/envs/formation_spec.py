"""What a team does in formation and is paid for: a YAML file with ``kind: formation``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from humanoid_rl_ros.core.config import Section, parse_yaml, read_yaml
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.formation import SHAPES
from humanoid_rl_ros.envs.commands import CommandSampling, sampling_from_section
from humanoid_rl_ros.envs.task_spec import find_task, overridden
from humanoid_rl_ros.envs.team_stand_in import StandInSpec
from humanoid_rl_ros.resources import share_folder
from humanoid_rl_ros.simulation.carried_beam import BeamSpec
from humanoid_rl_ros.simulation.team_model import MOST_ROBOTS

FORMAT = 1
KIND = "formation"
FOLDER = "team_tasks"
BODIES = ("physics", "stand_in")
Range = tuple[float, float]


@dataclass(frozen=True)
class FormationEpisode:
    """How an episode of a team ends: by time, or for everyone when one robot falls.

    Attributes:
        length: [s].
        tilt_limit: a fall is a larger tilt [rad].
        height_limit: or a base below this share of its standing height.
    """

    length: float = 30.0
    tilt_limit: float = 1.0
    height_limit: float = 0.6


@dataclass(frozen=True)
class FormationChance:
    """What differs from episode to episode.

    Attributes:
        shape_period: time between two changes of shape and spacing, drawn between these [s].
        start_position: largest distance from the slot at the start, on each axis [m].
        start_heading: largest heading error at the start [rad].
        slow_share: share of the episodes in which one robot, drawn at random, walks slower than it is told.
        slow_factor: its velocity as a share of its command, drawn between these.
        push_speed: largest horizontal velocity that a push adds to a robot [m/s].
        push_period: time between two pushes of a robot, drawn between these [s].
        position_bias, heading_bias: largest constant error of a robot's odometry [m on each axis], [rad].
        position_noise, heading_noise, velocity_noise: standard deviations of its noise [m], [rad], [m/s and rad/s].
        delay: longest time by which the odometry of a world is late [s].
    """

    shape_period: Range = (10.0, 20.0)
    start_position: float = 0.0
    start_heading: float = 0.0
    slow_share: float = 0.0
    slow_factor: Range = (1.0, 1.0)
    push_speed: float = 0.0
    push_period: Range = (5.0, 10.0)
    position_bias: float = 0.0
    heading_bias: float = 0.0
    position_noise: float = 0.0
    heading_noise: float = 0.0
    velocity_noise: float = 0.0
    delay: float = 0.0


@dataclass(frozen=True)
class FormationRewards:
    """What a robot is paid, per second but for the fall; see `humanoid_rl_ros.envs.formation_rewards`.

    Attributes:
        slot, team_slot, team_velocity, team_turn, heading: given for being right.
        distance, closeness, change, fall: taken.
        slot_width, velocity_width, turn_width, heading_width: errors at which exp(−1) of it is left
            [m], [m/s], [rad/s], [rad].
        safe_distance: nearer than this is too close [m].
    """

    slot: float = 1.0
    team_slot: float = 1.0
    distance: float = 1.0
    team_velocity: float = 1.5
    team_turn: float = 0.5
    heading: float = 0.5
    closeness: float = 4.0
    change: float = 0.3
    fall: float = 10.0
    slot_width: float = 0.2
    velocity_width: float = 0.2
    turn_width: float = 0.2
    heading_width: float = 0.3
    safe_distance: float = 0.65


@dataclass(frozen=True)
class FormationSpec:
    """A whole task.

    Attributes:
        name: short name.
        robots: in a team.
        walk: the policy bundle that every robot walks with.
        period: between two decisions [s].
        bodies: ``physics``, or ``stand_in``: followers of velocity commands without physics, to learn with.
        stand_in: those.
        welded: whether joints that the walking policy holds are rigid, in physics.
        averaging: time constant of the velocities that odometry gives [s].
        shapes: of which each episode has one.
        spacing: between neighbours, drawn between these [m].
        action_scale: what an action of 1 adds to the velocity of the slot [m/s, m/s, rad/s].
        episode, commands, randomisation, rewards: its parts.
        beam: that two robots carry in physics, or None.
        source: the file, for messages.
    """

    name: str
    robots: int
    walk: str
    period: float
    bodies: str
    stand_in: StandInSpec
    welded: bool
    averaging: float
    shapes: tuple[str, ...]
    spacing: Range
    action_scale: tuple[float, float, float]
    episode: FormationEpisode
    commands: CommandSampling
    randomisation: FormationChance
    rewards: FormationRewards
    beam: BeamSpec | None
    source: str


FORMATION_KEYS = tuple(field.name for field in fields(FormationSpec) if field.name != "source")


def team_task_names() -> tuple[str, ...]:
    """Names of the shipped tasks of teams."""
    return tuple(sorted(path.stem for path in (share_folder() / "config" / FOLDER).glob("*.yaml")))


def is_formation(task: str) -> bool:
    """Whether a task is one of a team: a shipped one, or a YAML file that says so."""
    if Path(task).suffix not in (".yaml", ".yml"):
        return task in team_task_names()
    file = Path(task).expanduser()
    if not file.is_file():
        return False
    content = parse_yaml(file)
    return isinstance(content, Mapping) and content.get("kind") == KIND


def formation_task(name: str, overrides: Mapping[str, Any] | None = None) -> FormationSpec:
    """A task of a team by the name of a shipped one or its YAML.

    Args:
        name: a shipped task of a team or a YAML.
        overrides: keys of the YAML to set instead, nested ones with dots.

    Raises:
        ConfigError: there is no such task, or a key is unknown or malformed.
    """
    top = read_yaml(find_task(name, share_folder() / "config" / FOLDER))
    return _spec(Section(overridden(top.plain(), overrides, top.where), top.where))


def _spec(top: Section) -> FormationSpec:
    version = top.integer("format")
    if version != FORMAT:
        raise ConfigError(f"{top.where}: task format {version} is not known; this version reads format {FORMAT}")
    top.choice("kind", (KIND,))
    robots = top.integer("robots", least=2)
    if robots > MOST_ROBOTS:
        raise ConfigError(f"{top.where}: 'robots' must be at most {MOST_ROBOTS}, found {robots}")
    shapes = top.names("shapes")
    if not shapes or (unknown := [shape for shape in shapes if shape not in SHAPES]):
        found = f"found '{unknown[0]}'" if shapes else "found none"
        raise ConfigError(f"{top.where}: 'shapes' must be some of {', '.join(SHAPES)}, {found}")
    scale = top.numbers("action_scale", length=3)
    if scale.min() < 0.0:
        raise ConfigError(f"{top.where}: 'action_scale' must be at least 0")
    spec = FormationSpec(
        name=top.text("name"),
        robots=robots,
        walk=top.text("walk"),
        period=top.number("period", above=0.0),
        bodies=top.choice("bodies", BODIES, BODIES[0]),
        stand_in=_stand_in(top.section("stand_in", {})),
        welded=top.boolean("welded", True),
        averaging=top.number("averaging", 0.5, least=0.0),
        shapes=shapes,
        spacing=_between(top, "spacing"),
        action_scale=(float(scale[0]), float(scale[1]), float(scale[2])),
        episode=_numbers(top.section("episode", {}), FormationEpisode),
        commands=sampling_from_section(top.section("commands", {})),
        randomisation=_numbers(top.section("randomisation", {}), FormationChance),
        rewards=_numbers(top.section("rewards", {}), FormationRewards),
        beam=_beam(top.section("beam")) if "beam" in top else None,
        source=top.where,
    )
    top.finish()
    for part in ("slot_width", "velocity_width", "turn_width", "heading_width", "safe_distance"):
        if getattr(spec.rewards, part) <= 0.0:
            raise ConfigError(f"{top.where}: rewards: '{part}' must be above 0")
    if spec.beam is not None and robots != 2:
        raise ConfigError(f"{top.where}: a 'beam' is carried by 2 robots, found {robots}")
    if spec.randomisation.slow_share > 1.0:
        raise ConfigError(f"{top.where}: randomisation: 'slow_share' must be at most 1")
    return spec


def _numbers(section: Section, kind: Any) -> Any:  # a dataclass of numbers and ranges, and what is made of it
    values: dict[str, Any] = {}
    for field in fields(kind):
        if isinstance(field.default, tuple):
            values[field.name] = _between(section, field.name, list(field.default))
        else:
            values[field.name] = section.number(field.name, field.default, least=0.0)
    section.finish()
    return kind(**values)


def _stand_in(section: Section) -> StandInSpec:
    usual = StandInSpec()

    def axes(key: str) -> tuple[float, float, float]:
        x, y, yaw = (float(v) for v in section.numbers(key, list(getattr(usual, key)), length=3))
        if min(x, y, yaw) < 0.0:
            raise ConfigError(f"{section.where}: '{key}' must be three numbers of at least 0")
        return x, y, yaw

    spec = StandInSpec(
        gain=axes("gain"),
        gain_spread=section.number("gain_spread", usual.gain_spread, least=0.0, most=1.0),
        lag=axes("lag"),
        sway=axes("sway"),
        stride=section.number("stride", usual.stride, above=0.0),
        contact=section.number("contact", usual.contact, least=0.0),
    )
    section.finish()
    if min(spec.lag) <= 0.0:
        raise ConfigError(f"{section.where}: 'lag' must be above 0 s")
    return spec


def _beam(section: Section) -> BeamSpec:
    usual = BeamSpec()
    sizes = ("length", "radius", "mass", "sling", "stiffness")
    numbers = {name: section.number(name, getattr(usual, name), above=0.0) for name in sizes}
    holds = section.names("holds")
    if len(holds) != 2:
        raise ConfigError(f"{section.where}: 'holds' must name two bodies, one of each robot, found {len(holds)}")
    x, y = (section.numbers(key, [0.0, 0.0, 0.0], length=3).tolist() for key in ("first_point", "second_point"))
    beam = BeamSpec(
        length=numbers["length"],
        radius=numbers["radius"],
        mass=numbers["mass"],
        sling=numbers["sling"],
        stiffness=numbers["stiffness"],
        damping=section.number("damping", usual.damping, least=0.0),
        holds=(holds[0], holds[1]),
        points=((x[0], x[1], x[2]), (y[0], y[1], y[2])),
    )
    section.finish()
    return beam


def _between(section: Section, key: str, default: Any = None) -> Range:
    values = section.numbers(key, default, length=2) if default is not None else section.numbers(key, length=2)
    low, high = (float(v) for v in np.asarray(values))
    if not 0.0 < low <= high:
        raise ConfigError(f"{section.where}: '{key}' must be two numbers above 0, the larger last")
    return low, high
