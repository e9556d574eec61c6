"""What the files of a robot depend on besides the robot."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.core.ros_names import namespace_of

DISTRIBUTIONS = ("humble", "jazzy", "kilted", "lyrical", "rolling")
NEWEST_TRIED = "kilted"
LONGEST_STEP_NS = 2_000_000
"""Of the physics, where nobody says how long a step is: what contacts of feet need [ns]."""
_NS_PER_S = 1_000_000_000
WORLD = "humanoid"
"""Name of the world, which is in the name of its services."""
IMU_SENSOR = "imu"
"""Name of the sensor, the same in Gazebo and in ros2_control, which finds it by it."""
WORLD_CONTROL_TYPE = "ros_gz_interfaces/srv/ControlWorld"
_PLUGIN = re.compile(r"[A-Za-z_]\w*((/|::)[A-Za-z_]\w*)*", re.ASCII)
_SHORTEST_STEP_NS = 1_000


def world_control(world: str = WORLD) -> str:
    """Name of the service that steps, pauses and resets a world."""
    return f"/world/{world}/control"


def sourced_distribution() -> str:
    """The ROS distribution of this shell, where one is sourced that is known here."""
    name = os.environ.get("ROS_DISTRO", "")
    return name if name in DISTRIBUTIONS else NEWEST_TRIED


@dataclass(frozen=True)
class ExportOptions:
    """What the files of a robot depend on besides the robot.

    Attributes:
        folder: where they will be; absolute, for Gazebo finds meshes and parameters by it.
        state_rate: joint states per second, at which the PD law runs [Hz].
        substeps: physics steps for one joint state; 0: as few as keep a step at `LONGEST_STEP_NS` or under.
        real_time_factor: how fast Gazebo may run; 0: as fast as it can.
        namespace: of the robot's nodes and topics; slashes around it are taken off; empty for none.
        distribution: ROS distribution, which decides the names of plugins.
        hardware: plugin of ros2_control that drives a real robot; empty for Gazebo.
        meshes: what mesh file names start with, such as ``package://my_robot/meshes/``; empty: the folder.
        fold_rotors: add the armature of each joint to the inertia of its link.
    """

    folder: Path
    state_rate: float = 500.0
    substeps: int = 0
    real_time_factor: float = 1.0
    namespace: str = ""
    distribution: str = NEWEST_TRIED
    hardware: str = ""
    meshes: str = ""
    fold_rotors: bool = False

    def __post_init__(self) -> None:
        if not (self.state_rate >= 1.0 and float(self.state_rate).is_integer()):
            raise ConfigError(
                f"state rate must be a whole number of Hz from 1, as ros2_control's update_rate is; "
                f"found {self.state_rate:g}"
            )
        if self.substeps < 0:
            raise ConfigError(f"physics steps for a joint state cannot be fewer than 0, found {self.substeps}")
        if self.substeps and self.hardware:
            raise ConfigError("a real robot has no physics steps: --substeps is for Gazebo, and --hardware is not")
        if self.timestep * _NS_PER_S < _SHORTEST_STEP_NS:
            raise ConfigError(
                f"{self.substeps} physics steps for a joint state at {self.state_rate:g} Hz are steps of "
                f"{self.timestep * 1e9:.3g} ns; {_SHORTEST_STEP_NS} ns is the least"
            )
        if not self.hardware and _NS_PER_S % (int(self.state_rate) * self.steps_per_state):
            raise ConfigError(
                f"{self.state_rate:g} joint states a second with {self.steps_per_state} physics steps each: a step is "
                "no whole number of nanoseconds, and Gazebo counts in those; choose 200, 250, 400, 500 or 1000 Hz"
            )
        if not 0.0 <= self.real_time_factor < float("inf"):
            raise ConfigError(f"real-time factor must be at least 0, found {self.real_time_factor:g}")
        if self.distribution not in DISTRIBUTIONS:
            raise ConfigError(
                f"no ROS distribution '{self.distribution}' is known here; "
                f"{did_you_mean(self.distribution, DISTRIBUTIONS)}"
            )
        object.__setattr__(self, "namespace", namespace_of(self.namespace))
        if self.hardware and not _PLUGIN.fullmatch(self.hardware):
            raise ConfigError(f"'{self.hardware}' is no plugin of ros2_control, named such as my_robot/System")

    @property
    def steps_per_state(self) -> int:
        """Physics steps from one joint state to the next."""
        if self.substeps:
            return self.substeps
        period_ns = _NS_PER_S // int(self.state_rate)
        least = -(-period_ns // LONGEST_STEP_NS)
        return next((n for n in range(least, 10 * least) if period_ns % n == 0), least)

    @property
    def timestep(self) -> float:
        """Of the physics [s]."""
        return 1.0 / (self.state_rate * self.steps_per_state)

    @property
    def fortress(self) -> bool:
        """Whether Gazebo is Fortress, which still goes by the name of Ignition."""
        return self.distribution == "humble"

    def gazebo_topic(self, robot: str, name: str) -> str:
        """A topic inside Gazebo, which knows no ROS namespace."""
        return "/" + "/".join(part for part in (self.namespace, robot, name) if part)

    def node(self, name: str) -> str:
        """A node as a parameter file names it."""
        return f"/{self.namespace}/{name}" if self.namespace else name
