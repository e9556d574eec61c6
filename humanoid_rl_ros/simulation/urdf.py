"""What a URDF says that MuJoCo does not carry over, and a URDF made readable where its meshes are not."""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from humanoid_rl_ros.core.errors import ModelError

MESH_SUFFIXES = (".stl", ".obj", ".msh")
_ANCESTORS_SEARCHED = 4
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UrdfJointFacts:
    """Facts of the joints of a URDF.

    Attributes:
        velocity: joint name to largest speed [rad/s].
        mimics: joint name to the joint it follows.
    """

    velocity: dict[str, float]
    mimics: dict[str, str]


def root_tag(path: Path) -> str:
    """The tag of the root element (``mujoco``, ``robot``), or an empty string where the file is not XML."""
    try:
        for _, element in ElementTree.iterparse(path, events=("start",)):
            return str(element.tag)
    except ElementTree.ParseError:
        pass
    return ""


def joint_facts(path: Path) -> UrdfJointFacts:
    """Velocity limits and mimic joints; MuJoCo has no place for the first."""
    velocity: dict[str, float] = {}
    mimics: dict[str, str] = {}
    for joint in _parse(path).iter("joint"):
        name = joint.get("name", "")
        limit, mimic = joint.find("limit"), joint.find("mimic")
        if limit is not None:
            try:
                speed = float(limit.get("velocity", "0"))
            except ValueError:
                raise ModelError(
                    f"{path}: joint '{name}': velocity limit '{limit.get('velocity')}' is not a number"
                ) from None
            if speed > 0.0:  # exporters write 0 for "not known"
                velocity[name] = speed
        if mimic is not None:
            mimics[name] = mimic.get("joint", "")
    return UrdfJointFacts(velocity, mimics)


def readable(path: Path, *, visual: bool) -> str:
    """The URDF with absolute mesh paths, without the meshes that do not exist, and with every link kept.

    Visual meshes that are missing or of a kind MuJoCo cannot read go in silence; a collision mesh that goes is logged,
    because the robot then passes through things there.

    Args:
        path: the URDF.
        visual: keep the visual geometry that can be read.

    Returns:
        URDF text for MuJoCo.

    Raises:
        ModelError: not well-formed XML, or xacro that was not expanded.
    """
    root = _parse(path)
    settings = root.find("mujoco/compiler")
    mesh_folder = path.parent / (settings.get("meshdir", "") if settings is not None else "")
    lost: list[str] = []
    for link in root.findall("link"):
        for kind in ("visual", "collision"):
            for element in link.findall(kind):
                mesh = element.find("geometry/mesh")
                if mesh is None:
                    continue
                file = _find_mesh(mesh.get("filename", ""), path.parent, mesh_folder)
                if file is not None:
                    mesh.set("filename", str(file))
                else:
                    link.remove(element)
                    if kind == "collision":
                        lost.append(f"{mesh.get('filename', '')} of link '{link.get('name', '')}'")
    if lost:
        rest = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        _log.warning("%s: collision mesh %s%s not found or not STL, OBJ or MSH; it is left out", path, lost[0], rest)
    _configure(root, visual)
    return ElementTree.tostring(root, encoding="unicode")


def _configure(root: ElementTree.Element, visual: bool) -> None:
    extension = root.find("mujoco")
    if extension is None:
        extension = ElementTree.SubElement(root, "mujoco")
    compiler = extension.find("compiler")
    if compiler is None:
        compiler = ElementTree.SubElement(extension, "compiler")
    compiler.attrib.pop("meshdir", None)
    compiler.set("strippath", "false")
    compiler.set("fusestatic", "false")  # fused links take the IMU's frame with them
    compiler.set("balanceinertia", "true")  # exporters write inertias that miss A + B >= C by rounding
    compiler.set("discardvisual", "false" if visual else "true")


def _parse(path: Path) -> ElementTree.Element:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable URDF: {error}") from None
    if any("xacro" in element.tag for element in root.iter()):
        raise ModelError(f"{path}: holds xacro; expand it first: ros2 run xacro xacro {path.name} > robot.urdf")
    return root


def _find_mesh(filename: str, folder: Path, mesh_folder: Path) -> Path | None:
    scheme, _, rest = filename.rpartition("://")
    pure = PurePosixPath(rest)
    if pure.suffix.lower() not in MESH_SUFFIXES:
        return None
    candidates = [mesh_folder / pure, mesh_folder / pure.name, folder / pure]
    if scheme in ("package", "model"):
        inside = Path(*pure.parts[1:]) if len(pure.parts) > 1 else Path(pure)
        # A package lies above its urdf/ folder, under its own name or under the name of a clone.
        for ancestor in [folder, *folder.parents][: _ANCESTORS_SEARCHED + 1]:
            candidates += [ancestor / pure, ancestor / inside]
    return next((c.resolve() for c in candidates if c.is_file()), None)
