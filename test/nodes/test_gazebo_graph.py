from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from conftest import Refuses

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.description.folder import export_robot
from humanoid_rl_ros.description.options import ExportOptions
from humanoid_rl_ros.description.ros2_control import HardwareWatch
from humanoid_rl_ros.nodes.gazebo_graph import gazebo_graph
from humanoid_rl_ros.resources import find_policy, find_robot


def test_files_are_written_for_the_policy(tmp_path: Path) -> None:
    graph = gazebo_graph("reference", "", lambda: tmp_path, namespace="left", real_time_factor=0.5)
    controllers = yaml.safe_load(Path(graph.file("controllers.yaml")).read_text())
    rate = find_policy("walk").pd_rate
    assert controllers["/left/controller_manager"]["ros__parameters"]["update_rate"] == rate
    assert graph.safety_monitor["state_rate"] == rate
    assert graph.safety_monitor["command_type"] == "float64_multi_array"
    assert graph.policy_node["use_sim_time"]
    assert graph.stand[2] == pytest.approx(0.675, abs=0.01)


def test_files_that_are_given_must_fit_the_policy(tmp_path: Path, refuses: Refuses) -> None:
    def written(name: str, **options: object) -> str:
        watch = HardwareWatch(command_timeout=0.1, damping_scale=1.0)
        options = {"state_rate": find_policy("walk").pd_rate, **options}
        export_robot(find_robot("reference"), ExportOptions(tmp_path / name, **options), watch)  # type: ignore[arg-type]
        return str(tmp_path / name)

    def graph(folder: str, **changes: str) -> None:
        gazebo_graph("reference", "walk", lambda: tmp_path, folder=folder, **changes)

    graph(written("good"))
    with refuses(ConfigError, "no such file", "robot export"):
        graph(str(tmp_path / "nowhere"))
    with refuses(ConfigError, "250 Hz", "--state-rate 200"):
        graph(written("slow", state_rate=250.0))
    with refuses(ConfigError, "--namespace 'left'"):
        graph(str(tmp_path / "good"), namespace="left")
    file = Path(written("swapped")) / "controllers.yaml"
    data = yaml.safe_load(file.read_text())
    data["joint_effort_controller"]["ros__parameters"]["joints"].reverse()
    file.write_text(yaml.safe_dump(data))
    with refuses(ConfigError, "not those of robot"):
        graph(str(tmp_path / "swapped"))
