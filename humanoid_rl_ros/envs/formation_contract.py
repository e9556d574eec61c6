"""The team bundle that a formation task promises; all but the weights."""

from __future__ import annotations

from pathlib import Path

from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.formation_spec import FormationSpec
from humanoid_rl_ros.policies.team_bundle import TeamBundle
from humanoid_rl_ros.resources import find_policy


def team_contract(spec: FormationSpec, robot: RobotSpec) -> TeamBundle:
    """What a policy trained on a task must be run with.

    Raises:
        ConfigError: there is no such walking policy.
    """
    return TeamBundle(
        name=spec.name,
        robot=robot.name,
        walk=spec.walk,
        weights=Path(),
        sha256="",
        period=spec.period,
        averaging=spec.averaging,
        action_scale=spec.action_scale,
        command=find_policy(spec.walk).command,
        team_command=spec.commands.full,
        robots=spec.robots,
        shapes=spec.shapes,
        spacing=spec.spacing,
    )
