"""`humanoid_rl policy check`: does a bundle fit a robot?"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.contract import Finding, check_contract
from humanoid_rl_ros.resources import find_policy, find_robot


def check_policy(bundle_name: str, robot_name: str, console: Console) -> bool:
    """Print what the bundle is and what does not fit.

    Args:
        bundle_name, robot_name: as `humanoid_rl_ros.resources` finds them.
        console: where to print.

    Returns:
        Whether the policy may run on the robot.

    Raises:
        HumanoidError: the bundle or the robot cannot be read.
    """
    bundle, robot = find_policy(bundle_name), find_robot(robot_name)
    findings = check_contract(bundle, robot)
    try:
        bundle.load_network()
    except HumanoidError as error:
        findings = [Finding("error", str(error)), *findings]
    console.print(_table(bundle))
    for finding in findings:
        console.print(
            f"{finding.level}: {finding.text}", style="red" if finding.level == "error" else "yellow", markup=False
        )
    fits = all(finding.level != "error" for finding in findings)
    console.print(f"'{bundle.name}' {'fits' if fits else 'does not fit'} robot '{robot.name}'")
    return fits


def _table(bundle: PolicyBundle) -> Table:
    terms = ", ".join(dict.fromkeys(bundle.observation.term_names()))
    table = Table(title=bundle.name, show_header=False)
    rows = {
        "from": bundle.origin or "not said",
        "weights": str(bundle.weights.path),
        "observation": f"{bundle.observation_size()} numbers: {terms}",
        "joints": f"{len(bundle.joints)} driven, {len(bundle.held)} held, {len(bundle.observation.joints)} observed",
        "action": bundle.action.kind,
        "rates": f"{1.0 / bundle.control_period:g} Hz, PD at {bundle.pd_rate:g} Hz",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table
