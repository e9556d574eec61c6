"""The exported robot in DART, the physics engine of Gazebo, under the policy that was trained in MuJoCo."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import mujoco
import numpy as np
import pytest

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.rotations import multiply, rotate_inverse
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.description.folder import URDF_FILE, export_robot
from humanoid_rl_ros.description.options import ExportOptions
from humanoid_rl_ros.description.ros2_control import HardwareWatch
from humanoid_rl_ros.resources import find_policy, find_robot
from humanoid_rl_ros.simulation.link_tree import link_tree
from humanoid_rl_ros.simulation.links import LinkTree

dart = pytest.importorskip("dartpy", reason="dartpy is not installed; it is DART, which only these tests need")

SECONDS = 4.0
FRICTION = 0.8


class DartRobot:
    """A URDF on a floor in DART, read and driven in the joint order of its robot."""

    def __init__(self, urdf: Path, tree: LinkTree, options: ExportOptions) -> None:
        self._tree, self._options, self._count = tree, options, 0
        self.skeleton = dart.utils.DartLoader().parseSkeleton(str(stripped(urdf)))
        self._world = dart.simulation.World()
        self._world.setTimeStep(options.timestep)
        self._world.setGravity([0.0, 0.0, -9.81])
        self._world.getConstraintSolver().setCollisionDetector(dart.collision.OdeCollisionDetector())
        for node in (n for body in self.skeleton.getBodyNodes() for n in body.getShapeNodes()):
            node.getDynamicsAspect().setFrictionCoeff(FRICTION)
        self._world.addSkeleton(floor())
        self._world.addSkeleton(self.skeleton)
        names = [self.skeleton.getDof(i).getName() for i in range(self.skeleton.getNumDofs())]
        self._at = np.array([names.index(name) for name in tree.robot.joint_names])

    def stand(self, pose: np.ndarray) -> RobotState:
        positions = np.zeros(self.skeleton.getNumDofs())
        positions[3:6] = self._tree.stand.position  # DART's free joint: rotation vector, then place
        positions[self._at] = pose
        self.skeleton.setPositions(positions)
        return self.state()

    def step(self, effort: np.ndarray) -> RobotState:
        forces = np.zeros(self.skeleton.getNumDofs())
        forces[self._at] = effort
        for _ in range(self._options.steps_per_state):
            self.skeleton.setForces(forces)
            self._world.step()
        self._count += 1
        return self.state()

    def state(self) -> RobotState:
        carrier = self.skeleton.getBodyNode(self._tree.imu_link)
        mujoco.mju_mat2Quat(link := np.empty(4), carrier.getWorldTransform().rotation().ravel())
        orientation = multiply(link, self._tree.imu.orientation)
        return RobotState(
            stamp_ns=round(self._count / self._options.state_rate * 1e9),
            joint_position=self.skeleton.getPositions()[self._at],
            joint_velocity=self.skeleton.getVelocities()[self._at],
            orientation=orientation,
            angular_velocity=rotate_inverse(orientation, carrier.getAngularVelocity()),
        )


def floor() -> object:
    skeleton = dart.dynamics.Skeleton("floor")
    joint, body = skeleton.createWeldJointAndBodyNodePair()
    node = body.createShapeNode(dart.dynamics.BoxShape([100.0, 100.0, 0.2]))
    node.createCollisionAspect()
    node.createDynamicsAspect()
    node.getDynamicsAspect().setFrictionCoeff(FRICTION)
    below = np.eye(4)
    below[2, 3] = -0.1
    joint.setTransformFromParentBodyNode(dart.math.Isometry3(below))
    return skeleton


def stripped(urdf: Path) -> Path:
    """Without the pictures, and without the links that have no mass, which DART's own reader gives a kilogram."""
    root = ElementTree.parse(urdf).getroot()
    massless = {link.get("name") for link in root.findall("link") if link.find("inertial") is None}
    for joint in root.findall("joint"):
        child = joint.find("child")
        if child is not None and child.get("link") in massless:
            root.remove(joint)
    for link in root.findall("link"):
        if link.get("name") in massless:
            root.remove(link)
        for visual in link.findall("visual"):
            link.remove(visual)
    copy = urdf.with_name("dart.urdf")
    copy.write_text(ElementTree.tostring(root, encoding="unicode"))
    return copy


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("reference", "walk"),
        pytest.param(
            "g1",
            "walk_g1",
            marks=pytest.mark.skipif(importlib.util.find_spec("mjlab") is None, reason="mjlab is not installed"),
        ),
    ],
)
def test_what_learned_to_walk_in_mujoco_walks_in_dart(name: str, policy: str, tmp_path: Path) -> None:
    robot, bundle = find_robot(name), find_policy(policy)
    behaviour = PolicyBehaviour(bundle, robot, bundle.load_network(), entry_blend=0.0)
    pose, rate = behaviour.start_position, float(bundle.pd_rate)
    options = ExportOptions(tmp_path, state_rate=rate, fold_rotors=True)
    export_robot(robot, options, HardwareWatch(0.1, 1.0), pose)
    body = DartRobot(tmp_path / URDF_FILE, link_tree(robot, pose=pose), options)
    assert body.skeleton.getMass() == pytest.approx(link_mass(link_tree(robot)))
    state = body.stand(pose)
    behaviour.enter(state)
    start = body.skeleton.getPositions()[3:6].copy()
    for _ in range(round(SECONDS * rate)):
        effort = behaviour.update(state, VelocityCommand(0.5, 0.0, 0.0)).effort
        state = body.step(np.clip(effort, -robot.effort_limit, robot.effort_limit))
    moved = body.skeleton.getPositions()[3:6] - start
    assert moved[2] > -0.1  # on its feet
    assert 0.4 < np.hypot(*moved[:2]) / SECONDS < 0.6


def link_mass(tree: LinkTree) -> float:
    return sum(link.inertia.mass for link in tree.links if link.inertia is not None)
