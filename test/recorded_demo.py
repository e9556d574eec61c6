"""The demo, recorded by the recorder as a user starts it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from humanoid_rl_ros.bags.journals import JournalReport, read_stretches
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.cli.processes import domains_to_take, node_environment
from humanoid_rl_ros.interfaces.journal import KEY

COMMAND = [sys.executable, "-m", "humanoid_rl_ros"]


TRIES = 3


def record_demo(folder: Path, *words: object) -> Path:
    """Record a demo; again where the middleware took so long to bring them together that the recorder missed a node.

    Args:
        folder: the bag is made in it.
        words: arguments of the demo.

    Returns:
        The bag.
    """
    for k in range(TRIES):
        place = folder / str(k)
        place.mkdir()
        bag = _record(place, *words)
        with Bag(bag) as opened:
            if _is_whole(opened):
                break
    return bag


def _is_whole(bag: Bag) -> bool:
    """Whether both journals have a state from before the robot fell, and no gap."""
    fell = [message.log_ns for message in bag.messages(["/safety/status"]) if b"FALLING\0" in message.data]
    for topic in ("/policy/journal", "/safety/journal"):
        states: list[int] = []
        for stretch in read_stretches(bag, topic, report := JournalReport()):
            offset_ns = stretch.batch.wall_ns - stretch.batch.monotonic_ns
            states += [entry.now_ns + offset_ns for entry in stretch.batch.entries if entry.kind == KEY]
        if report.lost or not states or any(states[0] > log_ns for log_ns in fell[:1]):
            return False
    return True


def _record(folder: Path, *words: object, timeout: float = 90.0) -> Path:
    """Record a demo from before its beginning to after its end.

    Args:
        folder: the bag is made in it.
        words: arguments of the demo.
        timeout: [s].

    Returns:
        The bag.
    """
    bag = folder / "bag"
    domain = random.choice(domains_to_take()[:20])
    environment = node_environment() | {"ROS_DOMAIN_ID": str(domain)}
    log = (folder / "recorder.log").open("wb")
    recorder = subprocess.Popen(
        [*COMMAND, "bag", "record", "-o", str(bag), "--min-free", "0"],
        env=environment,
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 30.0
        while not (bag / "metadata.yaml").exists() and recorder.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        demo = subprocess.run(
            [*COMMAND, "demo", *map(str, words), "--picture", str(folder / "demo.png")],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=folder,
        )
        assert demo.returncode in (0, 1), demo.stdout + demo.stderr
        time.sleep(0.5)
        recorder.send_signal(signal.SIGINT)
        recorder.wait(20.0)
    finally:
        recorder.kill()
        log.close()
    assert recorder.returncode == 0, (folder / "recorder.log").read_text()
    os.remove(folder / "demo.png")
    return bag
