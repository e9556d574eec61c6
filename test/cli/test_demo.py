"""The demo command as a user runs it: a process, its exit status, its files, its last words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from demo_runs import demo_result, run_command, run_demo

from humanoid_rl_ros.cli.processes import node_environment

pytestmark = pytest.mark.ros

COMMAND = [sys.executable, "-m", "humanoid_rl_ros"]


def test_the_default_demo_walks_and_says_so(tmp_path: Path) -> None:
    done = run_demo("--seconds", 3, "--json", "result.json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert set(result) >= {
        *("fell", "seconds", "mean_speed", "min_height", "max_tilt_deg", "real_time_factor", "ticks", "late_ticks"),
        *("tick_ms", "clamped_fraction", "safety_state", "mode"),
    }
    assert result["seconds"] == pytest.approx(3.0)
    assert not result["fell"]
    assert 0.6 < result["min_height"] < 0.8
    assert result["max_tilt_deg"] < 10.0
    assert result["mean_speed"] > 0.3  # the start included
    assert result["clamped_fraction"] == 0.0
    assert result["ticks"] >= 600
    assert set(result["tick_ms"]) == {"p50", "p99", "max"}
    assert (tmp_path / "humanoid_rl_demo.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["humanoid_rl_demo.png", "result.json"]


@pytest.mark.slow
def test_lock_step_gives_the_same_run_twice(tmp_path: Path) -> None:
    results = []
    for name in ("a.json", "b.json"):
        done = run_demo("--seconds", 2, "--json", name, "--picture", "x.png", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        results.append(json.loads((tmp_path / name).read_text()))
    for key in ("mean_velocity", "min_height", "max_tilt_deg", "clamped_fraction"):
        assert results[0][key] == results[1][key]


def _shoved(folder: Path) -> dict[str, Any]:
    return demo_result(folder, "--push", "2 2.5 0.5", "--seconds", 11, timeout=120.0)


def test_pushed_over_it_is_got_up_through_the_graph_and_walks_on(tmp_path: Path) -> None:
    result = _shoved(tmp_path)
    assert (result["falls"], result["recoveries"]) == (1, 1)
    assert result["fell"]
    assert not result["stood"]
    assert result["max_tilt_deg"] > 60.0
    assert result["safety_state"] == "ACTIVE"
    assert result["safety_reason"].startswith("falling")


@pytest.mark.slow
def test_lock_step_gives_the_same_fall_twice(tmp_path: Path) -> None:
    results = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        results.append(_shoved(tmp_path / name))
    for key in ("mean_velocity", "min_height", "max_tilt_deg", "falls", "recoveries"):
        assert results[0][key] == results[1][key]
    # Counted as the run ends: by then the last of some 1900 efforts has passed the monitor, or is on its way.
    assert results[0]["clamped_fraction"] == pytest.approx(results[1]["clamped_fraction"], rel=1e-3)


@pytest.mark.parametrize("push", ["1 2", "1 2 3 4", "a 0 0", "1 nan 0", ""])
def test_a_push_that_is_none_is_refused_by_name(push: str, tmp_path: Path) -> None:
    done = run_demo("--push", push, cwd=tmp_path)
    assert done.returncode == 2
    assert "push" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_joint_without_strength_is_felt_through_the_graph(tmp_path: Path) -> None:
    words = ["--terrain", 0.05, "--payload", 0.1, "--seconds", 3, "--get-up", "none", "--json", "result.json"]
    done = run_demo(*words, "--weak-joint", "left_knee_joint 0", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert json.loads((tmp_path / "result.json").read_text())["fell"]
    done = run_demo("--weak-joint", "left_knee_joint", cwd=tmp_path)
    assert done.returncode == 2
    assert "'left_knee_joint 0.5', found 'left_knee_joint'" in done.stderr
    assert "Traceback" not in done.stderr


def test_real_time_runs_by_the_clock(tmp_path: Path) -> None:
    # A machine that stands still for longer than a robot's limits allow is not what is asked here.
    (tmp_path / "safety.yaml").write_text("format: 1\ncommand_timeout: 1.0\nstate_timeout: 1.0\nimu_timeout: 1.0\n")
    options = ["--mode", "realtime", "--seconds", 3, "--json", "result.json", "--safety", "safety.yaml"]
    done = run_demo(*options, cwd=tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["mode"] == "realtime"
    assert not result["fell"], done.stdout + done.stderr
    assert 2.9 < result["seconds"] < 3.1
    assert result["real_time_factor"] < 1.2


def _start_demo(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "demo", "--seconds", "600", *words],
        cwd=folder,
        env=node_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _children(pid: int) -> dict[str, int]:
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            words = (folder / "cmdline").read_bytes().decode().split("\0")
        except (OSError, IndexError):
            continue
        if parent == pid:
            found.update(
                {w.rsplit(".", 1)[-1]: int(folder.name) for w in words if w.startswith("humanoid_rl_ros.nodes.")}
            )
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the nodes of the demo in /proc")
@pytest.mark.parametrize(
    "victim",
    [
        "policy_node",
        pytest.param("safety_monitor_node", marks=pytest.mark.slow),
        pytest.param("simulation_bridge_node", marks=pytest.mark.slow),
    ],
)
def test_a_node_that_is_killed_ends_the_demo_with_its_name(victim: str, tmp_path: Path) -> None:
    demo = _start_demo(tmp_path, "--json", "result.json")
    try:
        until = time.monotonic() + 60.0
        while victim not in (nodes := _children(demo.pid)) and demo.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(2.0)
        os.kill(nodes[victim], signal.SIGKILL)
        out, err = demo.communicate(timeout=30.0)
    finally:
        demo.kill()
    assert demo.returncode == 2
    assert f"error: {victim} was killed by SIGKILL" in err
    assert "Traceback" not in out + err
    assert not any(Path(f"/proc/{pid}").exists() for pid in nodes.values())
    result = tmp_path / "result.json"  # there is none where the robot was not released yet
    assert not result.exists() or json.loads(result.read_text())["error"] == f"{victim} was killed by SIGKILL"


def test_ctrl_c_ends_the_demo_and_its_nodes(tmp_path: Path) -> None:
    demo = _start_demo(tmp_path)
    try:
        until = time.monotonic() + 60.0
        while len(nodes := _children(demo.pid)) < 3 and demo.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(3.0)
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=15.0)
    finally:
        demo.kill()
    assert demo.returncode not in (0, None)
    assert "interrupted" in err
    assert "Traceback" not in out + err
    assert len(nodes) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in nodes.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("demo", "--robot", "nobody"), ["no robot named 'nobody'"]),
        (("demo", "--policy", "nothing"), ["no policy named 'nothing'"]),
        (("demo", "--policy", "/no/such/folder"), ["no policy bundle at '/no/such/folder'"]),
        (("demo", "--robot", "missing.yaml"), ["missing.yaml", "no such file"]),
        (("demo", "--robot", "g1", "--policy", "stand"), ["does not fit robot", "joint"]),
        (("demo", "--json", "no/folder/x.json"), ["cannot write no/folder/x.json"]),
        (("robot", "describe", "missing.xml"), ["missing.xml"]),
        (("robot", "check", "missing.urdf"), ["missing.urdf"]),
        (("policy", "check", "nothing"), ["no policy named 'nothing'"]),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: tuple[str, ...], words: list[str], tmp_path: Path) -> None:
    done = run_command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
