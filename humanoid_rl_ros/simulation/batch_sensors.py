"""Sensors that a batch of simulated robots needs besides the IMU: efforts, and where feet and hands are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ModelError
from humanoid_rl_ros.simulation.layout import PREFIX, STAND_KEY
from humanoid_rl_ros.simulation.model_file import mujoco
from humanoid_rl_ros.simulation.standing import Feet

# A touch sensor counts the contacts inside its site: this one holds any foot.
_TOUCH_RADIUS = 1.0
# A body by its own frame; mjOBJ_BODY would be that of its inertia.
_BODY = mujoco.mjtObj.mjOBJ_XBODY


def add_sensors(spec: mujoco.MjSpec, model: mujoco.MjModel, feet: Feet, hands: Sequence[str] = ()) -> None:
    """Add to a specification what `BatchSensors` reads.

    Args:
        spec: with the motors of `humanoid_rl_ros.simulation.mujoco_model.prepare`.
        model: the same, compiled without these sensors.
        feet: its feet.
        hands: sites or bodies of it whose places in the root are read.

    Raises:
        ModelError: it has no such site or body.
    """
    data = mujoco.MjData(model)
    data.qpos[:] = model.key(STAND_KEY).qpos
    mujoco.mj_kinematics(model, data)
    kinds, site_type = mujoco.mjtSensor, mujoco.mjtObj.mjOBJ_SITE
    for motor in spec.actuators:
        spec.add_sensor(
            name=f"{PREFIX}effort/{motor.name}",
            type=kinds.mjSENS_ACTUATORFRC,
            objtype=mujoco.mjtObj.mjOBJ_ACTUATOR,
            objname=motor.name,
        )
    for i, body in enumerate(feet.bodies):
        # A frame in the foot that is level while the robot stands, whatever the body's own frame.
        level = np.empty(4)
        mujoco.mju_negQuat(level, data.xquat[body])
        site = spec.body(model.body(int(body)).name).add_site(name=f"{PREFIX}foot/{i}", quat=level, group=5)
        for kind in (kinds.mjSENS_FRAMEPOS, kinds.mjSENS_FRAMELINVEL, kinds.mjSENS_FRAMEZAXIS):
            spec.add_sensor(name=f"{PREFIX}foot/{i}/{kind.name}", type=kind, objtype=site_type, objname=site.name)
    for foot, body in _touching(model, feet):
        site = spec.body(model.body(body).name).add_site(
            name=f"{PREFIX}touch/{foot}/{body}", size=[_TOUCH_RADIUS, 0.0, 0.0], group=5
        )
        spec.add_sensor(name=site.name, type=kinds.mjSENS_TOUCH, objtype=site_type, objname=site.name)
    root = model.body(int(model.body_rootid[feet.bodies[0]])).name
    for hand in hands:
        spec.add_sensor(
            name=f"{PREFIX}hand/{hand}",
            type=kinds.mjSENS_FRAMEPOS,
            objtype=kind_of(model, hand),
            objname=hand,
            reftype=mujoco.mjtObj.mjOBJ_XBODY,
            refname=root,
        )


class BatchSensors:
    """Reads what `add_sensors` added, of all robots at once.

    Everything here is of the beginning of the last physics step: MuJoCo computes sensors before it integrates.

    Args:
        model: compiled with the sensors.
        feet: its feet.
        readings: the sensor data of the last step; a view that the physics writes to [Shape (n, nsensordata)].
    """

    def __init__(self, model: mujoco.MjModel, feet: Feet, readings: FloatArray) -> None:
        n, f = len(readings), len(feet.bodies)
        self.effort = readings[:, _columns(model, "effort/", 1)]
        data = mujoco.MjData(model)
        data.qpos[:] = model.key(STAND_KEY).qpos
        mujoco.mj_forward(model, data)
        per_foot = 9  # position, velocity and up, in the order they were added
        block = _columns(model, "foot/", 3)
        feet_readings = readings[:, block].reshape(n, f, per_foot)
        self.foot_position = feet_readings[:, :, 0:3]
        self.foot_velocity = feet_readings[:, :, 3:6]
        self.foot_up = feet_readings[:, :, 6:9]
        self.standing_height = data.sensordata[block].reshape(f, per_foot)[:, 2].copy()
        n_hands = sum(model.sensor(s).name.startswith(f"{PREFIX}hand/") for s in range(model.nsensor))
        columns = _columns(model, "hand/", 3) if n_hands else slice(0, 0)
        self.hand_position = readings[:, columns].reshape(n, n_hands, 3)
        self._touch = readings[:, _columns(model, "touch/", 1)]
        self._sum = np.zeros((self._touch.shape[1], f))
        for column, (foot, _) in enumerate(_touching(model, feet)):
            self._sum[column, foot] = 1.0

    @property
    def foot_force(self) -> FloatArray:
        """Sum of the normal forces on each foot [N; Shape (n, f)]."""
        return self._touch @ self._sum


def kind_of(model: mujoco.MjModel, name: str) -> mujoco.mjtObj:
    """Whether a hand is a site or a body of the model, as sensors name them.

    Raises:
        ModelError: it is neither.
    """
    for kind, sought in ((mujoco.mjtObj.mjOBJ_SITE, mujoco.mjtObj.mjOBJ_SITE), (_BODY, mujoco.mjtObj.mjOBJ_BODY)):
        if mujoco.mj_name2id(model, sought, name) >= 0:
            return kind
    raise ModelError(f"the model has no site or body '{name}', which the robot says is a hand")


def _touching(model: mujoco.MjModel, feet: Feet) -> list[tuple[int, int]]:
    """(foot, body) of every body that has geometry of a foot."""
    pairs = {(int(foot), int(body)) for foot, body in zip(feet.of_geom, model.geom_bodyid, strict=True) if foot >= 0}
    return sorted(pairs)


def _columns(model: mujoco.MjModel, prefix: str, width: int) -> slice:
    """The sensor data of all sensors whose names start so; they follow one another."""
    sensors = [s for s in range(model.nsensor) if model.sensor(s).name.startswith(PREFIX + prefix)]
    first = int(model.sensor_adr[sensors[0]])
    return slice(first, first + width * len(sensors))
