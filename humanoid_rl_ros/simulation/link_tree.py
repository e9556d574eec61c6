"""A robot as links and joints in the way URDF has them, read out of any model."""

from __future__ import annotations

import math

import numpy as np

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ModelError
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.simulation.layout import ModelLayout, layout
from humanoid_rl_ros.simulation.link_shapes import shapes_of
from humanoid_rl_ros.simulation.links import Frame, Inertia, Link, LinkJoint, LinkTree
from humanoid_rl_ros.simulation.model_file import mujoco
from humanoid_rl_ros.simulation.mujoco_model import prepare
from humanoid_rl_ros.simulation.standing import standing_qpos

# Of a link that only stands between two joints of one body; simulators that read URDF drop links without mass.
BETWEEN_MASS = 1e-6
BETWEEN_INERTIA = 1e-9
# Of joints that the robot does not drive; URDF requires a number [N·m].
ANY_EFFORT = 1e6
_TIMESTEP = 0.002


def link_tree(robot: RobotSpec, *, pose: FloatArray | None = None, fold_rotors: bool = False) -> LinkTree:
    """Read links and joints of a robot out of its model.

    Args:
        robot: must have a model.
        pose: the pose it stands in, by default the robot's [rad; Shape (n,)].
        fold_rotors: add each joint's armature to the inertia of its link about the joint's axis, for simulators that
            know no armature.

    Raises:
        ConfigError: the robot's model cannot be found.
        ModelError: the model cannot be driven, or has a joint that URDF does not know.
    """
    model = prepare(robot, timestep=_TIMESTEP, visual=True)
    place = layout(model, robot)
    return _Reading(robot, model, place, fold_rotors).tree(robot.default_position if pose is None else pose)


