"""The URDF of a robot: links, joints, geometry; for ROS, and for every simulator that reads it."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.description.gazebo_tags import add_gazebo_tags
from humanoid_rl_ros.description.options import ExportOptions
from humanoid_rl_ros.description.ros2_control import HardwareWatch, add_ros2_control
from humanoid_rl_ros.description.xml_text import child, document, numbers, roll_pitch_yaw
from humanoid_rl_ros.simulation.link_shapes import Shape
from humanoid_rl_ros.simulation.links import ANY_SPEED, Frame, Inertia, Link, LinkJoint, LinkTree


def urdf_text(tree: LinkTree, options: ExportOptions, watch: HardwareWatch, pose: FloatArray) -> str:
    """The file.

    Args:
        tree: the robot.
        options: where and for whom.
        watch: what the hardware component is told about commands that stop.
        pose: in which Gazebo puts the robot [rad; Shape (n,)].
    """
    root = Element("robot", name=tree.robot.name)
    for link in tree.links:
        _add_link(root, link, mesh_prefix(options))
    for joint in tree.joints:
        _add_joint(root, joint)
    imu_frame = tree.robot.imu.frame
    if imu_frame not in {link.name for link in tree.links}:
        # Without mass: simulators make it one with its parent; for ROS it is the frame of the IMU's messages.
        child(root, "link", name=imu_frame)
        mount = child(root, "joint", name=f"{imu_frame}_mount", type="fixed")
        child(mount, "parent", link=tree.imu_link)
        child(mount, "child", link=imu_frame)
        _add_origin(mount, tree.imu)
    add_ros2_control(root, tree, options, watch, pose)
    if not options.hardware:
        add_gazebo_tags(root, tree, options)
    notes = "".join(f"\nNote: {note}." for note in tree.notes)
    return document(root, f"Written by `humanoid_rl robot export` for robot '{tree.robot.name}'.{notes}")


def mesh_prefix(options: ExportOptions) -> str:
    """What names of mesh files start with."""
    if options.meshes:
        return options.meshes.rstrip("/") + "/"
    return (options.folder / "meshes").as_uri() + "/"


def _add_link(root: Element, link: Link, meshes: str) -> None:
    element = child(root, "link", name=link.name)
    if link.inertia is not None:
        _add_inertia(element, link.inertia)
    for shape in link.visuals:
        visual = _add_shape(element, "visual", shape, meshes)
        material = child(visual, "material", name="rgba_" + "_".join(f"{c:.3g}" for c in shape.colour))
        child(material, "color", rgba=numbers(round(part, 3) for part in shape.colour))
    for shape in link.collisions:
        _add_shape(element, "collision", shape, meshes)


def _add_inertia(element: Element, inertia: Inertia) -> None:
    inertial = child(element, "inertial")
    child(inertial, "origin", xyz=numbers(inertia.centre), rpy="0 0 0")
    child(inertial, "mass", value=inertia.mass)
    tensor = inertia.tensor
    pairs = {"ixx": (0, 0), "ixy": (0, 1), "ixz": (0, 2), "iyy": (1, 1), "iyz": (1, 2), "izz": (2, 2)}
    child(inertial, "inertia", **{name: float(tensor[at]) for name, at in pairs.items()})


def _add_shape(element: Element, tag: str, shape: Shape, meshes: str) -> Element:
    piece = child(element, tag)
    _add_origin(piece, Frame(shape.position, shape.orientation))
    geometry = child(piece, "geometry")
    if shape.mesh is not None:
        child(geometry, "mesh", filename=f"{meshes}{shape.mesh.name}.stl", scale=numbers(shape.size))
    elif shape.kind == "box":
        child(geometry, "box", size=numbers(shape.size))
    elif shape.kind == "sphere":
        child(geometry, "sphere", radius=shape.size[0])
    else:
        child(geometry, "cylinder", radius=shape.size[0], length=shape.size[1])
    return piece


def _add_joint(root: Element, joint: LinkJoint) -> None:
    element = child(root, "joint", name=joint.name, type=joint.kind)
    child(element, "parent", link=joint.parent)
    child(element, "child", link=joint.child)
    _add_origin(element, joint.origin)
    if joint.spec is None:
        return
    spec = joint.spec
    child(element, "axis", xyz=numbers(joint.axis))
    velocity = spec.velocity_limit if math.isfinite(spec.velocity_limit) else ANY_SPEED
    bounds = {} if joint.kind == "continuous" else {"lower": spec.lower, "upper": spec.upper}
    child(element, "limit", effort=spec.effort_limit, velocity=velocity, **bounds)
    child(element, "dynamics", damping=spec.damping, friction=spec.friction)


def _add_origin(element: Element, frame: Frame) -> None:
    child(element, "origin", xyz=numbers(frame.position), rpy=numbers(roll_pitch_yaw(frame.orientation)))
