from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Refuses

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.nodes.onboard_profile import MachineProfile, StartProfile, find_profile, load_profile


def test_the_shipped_profile_puts_the_monitor_above_the_policy_and_leaves_the_blend_to_the_bundle() -> None:
    profile = find_profile("")
    assert profile is not None
    monitor, policy = profile.monitor_parameters(), profile.policy_parameters()
    assert monitor["realtime_priority"] > policy["realtime_priority"] > 0
    assert monitor["lock_memory"] is policy["lock_memory"] is True
    assert "cpus" not in monitor  # an empty list cannot be said in a launch file
    assert "entry_blend" not in policy
    assert find_profile("none") is None


def test_a_profile_is_what_it_says_and_asks_for_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "format: 1\nsafety_monitor: {realtime_priority: 50, cpus: [3]}\npolicy_node: {cpus: [2, 1]}\n"
        "start: {entry_blend: 1.5, speed: 1}\n"
    )
    profile = load_profile(file)
    assert profile.safety_monitor == MachineProfile(realtime_priority=50, cpus=(3,))
    assert profile.start == StartProfile(entry_blend=1.5, speed=1.0)
    assert profile.policy_parameters() == {
        **{"realtime_priority": 0, "lock_memory": False, "cpus": [2, 1]},
        **{"warm_up": 20, "entry_blend": 1.5, "start_speed": 1.0, "start_distance": 0.1},
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("policy_nod: {}", ("unknown key 'policy_nod'", "policy_node")),
        ("policy_node: {priority: 3}", ("policy_node", "unknown key 'priority'")),
        ("safety_monitor: {realtime_priority: 99}", ("safety_monitor", "from 0 to 98, found 99")),
        ("policy_node: {realtime_priority: 10}", ("above that of policy_node", "10")),
        ("policy_node: {cpus: 3}", ("'cpus' must be a list of CPU numbers",)),
        ("policy_node: {cpus: [-1]}", ("at least 0, found -1",)),
        ("start: {speed: 0}", ("start", "speed must be from 0.1")),
        ("start: {entry_blend: -1}", ("start", "entry_blend must be from 0")),
        ("format: 2", ("twice",)),
    ],
)
def test_a_profile_that_cannot_be_meant_is_refused_by_file_and_key(
    text: str, words: tuple[str, ...], tmp_path: Path, refuses: Refuses
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"format: 1\n{text}\n")
    with refuses(ConfigError, str(file), *words):
        load_profile(file)