class _Reading:
    """One pass over a compiled model, at joint position 0."""

    def __init__(self, robot: RobotSpec, model: mujoco.MjModel, place: ModelLayout, fold_rotors: bool) -> None:
        self._robot, self._model, self._place, self._fold = robot, model, place, fold_rotors
        self._specs = {joint.name: joint for joint in robot.joints}
        self._bodies = [b for b in range(1, model.nbody) if model.body_rootid[b] == place.root_body]
        self._names = self._link_names()
        # Where each body's link frame is: the body's own orientation, at the body's last joint.
        self._frames: dict[int, Frame] = {}
        self._links: list[Link] = []
        self._joints: list[LinkJoint] = []

    def tree(self, pose: FloatArray) -> LinkTree:
        model, place = self._model, self._place
        data = mujoco.MjData(model)
        data.qpos[:] = model.qpos0
        hinges = [j for b in self._bodies[1:] for j in self._joints_of(b)]
        for joint in hinges:
            self._refuse_other_kinds(joint)
            data.qpos[model.jnt_qposadr[joint]] = 0.0
        mujoco.mj_kinematics(model, data)
        for body in self._bodies:
            self._add_body(body, Frame(data.xpos[body], data.xquat[body]))
        site = place.imu_site
        carrier = int(model.site_bodyid[site])
        mujoco.mju_mat2Quat(turn := np.empty(4), data.site_xmat[site])
        imu = Frame(data.site_xpos[site], turn).seen_from(self._frames[carrier])
        stand = standing_qpos(model, place, pose)[place.root_qpos : place.root_qpos + 7]
        root = Frame(np.array([0.0, 0.0, stand[2]]), stand[3:])
        return LinkTree(
            self._robot, tuple(self._links), tuple(self._joints), self._names[carrier], imu, root, self._notes(hinges)
        )

    def _joints_of(self, body: int) -> list[int]:
        first = int(self._model.body_jntadr[body])
        return list(range(first, first + int(self._model.body_jntnum[body])))

    def _link_names(self) -> dict[int, str]:
        """Names of the bodies; SDF wants those of links and joints to differ."""
        model = self._model
        joints = {model.joint(j).name for j in range(model.njnt)}
        names: dict[int, str] = {}
        for body in self._bodies:
            name = model.body(body).name or f"body_{body}"
            while name in joints or name in names.values():
                name += "_link"
            names[body] = name
        return names

    def _refuse_other_kinds(self, joint: int) -> None:
        kind = self._model.jnt_type[joint]
        if kind != mujoco.mjtJoint.mjJNT_HINGE and kind != mujoco.mjtJoint.mjJNT_SLIDE:
            what = "ball" if kind == mujoco.mjtJoint.mjJNT_BALL else "free"
            raise ModelError(
                f"robot '{self._robot.name}': joint '{self._model.joint(joint).name}' is a {what} joint, which URDF "
                "does not have; replace it in the model by hinges, or weld it"
            )

    def _add_body(self, body: int, frame: Frame) -> None:
        model = self._model
        name, joints = self._names[body], self._joints_of(body)
        if body == self._place.root_body:
            self._frames[body] = frame
            self._links.append(self._link(body, frame, frame, None))
            return
        parent = int(model.body_parentid[body])
        before, parent_name = self._frames[parent], self._names[parent]
        if not joints:
            self._joints.append(
                LinkJoint(f"{name}_fixed", "fixed", parent_name, name, frame.seen_from(before), np.eye(3)[2], None)
            )
            self._frames[body] = frame
            self._links.append(self._link(body, frame, frame, None))
            return
        # At joint position 0, joints after the first may already have turned the body: undone from the last one back.
        here = frame
        frames: list[Frame] = []
        for joint in reversed(joints):
            at = here.position + rotations.rotate(here.orientation, model.jnt_pos[joint])
            frames.append(Frame(at, here.orientation))
            here = self._before(joint, here, at)
        frames.reverse()
        for joint, place in zip(joints[:-1], frames[:-1], strict=True):
            between = f"{name}_{model.joint(joint).name or joint}"
            self._join(joint, parent_name, between, place.seen_from(before))
            tensor = BETWEEN_INERTIA * np.eye(3) + self._rotor(joint)
            self._links.append(Link(between, Inertia(BETWEEN_MASS, np.zeros(3), _possible(tensor))))
            before, parent_name = place, between
        self._join(joints[-1], parent_name, name, frames[-1].seen_from(before))
        self._frames[body] = frames[-1]
        self._links.append(self._link(body, frame, frames[-1], joints[-1]))

    def _before(self, joint: int, frame: Frame, anchor: FloatArray) -> Frame:
        """Where the body is before this joint moves it from its reference to position 0."""
        model = self._model
        reference = float(model.qpos0[model.jnt_qposadr[joint]])
        if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE:
            return Frame(
                frame.position + rotations.rotate(frame.orientation, model.jnt_axis[joint]) * reference,
                frame.orientation,
            )
        turn = rotations.from_axis_angle(model.jnt_axis[joint], reference)
        orientation = rotations.multiply(frame.orientation, turn)
        return Frame(anchor - rotations.rotate(orientation, model.jnt_pos[joint]), orientation)

    def _join(self, joint: int, parent: str, child: str, origin: Frame) -> None:
        model = self._model
        spec = self._spec(joint)
        slides = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE
        bounded = math.isfinite(spec.lower) and math.isfinite(spec.upper)
        if slides and not bounded:
            raise ModelError(f"robot '{self._robot.name}': joint '{spec.name}' slides and has no limits; give it some")
        kind = "prismatic" if slides else "revolute" if bounded else "continuous"
        self._joints.append(LinkJoint(spec.name, kind, parent, child, origin, model.jnt_axis[joint], spec))

    def _spec(self, joint: int) -> JointSpec:
        model = self._model
        name = model.joint(joint).name or f"joint_{joint}"
        if name in self._specs:
            return self._specs[name]
        limited = bool(model.jnt_limited[joint])
        lower, upper = (float(v) for v in model.jnt_range[joint]) if limited else (-math.inf, math.inf)
        dof = int(model.jnt_dofadr[joint])
        return JointSpec(
            name,
            lower,
            upper,
            effort_limit=ANY_EFFORT,
            default_position=min(max(0.0, lower), upper),
            armature=float(model.dof_armature[dof]),
            damping=float(np.ravel(model.dof_damping[dof])[0]),
            friction=float(model.dof_frictionloss[dof]),
        )

    def _link(self, body: int, frame: Frame, own: Frame, joint: int | None) -> Link:
        model = self._model
        shift = Frame(frame.position, frame.orientation).seen_from(own)  # of the body in its link's frame
        collisions, visuals = shapes_of(model, body, self._place.floor, shift.position)
        mass = float(model.body_mass[body])
        inertia = None
        if mass > 0.0:
            mujoco.mju_quat2Mat(turn := np.empty(9), model.body_iquat[body])
            axes = turn.reshape(3, 3)
            tensor = axes @ np.diag(model.body_inertia[body]) @ axes.T
            if joint is not None:
                tensor = _possible(tensor + self._rotor(joint))
            inertia = Inertia(mass, model.body_ipos[body] + shift.position, tensor)
        return Link(self._names[body], inertia, visuals, collisions)

    def _rotor(self, joint: int) -> FloatArray:
        """What is added to a link's inertia for the rotor that turns with its joint [kg·m²; Shape (3, 3)]."""
        model = self._model
        if not self._fold or model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_HINGE:
            return np.zeros((3, 3))
        axis = model.jnt_axis[joint]
        return np.asarray(float(model.dof_armature[model.jnt_dofadr[joint]]) * np.outer(axis, axis))

    def _notes(self, hinges: list[int]) -> tuple[str, ...]:
        model = self._model
        notes = []
        springs = [model.joint(j).name for j in hinges if model.jnt_stiffness[j].any()]
        if springs:
            notes.append(f"springs of {len(springs)} joints ('{springs[0]}' …) are left out: URDF has none")
        if model.neq:
            notes.append(f"{model.neq} equality constraints are left out: URDF is a tree")
        if model.ntendon:
            notes.append(f"{model.ntendon} tendons are left out: URDF has none")
        if any(joint.armature > 0.0 for joint in self._robot.joints):
            what = "added to the links that they turn" if self._fold else "left out; --fold-rotors adds it to the links"
            notes.append(f"URDF has no armature: that of the joints is {what}")
        between = sum(max(0, len(self._joints_of(b)) - 1) for b in self._bodies[1:])
        if between:
            notes.append(f"{between} links of {BETWEEN_MASS:g} kg stand between joints that share a body")
        return tuple(notes)


def _possible(tensor: FloatArray) -> FloatArray:
    """The tensor, made such that a body can have it: no principal moment above the sum of the other two.

    What is missing is added across the largest one, as the disc of a rotor has it.
    """
    for _ in range(10):
        moments, axes = np.linalg.eigh(tensor)
        missing = moments[2] - moments[0] - moments[1]
        if missing <= 0.0:
            break
        across = np.eye(3) - np.outer(axes[:, 2], axes[:, 2])
        tensor = tensor + (0.5 * missing + 1e-12) * across
    return np.asarray(tensor)
