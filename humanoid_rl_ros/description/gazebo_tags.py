"""What a URDF says to Gazebo alone: its IMU, the friction of its links, its plugins."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from humanoid_rl_ros.description.options import IMU_SENSOR, ExportOptions
from humanoid_rl_ros.description.xml_text import child, numbers, roll_pitch_yaw
from humanoid_rl_ros.simulation.links import LinkTree

CONTROLLERS_FILE = "controllers.yaml"
ODOMETRY_FRAME = "odom"


def add_gazebo_tags(root: Element, tree: LinkTree, options: ExportOptions) -> None:
    """Add the tags."""
    for link in tree.links:
        if link.collisions:
            surface = child(root, "gazebo", reference=link.name)
            friction = max(shape.friction for shape in link.collisions)
            child(surface, "mu1", friction)
            child(surface, "mu2", friction)
    _add_imu(root, tree, options)
    _add_plugins(root, tree, options)


def imu_topic(tree: LinkTree, options: ExportOptions) -> str:
    """Where Gazebo publishes the IMU."""
    return options.gazebo_topic(tree.robot.name, "imu")


def odometry_topic(tree: LinkTree, options: ExportOptions) -> str:
    """Where Gazebo publishes the true pose and velocity of the base."""
    return options.gazebo_topic(tree.robot.name, "odometry")


def transform_topic(tree: LinkTree, options: ExportOptions) -> str:
    """Where Gazebo publishes the base as a transform."""
    return options.gazebo_topic(tree.robot.name, "tf")


def _add_imu(root: Element, tree: LinkTree, options: ExportOptions) -> None:
    """A perfect IMU; without a reference frame its orientation would count from where the robot is put."""
    carrier = child(root, "gazebo", reference=tree.imu_link)
    sensor = child(carrier, "sensor", name=IMU_SENSOR, type="imu")
    child(sensor, "pose", numbers([*tree.imu.position, *roll_pitch_yaw(tree.imu.orientation)]))
    child(sensor, "always_on", True)
    child(sensor, "update_rate", options.state_rate)
    child(sensor, "topic", imu_topic(tree, options))
    child(sensor, "ignition_frame_id" if options.fortress else "gz_frame_id", tree.robot.imu.frame)
    reference = child(child(sensor, "imu"), "orientation_reference_frame")
    child(reference, "localization", "ENU")


def _add_plugins(root: Element, tree: LinkTree, options: ExportOptions) -> None:
    model = child(root, "gazebo")
    control = (
        {"filename": "ign_ros2_control-system", "name": "ign_ros2_control::IgnitionROS2ControlPlugin"}
        if options.fortress
        else {"filename": "gz_ros2_control-system", "name": "gz_ros2_control::GazeboSimROS2ControlPlugin"}
    )
    plugin = child(model, "plugin", **control)
    child(plugin, "parameters", options.folder / CONTROLLERS_FILE)
    child(plugin, "hold_joints", True)  # until the effort controller is active
    if options.namespace:
        child(child(plugin, "ros"), "namespace", f"/{options.namespace}")
    odometry = child(
        model,
        "plugin",
        filename="gz-sim-odometry-publisher-system",
        name="gz::sim::systems::OdometryPublisher",
    )
    child(odometry, "odom_frame", ODOMETRY_FRAME)
    child(odometry, "robot_base_frame", tree.root)
    child(odometry, "odom_publish_frequency", options.state_rate)  # with every state, for environments
    child(odometry, "odom_topic", odometry_topic(tree, options))
    child(odometry, "tf_topic", transform_topic(tree, options))
    child(odometry, "dimensions", 3)
