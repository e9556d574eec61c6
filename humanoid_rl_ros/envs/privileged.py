"""What the critic is told besides its observation, and how all that learning sees looks in the mirror."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core import hand_targets
from humanoid_rl_ros.core.arrays import EVERYONE, Float32Array, IndexArray
from humanoid_rl_ros.core.hand_targets import HandTargetSpec
from humanoid_rl_ros.core.mirror import Mirroring, mirror_action, partners
from humanoid_rl_ros.core.observation_mirror import mirror_observation
from humanoid_rl_ros.core.observation_spec import ObservationSpec
from humanoid_rl_ros.envs.batch_env import BatchMirror
from humanoid_rl_ros.envs.hand_targets import HandTargets
from humanoid_rl_ros.envs.randomisation import EpisodeDraws
from humanoid_rl_ros.envs.truth import Truth
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation
from humanoid_rl_ros.simulation.symmetry import robot_mirror

_CONTACT_FORCE = 5.0
# Base height, friction, mass, centre of mass, delay, mean velocity, of which the sideways ones and the turn rate change
# their sign in the mirror; then, for each foot, contact and height, which change places; then, of hands with targets,
# how far each is from its own, along the base's axes.
_N_BODY, _SIDEWAYS = 10, [4, 8, 9]


def privileged_size(n_feet: int, *, hands: bool = False) -> int:
    """How many numbers `privileged` gives."""
    return _N_BODY + 2 * n_feet + (hand_targets.SIZE if hands else 0)


def privileged(
    simulation: BatchSimulation,
    draws: EpisodeDraws,
    truth: Truth,
    rows: IndexArray | slice = EVERYONE,
    hands: HandTargets | None = None,
) -> Float32Array:
    """What no sensor tells, in units in which it is about 1, of all robots or of some rows [Shape (k, size)]."""
    sensors = simulation.sensors
    friction = np.where(np.isnan(draws.friction), 1.0, draws.friction)
    body = [simulation.base_height - truth.nominal_height, friction, draws.mass - 1.0, *(10.0 * draws.centre_of_mass.T)]
    body += [draws.delay / simulation.substeps, *truth.mean_velocity.T]
    foot_height = sensors.foot_position[rows, :, 2] - sensors.standing_height
    feet = [sensors.foot_force[rows] > _CONTACT_FORCE, 10.0 * foot_height]
    if hands is not None:
        error = 10.0 * (sensors.hand_position[rows] - hands.current[rows])
        feet.append(error.reshape(len(error), hand_targets.SIZE))
    return np.concatenate([np.stack(body, axis=1)[rows], *feet], axis=1).astype(np.float32)


def batch_mirror(
    simulation: BatchSimulation,
    contract: PolicyBundle,
    critic: ObservationSpec,
    hands: HandTargetSpec | None = None,
) -> BatchMirror:
    """The mirror of what actor and critic see and of what is done.

    Args:
        simulation: the robots.
        contract: the policy.
        critic: the critic's observation, to which `privileged` is added.
        hands: the hand targets, if there are any.

    Raises:
        ContractError, ModelError: left and right differ.
    """
    joints = robot_mirror(simulation.model, simulation.robot)
    driven = tuple(contract.joints)
    policy = mirror_observation(contract.observation, joints, driven=driven, gait=contract.gait)
    seen = mirror_observation(critic, joints, driven=driven, gait=contract.gait)
    feet = partners(simulation.foot_names)
    extra = np.concatenate([np.arange(_N_BODY), _N_BODY + feet, _N_BODY + len(feet) + feet])
    sign = np.ones(len(extra), dtype=np.float32)
    sign[_SIDEWAYS] = -1.0
    if hands is not None:
        hands.require_symmetric()
        image = hand_targets.MIRROR
        extra, sign = np.concatenate([extra, len(extra) + image.index]), np.concatenate([sign, image.sign])
    both = Mirroring(np.concatenate([seen.index, len(seen.index) + extra]), np.concatenate([seen.sign, sign]))
    return BatchMirror(policy, both, mirror_action(contract.action, joints))
