"""`humanoid_rl export`: a policy bundle from a checkpoint."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from humanoid_rl_ros.cli.checkpoint_policy import checkpoint_policy
from humanoid_rl_ros.cli.navigation_export import export_navigation, leads
from humanoid_rl_ros.cli.train import trained_by
from humanoid_rl_ros.envs.gymnasium_task import crosses_floor
from humanoid_rl_ros.learning.export import export_policy
from humanoid_rl_ros.learning.export_team import export_team


def run_export(source: Path, output: Path, console: Console) -> None:
    """Write the bundle of a checkpoint, and compare its network with the checkpoint's.

    Args:
        source: a checkpoint, or a run folder for its newest.
        output: the bundle's folder.
        console: where to say what was done.

    Raises:
        HumanoidError: there is no checkpoint, it cannot be read, its task or robot is not what it was, it drives no
            robot, or the bundle cannot be written or differs.
    """
    found = checkpoint_policy(source)
    if crosses_floor(found.record.task):
        floor = export_navigation(found.actor, found.record, found.steps, output)
        console.print(f"{found.path}: {found.steps} steps; {leads(floor)}", markup=False, soft_wrap=True)
        console.print(f"wrote {output}; ONNX gives the values of torch", markup=False, soft_wrap=True)
        return
    if found.team is not None:
        export_team(found.actor, found.team, output, comment=trained_by(found.record, found.steps))
        console.print(f"{found.path}: {found.steps} steps, of a team", markup=False, soft_wrap=True)
        console.print(f"wrote {output}; ONNX gives the actions of torch", markup=False, soft_wrap=True)
        return
    bundle = export_policy(found.actor, found.robot_contract(), output, comment=trained_by(found.record, found.steps))
    console.print(f"{found.path}: {found.steps} steps, {len(bundle.joints)} joints", markup=False, soft_wrap=True)
    console.print(f"wrote {output}; ONNX gives the actions of torch", markup=False, soft_wrap=True)
