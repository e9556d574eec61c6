"""Robot, policy and limits, as the nodes would take them."""

from __future__ import annotations

from pathlib import Path

import pytest

from humanoid_rl_ros.doctor.fit import judge_fit


def test_the_shipped_ones_fit_and_say_what_to_expect() -> None:
    pytest.importorskip("onnxruntime")
    fit = judge_fit("reference", "walk", "")
    assert {(f.name, f.level) for f in fit.findings} == {
        ("policy.bundle", "ok"),
        ("robot.file", "ok"),
        ("policy.contract", "ok"),
        ("safety.limits", "ok"),
    }
    assert (fit.expected_states().least_rate, fit.expected_states().wanted_rate) == (50.0, 200.0)
    assert fit.expected_states().timeout == fit.expected_efforts().timeout == 0.1


def test_what_does_not_fit_is_an_error_with_the_first_difference() -> None:
    findings = judge_fit("reference", "walk_g1", "").findings
    assert {f.name: f.level for f in findings if f.level != "ok"} == {
        "policy.contract": "error",
        "policy.differences": "warning",
    }
    (broken,) = (f for f in findings if f.level == "error")
    assert "'waist_roll_joint' is not a joint of the robot" in broken.found
    assert "(and 11 more)" in broken.found


def test_what_cannot_be_loaded_is_an_error_and_not_the_end(tmp_path: Path) -> None:
    limits = tmp_path / "safety.yaml"
    limits.write_text("format: 1\ncommand_timeouts: 0.1\n")
    found = {f.name: (f.level, f.found) for f in judge_fit("robot", "walks", str(limits)).findings}
    assert found["policy.bundle"] == ("error", found["policy.bundle"][1])
    assert "no robot named 'robot'" in found["robot.file"][1]
    assert "command_timeout" in found["safety.limits"][1]
    assert judge_fit("", "", "").robot is None
