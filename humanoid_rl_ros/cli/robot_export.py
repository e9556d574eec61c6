"""`humanoid_rl robot export`: the files that Gazebo and ros2_control read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from humanoid_rl_ros.behaviours.walk import pose_and_gains
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.description.folder import export_robot
from humanoid_rl_ros.description.options import ExportOptions, sourced_distribution
from humanoid_rl_ros.description.ros2_control import HardwareWatch
from humanoid_rl_ros.policies.contract import require_contract
from humanoid_rl_ros.resources import find_policy, find_robot, safety_file
from humanoid_rl_ros.safety.limits import load_safety_limits

DEFAULT_RATE = 500.0


@dataclass(frozen=True)
class ExportRequest:
    """What the user asked for.

    Attributes:
        robot: as `humanoid_rl_ros.resources.find_robot` takes it.
        folder: to write into.
        policy: gives rate and pose; empty for none.
        state_rate: joint states per second [Hz]; None: the policy's PD rate, else `DEFAULT_RATE`.
        substeps, real_time_factor, namespace, hardware, meshes: as of `ExportOptions`.
        distribution: ROS distribution; empty: the one that is sourced.
        fold_rotors: None: for Gazebo yes, for a real robot no.
        safety: safety YAML; empty for the shipped one.
        overwrite: whether files that are there are replaced.
    """

    robot: str
    folder: Path
    policy: str = ""
    state_rate: float | None = None
    substeps: int = 0
    real_time_factor: float = 1.0
    namespace: str = ""
    distribution: str = ""
    hardware: str = ""
    meshes: str = ""
    fold_rotors: bool | None = None
    safety: str = ""
    overwrite: bool = False


def run_export(request: ExportRequest, console: Console, notes: Console) -> None:
    """Write the files and say what they are.

    Raises:
        HumanoidError: robot, policy or limits are not usable, or the files cannot be written.
    """
    robot = find_robot(request.robot)
    pose, rate = _start(request, robot)
    limits = load_safety_limits(safety_file(request.safety))
    options = ExportOptions(
        folder=request.folder.expanduser().resolve(),
        state_rate=rate,
        substeps=request.substeps,
        real_time_factor=request.real_time_factor,
        namespace=request.namespace,
        distribution=request.distribution or sourced_distribution(),
        hardware=request.hardware,
        meshes=request.meshes,
        fold_rotors=not request.hardware if request.fold_rotors is None else request.fold_rotors,
    )
    watch = HardwareWatch(limits.command_timeout, limits.damping_scale)
    written = export_robot(robot, options, watch, pose, overwrite=request.overwrite)
    for note in written.notes:
        notes.print(f"- {note}", markup=False, soft_wrap=True)
    meshes = f" and {written.meshes} meshes" if written.meshes else ""
    console.print(f"wrote {', '.join(written.files)}{meshes} to {options.folder}", markup=False, soft_wrap=True)
    if written.stand is not None and not request.hardware:
        x, y, z = written.stand.position
        console.print(
            f"put the robot at {x:g} {y:g} {z:.4f}; a joint state is {options.steps_per_state} steps of "
            f"{options.timestep * 1e3:g} ms",
            markup=False,
            soft_wrap=True,
        )


def _start(request: ExportRequest, robot: RobotSpec) -> tuple[FloatArray | None, float]:
    """Pose and rate of the policy, where there is one."""
    rate = request.state_rate
    if not request.policy:
        return None, DEFAULT_RATE if rate is None else rate
    bundle = find_policy(request.policy)
    require_contract(bundle, robot)
    pose, _ = pose_and_gains(bundle, robot)
    return pose, float(bundle.pd_rate) if rate is None else rate
