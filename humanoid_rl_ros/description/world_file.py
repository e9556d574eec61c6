"""The world that Gazebo puts the robot into: a floor, a sun, and the physics in steps of the joint states."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from humanoid_rl_ros.description.options import WORLD, ExportOptions
from humanoid_rl_ros.description.xml_text import child, document
from humanoid_rl_ros.simulation.links import LinkTree

# Rendering sensors would need gz-sim-sensors-system and a graphics card; the robot has none.
SYSTEMS = (
    ("gz-sim-physics-system", "gz::sim::systems::Physics"),
    ("gz-sim-user-commands-system", "gz::sim::systems::UserCommands"),
    ("gz-sim-scene-broadcaster-system", "gz::sim::systems::SceneBroadcaster"),
    ("gz-sim-imu-system", "gz::sim::systems::Imu"),
    ("gz-sim-contact-system", "gz::sim::systems::Contact"),
)
_FLOOR_SIZE = "100 100"


def world_text(tree: LinkTree, options: ExportOptions) -> str:
    """The file.

    Args:
        tree: the robot, for the friction of the floor: DART takes the smaller one of the two that meet.
        options: how long a step is, and how fast they may follow each other.
    """
    sdf = Element("sdf", version="1.9")
    world = child(sdf, "world", name=WORLD)
    physics = child(world, "physics", name="steps", type="dart")
    child(physics, "max_step_size", options.timestep)
    child(physics, "real_time_factor", options.real_time_factor)
    for filename, name in SYSTEMS:
        child(world, "plugin", filename=filename, name=name)
    child(world, "gravity", "0 0 -9.81")
    sun = child(world, "light", name="sun", type="directional")
    child(sun, "pose", "0 0 10 0 0 0")
    child(sun, "cast_shadows", True)
    child(sun, "diffuse", "0.8 0.8 0.8 1")
    child(sun, "direction", "-0.5 0.1 -0.9")
    _add_floor(world, max((s.friction for link in tree.links for s in link.collisions), default=1.0))
    return document(sdf, f"Written by `humanoid_rl robot export` for robot '{tree.robot.name}'.")


def _add_floor(world: Element, friction: float) -> None:
    floor = child(world, "model", name="floor")
    child(floor, "static", True)
    link = child(floor, "link", name="link")
    for tag in ("collision", "visual"):
        piece = child(link, tag, name=tag)
        plane = child(child(piece, "geometry"), "plane")
        child(plane, "normal", "0 0 1")
        child(plane, "size", _FLOOR_SIZE)
        if tag == "collision":
            coefficients = child(child(child(piece, "surface"), "friction"), "ode")
            child(coefficients, "mu", friction)
            child(coefficients, "mu2", friction)
        else:
            material = child(piece, "material")
            child(material, "ambient", "0.75 0.76 0.78 1")
            child(material, "diffuse", "0.75 0.76 0.78 1")
