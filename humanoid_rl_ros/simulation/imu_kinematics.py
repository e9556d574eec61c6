"""What an IMU measures, from generalised positions and velocities of many robots at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ModelError
from humanoid_rl_ros.simulation.layout import ModelLayout
from humanoid_rl_ros.simulation.model_file import mujoco


@dataclass(frozen=True, eq=False)
class ImuMotion:
    """Motion of the IMU of each robot.

    Attributes:
        orientation: IMU frame in the world [wxyz; Shape (n, 4)].
        angular_velocity: [rad/s; IMU frame; Shape (n, 3)].
        linear_velocity: [m/s; IMU frame; Shape (n, 3)].
    """

    orientation: FloatArray
    angular_velocity: FloatArray
    linear_velocity: FloatArray


@dataclass(frozen=True, eq=False)
class _Link:
    """One body on the way from the root to the IMU, with its hinge if it has one."""

    offset: FloatArray
    orientation: FloatArray
    axis: FloatArray | None
    qpos: int
    dof: int
    reference: float


class ImuKinematics:
    """The chain of hinges between the floating root and the IMU; mostly there is none.

    MuJoCo's own sensors would do, but a batch that is stepped in C gives them one physics step late.

    Args:
        model: from `prepare`.
        place: its layout.

    Raises:
        ModelError: the IMU is not on the robot, or a joint in the chain is no hinge at its body's origin.
    """

    def __init__(self, model: mujoco.MjModel, place: ModelLayout) -> None:
        site = place.imu_site
        self._root_qpos, self._root_dof = place.root_qpos, place.root_dof
        self._links: list[_Link] = []
        body = int(model.site_bodyid[site])
        while body != place.root_body:
            if body == 0:
                raise ModelError(f"site '{model.site(site).name}' of the IMU does not hang on the robot's root body")
            self._links.insert(0, _link(model, body))
            body = int(model.body_parentid[body])
        self._offset = np.array(model.site_pos[site])
        self._orientation = np.array(model.site_quat[site])
        self._turned = bool(np.abs(self._orientation - rotations.IDENTITY).max() > 0.0)

    def motion(self, qpos: FloatArray, qvel: FloatArray) -> ImuMotion:
        """What the IMUs of all robots measure now.

        Args:
            qpos: [Shape (n, nq)].
            qvel: root velocity linear in the world, angular in the body, then the joints [Shape (n, nv)].
        """
        root, dof = self._root_qpos, self._root_dof
        orientation = qpos[:, root + 3 : root + 7]
        angular = qvel[:, dof + 3 : dof + 6]
        linear = rotations.rotate_inverse(orientation, qvel[:, dof : dof + 3])
        for link in self._links:
            linear = linear + rotations.cross(angular, link.offset)
            turn = np.broadcast_to(link.orientation, orientation.shape)
            if link.axis is not None:
                half = 0.5 * (qpos[:, link.qpos, None] - link.reference)
                hinge = np.concatenate([np.cos(half), np.sin(half) * link.axis], axis=-1)
                turn = rotations.multiply(turn, hinge)
            orientation = rotations.multiply(orientation, turn)
            linear, angular = rotations.rotate_inverse(turn, linear), rotations.rotate_inverse(turn, angular)
            if link.axis is not None:
                angular = angular + qvel[:, link.dof, None] * link.axis
        linear = linear + rotations.cross(angular, self._offset)
        if self._turned:
            turn = np.broadcast_to(self._orientation, orientation.shape)
            orientation = rotations.multiply(orientation, turn)
            linear, angular = rotations.rotate_inverse(turn, linear), rotations.rotate_inverse(turn, angular)
        return ImuMotion(orientation, angular, linear)


def _link(model: mujoco.MjModel, body: int) -> _Link:
    offset, orientation = np.array(model.body_pos[body]), np.array(model.body_quat[body])
    count, joint = int(model.body_jntnum[body]), int(model.body_jntadr[body])
    if count == 0:
        return _Link(offset, orientation, None, 0, 0, 0.0)
    if count > 1 or model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_HINGE or np.abs(model.jnt_pos[joint]).max() > 0.0:
        raise ModelError(
            f"joint '{model.joint(joint).name}' between the root and the IMU is not one hinge at its body's origin; "
            "put the IMU on the root body"
        )
    qpos, dof = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
    return _Link(offset, orientation, np.array(model.jnt_axis[joint]), qpos, dof, float(model.qpos0[qpos]))
