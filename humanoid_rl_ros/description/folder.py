"""All files of a robot, written into one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.description.bridge_file import bridge_text
from humanoid_rl_ros.description.gazebo_tags import CONTROLLERS_FILE
from humanoid_rl_ros.description.options import ExportOptions
from humanoid_rl_ros.description.ros2_control import HardwareWatch, controllers_text, passive_joints
from humanoid_rl_ros.description.stl import stl
from humanoid_rl_ros.description.urdf_file import urdf_text
from humanoid_rl_ros.description.world_file import world_text
from humanoid_rl_ros.simulation.link_shapes import Mesh
from humanoid_rl_ros.simulation.link_tree import link_tree
from humanoid_rl_ros.simulation.links import Frame, LinkTree

URDF_FILE = "robot.urdf"
WORLD_FILE = "world.sdf"
BRIDGE_FILE = "bridge.yaml"
MESH_FOLDER = "meshes"


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        files: relative to the folder, meshes not counted.
        meshes: how many.
        stand: where the root link is to be put; None without a model.
        notes: what the files do not say, one sentence each.
    """

    files: tuple[str, ...]
    meshes: int
    stand: Frame | None
    notes: tuple[str, ...]


def export_robot(
    robot: RobotSpec,
    options: ExportOptions,
    watch: HardwareWatch,
    pose: FloatArray | None = None,
    *,
    overwrite: bool = False,
) -> Export:
    """Write `robot.urdf`, `controllers.yaml` and, for Gazebo, `world.sdf` and `bridge.yaml`.

    Args:
        robot: the robot; of one without a model, `controllers.yaml` alone can be written, and for real hardware only.
        options: where and for whom.
        watch: what the hardware component is told about commands that stop.
        pose: in which Gazebo puts the robot, by default its own [rad; Shape (n,)].
        overwrite: whether files that are there are replaced.

    Raises:
        ConfigError: files are there already, or the robot's model cannot be found.
        ModelError: there is no model, or URDF cannot have it.
        HumanoidError: a file cannot be written.
    """
    if robot.model is None and options.hardware:
        note = "the robot has no model: robot.urdf is yours, with an effort command interface for each joint"
        files = {CONTROLLERS_FILE: controllers_text(robot, options)}
        _write(options.folder, files, {}, overwrite)
        return Export(tuple(files), 0, None, (note,))
    if robot.model is not None and robot.model.locate().resolve() == (options.folder / URDF_FILE).resolve():
        raise ConfigError(f"{options.folder / URDF_FILE} is the robot's own model; give another folder")
    tree = link_tree(robot, pose=pose, fold_rotors=options.fold_rotors)
    standing = robot.default_position if pose is None else pose
    files = {
        URDF_FILE: urdf_text(tree, options, watch, standing),
        CONTROLLERS_FILE: controllers_text(robot, options, passive_joints(tree)),
    }
    if not options.hardware:
        files |= {WORLD_FILE: world_text(tree, options), BRIDGE_FILE: bridge_text(tree, options)}
    meshes = _meshes(tree)
    _write(options.folder, files, meshes, overwrite)
    return Export(tuple(files), len(meshes), tree.stand, (*tree.notes, *_left(options.folder, files, meshes)))


def _left(folder: Path, files: dict[str, str], meshes: dict[str, Mesh]) -> list[str]:
    """What lies there of an earlier export and is not of this one."""
    names = [name for name in (WORLD_FILE, BRIDGE_FILE) if name not in files and (folder / name).exists()]
    stray = [path for path in sorted((folder / MESH_FOLDER).glob("*.stl")) if path.stem not in meshes]
    names += [f"{MESH_FOLDER}/{path.name}" for path in stray]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return [f"not of this export, from an earlier one: {shown}"] if names else []


def _meshes(tree: LinkTree) -> dict[str, Mesh]:
    shapes = (shape for link in tree.links for shape in (*link.visuals, *link.collisions))
    return {shape.mesh.name: shape.mesh for shape in shapes if shape.mesh is not None}


def _write(folder: Path, files: dict[str, str], meshes: dict[str, Mesh], overwrite: bool) -> None:
    there = [name for name in files if (folder / name).exists()]
    if there and not overwrite:
        raise ConfigError(f"{folder / there[0]} is there already; give another folder, or --overwrite to replace it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if meshes:
            (folder / MESH_FOLDER).mkdir(exist_ok=True)
        for name, mesh in meshes.items():
            (folder / MESH_FOLDER / f"{name}.stl").write_bytes(stl(mesh.vertices, mesh.faces))
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise HumanoidError(f"cannot write {error.filename or folder}: {error.strerror}") from None
