"""The robot at rest on its feet as a linear system: what `humanoid_rl_ros.simulation.balance` designs its law on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ModelError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.simulation.gains import PD_PERIOD
from humanoid_rl_ros.simulation.layout import STAND_KEY, ModelLayout, layout
from humanoid_rl_ros.simulation.model_file import mujoco
from humanoid_rl_ros.simulation.mujoco_model import prepare
from humanoid_rl_ros.simulation.standing import Feet, find_feet, seated

# Depth to which a standing sole is taken to be pressed in, for finding its corners [m].
_PRESSED = 2e-3
# Rotor inertia that makes a robot a statue, and how long a statue takes to come to rest on its soles [kg·m², s].
_STATUE_ARMATURE, _REST_TIME = 1e4, 1.0
_DOWN = np.array([0.0, 0.0, -1.0])


@dataclass(frozen=True)
class BalanceCost:
    """What the regulator trades off: each deviation costs its square after division by the number given here.

    Attributes:
        zero_moment_point: of the zero-moment point from the rest position [m].
        centre_of_mass: of the centre of mass over the feet [m].
        centre_of_mass_speed: [m/s].
        angular_momentum: about the centre of mass, as a part of weight times one second times one metre.
        effort: of the joint efforts, as a part of the effort limits.
        pose: of joints from the pose [rad].
        joint_speed: [rad/s].
        tilt: of the base [rad].
    """

    zero_moment_point: float = 0.5
    centre_of_mass: float = 0.05
    centre_of_mass_speed: float = 0.17
    angular_momentum: float = 0.5
    effort: float = 0.33
    pose: float = 1.0
    joint_speed: float = 33.0
    tilt: float = 1.0


@dataclass(frozen=True)
class MeasurementNoise:
    """Standard deviations that weigh what is measured against the assumption that the feet rest.

    Attributes:
        angular_velocity: gyro [rad/s].
        gravity: direction of gravity [rad].
        joint_position: [rad].
        joint_velocity: [rad/s].
        foot_place, foot_speed: of the feet, which are taken to rest [m and rad], [m/s and rad/s].
    """

    angular_velocity: float = 0.05
    gravity: float = 0.01
    joint_position: float = 0.01
    joint_velocity: float = 0.2
    foot_place: float = 0.1
    foot_speed: float = 1.0


class StandingPlant:
    """The robot at rest on its feet, and its linear model; a state is (δq, v) in the tangent space [Shape (2nv,)].

    Args:
        robot: must have a model and gains.

    Attributes:
        pose: of the joints at rest [rad; Shape (n,)].
        holding_effort: that carries the weight there [N·m; Shape (n,)].
        gravity_at_rest: unit vector of gravity at rest [IMU frame; Shape (3,)].
        relevant: indices of the states that change what follows [Shape (2nv − 3,)].

    Raises:
        ConfigError: the model cannot be found.
        ModelError: it cannot be driven, or the default pose has no soles on the floor.
    """

    def __init__(self, robot: RobotSpec) -> None:
        self.robot = robot
        self.model = prepare(robot, timestep=PD_PERIOD, visual=False)
        # Dry friction sticks at rest, and a joint that sticks has no linear model.
        self.model.dof_frictionloss[:] = 0.0
        self.place = layout(self.model, robot)
        feet = find_feet(self.model, self.place)
        self.data = mujoco.MjData(self.model)
        self.data.qpos[:] = _centred(self.model, self.place, feet, robot)
        _rest(self.model, self.data, self.place)
        self.pose = np.array(self.data.qpos[self.place.qpos])
        self.feet_jacobian = np.vstack([_body_jacobian(self.model, self.data, int(foot)) for foot in feet.bodies])
        self.holding_effort = self._holding_effort()
        self.data.ctrl[:] = self.holding_effort
        mujoco.mj_forward(self.model, self.data)
        self._imu_rotation = np.array(self.data.site_xmat[self.place.imu_site]).reshape(3, 3)
        self.gravity_at_rest = self._imu_rotation.T @ _DOWN
        root, nv = self.place.root_dof, self.model.nv
        # Where the robot stands and where it looks changes nothing: these three states are integrals of others.
        self.relevant = np.delete(np.arange(2 * nv), [root, root + 1, root + 5])

    def _holding_effort(self) -> FloatArray:
        """Efforts that hold the pose, the smallest in parts of their limits [N·m; Shape (n,)].

        From M·0 + h = Sᵀτ + Jᵀf, of which a robot on two feet has more unknowns than equations. Foot forces count in
        parts of the weight, moments in parts of what a sole of 2 cm would carry.
        """
        n, limit = self.robot.n_joints, self.robot.effort_limit
        motors = np.zeros((self.model.nv, n))
        motors[self.place.dof, np.arange(n)] = limit
        gravity = float(np.linalg.norm(self.model.opt.gravity))
        weight = float(self.model.body_subtreemass[self.place.root_body]) * gravity
        wrench = weight * np.tile([0.3, 0.3, 3.0, 0.02, 0.02, 0.02], len(self.feet_jacobian) // 6)
        system = np.hstack([motors, self.feet_jacobian.T * wrench])
        load = self.data.qfrc_bias - self.data.qfrc_passive
        return np.asarray(np.linalg.lstsq(system, load, rcond=None)[0][:n] * limit)

    def over(self, steps: int) -> tuple[FloatArray, FloatArray]:
        """Transition by so many steps under the PD law with its targets held: A [2nv, 2nv], B [2nv, n]."""
        nv, n = self.model.nv, self.robot.n_joints
        a, b = np.zeros((2 * nv, 2 * nv)), np.zeros((2 * nv, n))
        mujoco.mjd_transitionFD(self.model, self.data, 1e-6, True, a, b, None, None)
        a, b = a - b @ self._pd(), b * self.robot.kp
        total_a, total_b = np.eye(2 * nv), np.zeros((2 * nv, n))
        for _ in range(steps):
            total_a, total_b = a @ total_a, a @ total_b + b
        return total_a, total_b

    def _pd(self) -> FloatArray:
        gains = np.zeros((self.robot.n_joints, 2 * self.model.nv))
        rows = np.arange(self.robot.n_joints)
        gains[rows, self.place.dof] = self.robot.kp
        gains[rows, self.model.nv + self.place.dof] = self.robot.kd
        return gains

    def weighted_outputs(
        self, a: FloatArray, b: FloatArray, period: float, cost: BalanceCost
    ) -> tuple[FloatArray, FloatArray]:
        """Everything that costs, as H x + D u with unit weights.

        The zero-moment point is c − c̈ z/g, that of the cart-table model (Kajita et al., ICRA 2003), with the
        acceleration of the centre of mass averaged over the period.

        Args:
            a, b: from `over`.
            period: of the policy [s].
            cost: the units.

        Returns:
            H [Shape (m, 2nv)], D [Shape (m, n)].
        """
        model, data, place, nv = self.model, self.data, self.place, self.model.nv
        place_of, speed_of = np.eye(nv, 2 * nv), np.eye(nv, 2 * nv, nv)
        com = np.zeros((3, nv))
        mujoco.mj_jacSubtreeCom(model, data, com, place.root_body)
        feet = self.feet_jacobian.reshape(-1, 6, nv)[:, :2].mean(axis=0)
        over_feet, speed = (com[:2] - feet) @ place_of, com[:2] @ speed_of
        gravity = float(np.linalg.norm(model.opt.gravity))
        fall_time = float(data.subtree_com[place.root_body][2]) / gravity / period
        momentum = np.zeros((3, nv))
        mujoco.mj_angmomMat(model, data, momentum, place.root_body)
        momentum = momentum / (gravity * float(model.body_subtreemass[place.root_body]))
        limit = self.robot.effort_limit[:, None]
        parts = (
            (over_feet - fall_time * (speed @ a - speed), -fall_time * speed @ b, cost.zero_moment_point),
            (over_feet, None, cost.centre_of_mass),
            (speed, None, cost.centre_of_mass_speed),
            (momentum @ speed_of, None, cost.angular_momentum),
            (-self._pd() / limit, np.diag(self.robot.kp) / limit, cost.effort),
            (place_of[place.dof], None, cost.pose),
            (speed_of[place.dof], None, cost.joint_speed),
            (place_of[place.root_dof + 3 : place.root_dof + 5], None, cost.tilt),
        )
        on_state = [h / unit for h, _, unit in parts]
        on_input = [np.zeros((len(h), b.shape[1])) if d is None else d / unit for h, d, unit in parts]
        return np.vstack(on_state), np.vstack(on_input)

    def measurement(self) -> FloatArray:
        """Rows of `OBSERVATION` for a state [Shape (6 + 2n, 2nv)]."""
        nv, n = self.model.nv, self.robot.n_joints
        turn = np.zeros((3, nv))
        mujoco.mj_jacSite(self.model, self.data, None, turn, self.place.imu_site)
        rows = np.zeros((6 + 2 * n, 2 * nv))
        rows[:3, nv:] = self._imu_rotation.T @ turn
        # A turn δθ of the frame turns a fixed vector by −δθ × in it: δ(Rᵀg) = Rᵀ (g × δθ).
        rows[3:6, :nv] = self._imu_rotation.T @ np.cross(_DOWN, turn.T).T
        rows[6 + np.arange(n), self.place.dof] = 1.0
        rows[6 + n + np.arange(n), nv + self.place.dof] = 1.0
        return rows

    def estimator(self, measured: FloatArray, noise: MeasurementNoise) -> FloatArray:
        """The likeliest state for a measurement, if the feet rest as far as `noise` says [Shape (2nv, 6 + 2n)]."""
        n, feet = self.robot.n_joints, self.feet_jacobian
        at_rest = np.kron(np.eye(2), feet)
        spread = np.repeat(
            [noise.angular_velocity, noise.gravity, noise.joint_position, noise.joint_velocity,
             noise.foot_place, noise.foot_speed],
            [3, 3, n, n, len(feet), len(feet)],
        )  # fmt: skip
        rows = np.vstack([measured, at_rest]) / spread[:, None]
        return np.asarray((np.linalg.pinv(rows) / spread)[:, : len(measured)])


def _centred(model: mujoco.MjModel, place: ModelLayout, feet: Feet, robot: RobotSpec) -> FloatArray:
    """qpos of the default pose with the centre of mass moved over the middle of the soles, feet and base in place."""
    data = mujoco.MjData(model)
    data.qpos[:] = model.key(STAND_KEY).qpos
    data.qpos[place.root_qpos + 2] -= _PRESSED
    mujoco.mj_forward(model, data)
    soles = np.isin(feet.of_geom[data.contact.geom], np.arange(len(feet.names))).any(axis=1)
    corners = data.contact.pos[soles, :2]
    if len(corners) < 3 or np.ptp(corners, axis=0).min() < 1e-3:
        raise ModelError(
            f"robot '{robot.name}' touches the floor at {len(corners)} points in its default pose, which carry no "
            "standing robot; give it a default pose with flat feet"
        )
    middle = 0.5 * (corners.min(axis=0) + corners.max(axis=0))
    ease = np.ones(model.nv)
    ease[place.root_dof + 3 : place.root_dof + 6] = 0.05  # the base turns last
    for _ in range(10):
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        com = np.zeros((3, model.nv))
        mujoco.mj_jacSubtreeCom(model, data, com, place.root_body)
        rows = np.vstack([com[:2], *(_body_jacobian(model, data, int(foot)) for foot in feet.bodies)])
        wanted = np.zeros(len(rows))
        wanted[:2] = middle - data.subtree_com[place.root_body][:2]
        move = (ease[:, None] * rows.T) @ np.linalg.pinv((rows * ease) @ rows.T) @ wanted
        mujoco.mj_integratePos(model, data.qpos, move, 1.0)
    data.qpos[place.qpos] = np.clip(data.qpos[place.qpos], robot.lower, robot.upper)
    return seated(model, place, data)


def _rest(model: mujoco.MjModel, data: mujoco.MjData, place: ModelLayout) -> None:
    """Let the robot sink onto its soles as a statue, until it is still."""
    armature = model.dof_armature.copy()
    model.dof_armature[place.dof] = _STATUE_ARMATURE
    for _ in range(round(_REST_TIME / PD_PERIOD)):
        mujoco.mj_step(model, data)
    model.dof_armature[:] = armature
    data.qvel[:] = 0.0
    mujoco.mj_forward(model, data)


def _body_jacobian(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> FloatArray:
    """Of a body's place and turn [Shape (6, nv)]."""
    jacobian = np.zeros((6, model.nv))
    mujoco.mj_jacBody(model, data, jacobian[:3], jacobian[3:], body)
    return jacobian
