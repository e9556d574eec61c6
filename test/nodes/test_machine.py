"""What the machine gives and denies: asked for in processes of their own, for whoever has it keeps it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from humanoid_rl_ros.doctor.machine_reading import read_machine
from humanoid_rl_ros.nodes.machine import Claim, claim
from humanoid_rl_ros.process_limits import UNLIMITED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has it")

# Whoever may everything gives that up, and every limit, after everything is imported.
_WITHOUT_RIGHTS = """
import ctypes, json, os, pwd, resource
from humanoid_rl_ros.doctor.machine_reading import read_machine
from humanoid_rl_ros.nodes.machine import claim
resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
if os.getuid() == 0:
    os.setuid(65534)
found = claim(realtime_priority=80, lock_memory=True, cpus=[min(os.sched_getaffinity(0))])
print(json.dumps({item.name: item.denial for item in found}))
print(os.sched_getscheduler(0) == os.SCHED_OTHER, len(os.sched_getaffinity(0)))
print(read_machine({}).locked_memory)
"""


def test_what_is_denied_is_said_with_what_to_do_and_what_is_granted_is_granted() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_RIGHTS], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    first, second, doctor = done.stdout.splitlines()
    denials = json.loads(first)
    assert denials["cpus"] == ""
    assert "limited to 0 here" in denials["realtime_priority"]
    assert "- rtprio 80' in /etc/security/limits.d/" in denials["realtime_priority"]
    assert "LimitRTPRIO=80" in denials["realtime_priority"]
    assert "limited to 64 KiB here" in denials["lock_memory"]
    assert "LimitMEMLOCK=infinity" in denials["lock_memory"]
    assert second == "True 1"
    assert doctor == "65536"


@pytest.mark.parametrize(
    ("hard", "expected"), [(8_000_000_000, 8_000_000_000), (-1, UNLIMITED)], ids=["limited", "unlimited"]
)
def test_the_doctor_looks_at_the_limit_that_a_node_raises_its_own_to(
    hard: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda which: (65536, hard))
    monkeypatch.setattr("humanoid_rl_ros.process_limits.has_capability", lambda number: False)
    assert read_machine({}).locked_memory == expected


def test_a_cpu_that_is_not_there_is_named_and_nothing_changes() -> None:
    (found,) = claim(realtime_priority=0, lock_memory=False, cpus=(0, 100_000))
    assert found.denial.startswith("no CPU 100000 for this process")
    assert found.text == f"0 100000, denied: {found.denial}"


def test_nothing_is_asked_for_that_is_not_wanted() -> None:
    assert claim(realtime_priority=0, lock_memory=False, cpus=()) == ()
    assert Claim("cpus", "3").text == "3"
