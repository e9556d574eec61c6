"""n-step transitions by hand: inside an episode, over its end, over the seam of the ring; drawn evenly; saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from humanoid_rl_ros.core.errors import ConfigError  # noqa: E402
from humanoid_rl_ros.envs.batch_env import BatchObservation, BatchStep  # noqa: E402
from humanoid_rl_ros.learning.replay_buffer import ReplayBuffer  # noqa: E402

Refuses = Callable[..., AbstractContextManager[None]]
RUNS, FALLS, CUT = "runs", "falls", "cut"


def _buffer(capacity: int, n_envs: int = 1, *, n_steps: int = 1, shared: bool = False) -> ReplayBuffer:
    return ReplayBuffer(
        capacity,
        n_envs,
        observation_size=1,
        critic_size=1 if shared else 2,
        action_size=1,
        n_steps=n_steps,
        discount=0.5,
        shared=shared,
    )


def _observation(*values: float) -> BatchObservation:
    policy = np.array(values, dtype=np.float32)[:, None]
    return BatchObservation(policy, np.hstack([policy + 0.25, -policy]))


class _Story:
    """Robots whose observation is their time, +1 with each step, and jumps to the next hundred with each episode."""

    def __init__(self, n_envs: int = 1) -> None:
        self.time = [1000.0 * i for i in range(n_envs)]

    def tell(self, buffer: ReplayBuffer, *fates: Sequence[str]) -> None:
        """Add a step for each; the reward is the time before it, the action its negative."""
        for fate in fates:
            before, after = list(self.time), [time + 1.0 for time in self.time]
            self.time = [a if f == RUNS else 100.0 * (a // 100.0 + 1.0) for a, f in zip(after, fate, strict=True)]
            terminated, truncated = np.array([f == FALLS for f in fate]), np.array([f == CUT for f in fate])
            step = BatchStep(
                _observation(*self.time), np.array(before), terminated, truncated, final=_observation(*after)
            )
            buffer.add(_observation(*before), -torch.tensor(before)[:, None], step)


def _by_start(buffer: ReplayBuffer, draws: int = 400, seed: int = 0) -> dict[float, tuple[float, float, float]]:
    """Reward, next observation and discount of every start, which must be the same in every draw of it."""
    batch = buffer.sample(draws, torch.Generator().manual_seed(seed))
    start, after = batch.observation[:, 0], batch.next_observation[:, 0]
    torch.testing.assert_close(batch.action[:, 0], -start)
    torch.testing.assert_close(batch.critic, torch.stack([start + 0.25, -start], 1))
    torch.testing.assert_close(batch.next_critic, torch.stack([after + 0.25, -after], 1))
    found: dict[float, set[tuple[float, float, float]]] = {}
    for key, reward, following, discount in torch.stack([start, batch.reward, after, batch.discount], 1).tolist():
        found.setdefault(key, set()).add((reward, following, discount))
    assert all(len(values) == 1 for values in found.values())
    return {key: values.pop() for key, values in sorted(found.items())}


def test_one_step_by_hand() -> None:
    buffer = _buffer(10)
    _Story().tell(buffer, [RUNS], [FALLS], [CUT], [RUNS])
    assert _by_start(buffer) == {
        0.0: (0.0, 1.0, 0.5),
        1.0: (1.0, 2.0, 0.0),  # fell: the last observation, and nothing after it
        100.0: (100.0, 101.0, 0.5),  # cut: the last observation is worth what it is worth
        200.0: (200.0, 201.0, 0.5),
    }


def test_three_steps_by_hand() -> None:
    buffer = _buffer(20, n_steps=3)
    _Story().tell(buffer, [RUNS], [RUNS], [RUNS], [RUNS], [CUT], [RUNS], [FALLS], [RUNS], [RUNS], [RUNS])
    assert _by_start(buffer) == {
        0.0: (0.0 + 1.0 / 2 + 2.0 / 4, 3.0, 1 / 8),
        1.0: (1.0 + 2.0 / 2 + 3.0 / 4, 4.0, 1 / 8),
        2.0: (2.0 + 3.0 / 2 + 4.0 / 4, 5.0, 1 / 8),  # cut by the third step itself
        3.0: (3.0 + 4.0 / 2, 5.0, 1 / 4),
        4.0: (4.0, 5.0, 1 / 2),
        100.0: (100.0 + 101.0 / 2, 102.0, 0.0),
        101.0: (101.0, 102.0, 0.0),
        200.0: (200.0 + 201.0 / 2 + 202.0 / 4, 203.0, 1 / 8),  # the newest start with three steps after it
    }


def test_robots_do_not_mix() -> None:
    buffer = _buffer(20, 2, n_steps=2)
    _Story(2).tell(buffer, [RUNS, FALLS], [RUNS, RUNS], [CUT, RUNS])
    assert _by_start(buffer) == {
        0.0: (0.0 + 1.0 / 2, 2.0, 1 / 4),
        1.0: (1.0 + 2.0 / 2, 3.0, 1 / 4),
        1000.0: (1000.0, 1001.0, 0.0),
        1100.0: (1100.0 + 1101.0 / 2, 1102.0, 1 / 4),
    }


@pytest.mark.parametrize("length", [5, 6, 7, 8, 9, 10, 23])
def test_the_seam_of_the_ring_changes_nothing(length: int) -> None:
    """A ring of four gives what an endless buffer gives for the newest four."""
    ring, endless = _buffer(4, n_steps=3), _buffer(1000, n_steps=3)
    fates = [[RUNS], [RUNS], [FALLS], [RUNS], [CUT], [CUT], [RUNS], [RUNS], [RUNS], [RUNS]] * 3
    for buffer in (ring, endless):
        _Story().tell(buffer, *fates[:length])
    assert (len(ring), len(endless)) == (4, length)
    expected = _by_start(endless)
    assert _by_start(ring) == {key: expected[key] for key in sorted(expected)[-2:]}


def test_last_observations_need_no_more_room_than_the_ring() -> None:
    buffer, story = _buffer(6, 2), _Story(2)
    story.tell(buffer, *[[FALLS, CUT], [CUT, CUT], [RUNS, FALLS]] * 20)
    last = {start: after for start, (_, after, _) in _by_start(buffer).items()}
    assert all(after == start + 1.0 for start, after in last.items())
    assert len(last) == 6


def test_every_start_is_equally_likely() -> None:
    buffer = _buffer(5, n_steps=2)
    _Story().tell(buffer, *[[RUNS]] * 13)
    batch = buffer.sample(8000, torch.Generator().manual_seed(1))
    counts = Counter(batch.observation[:, 0].tolist())
    assert sorted(counts) == [8.0, 9.0, 10.0, 11.0]
    assert all(abs(count - 2000) < 5 * 2000**0.5 for count in counts.values())


def test_one_array_for_both_is_stored_once() -> None:
    buffer = _buffer(4, shared=True)
    _Story().tell(buffer, [RUNS], [CUT])
    batch = buffer.sample(20, torch.Generator().manual_seed(0))
    assert batch.critic is batch.observation
    assert batch.next_critic is batch.next_observation
    assert set(buffer.state_dict()["seen"]) == {"policy"}


def test_a_saved_buffer_goes_on_alike() -> None:
    original, story = _buffer(12, 2, n_steps=2), _Story(2)
    fates = [[RUNS, CUT], [RUNS, RUNS], [FALLS, RUNS]]
    story.tell(original, *fates * 5)
    copy = _buffer(12, 2, n_steps=2)
    _Story(2).tell(copy, *[[CUT, CUT]] * 9, *[[RUNS, RUNS]] * 4)
    state = original.state_dict()
    story.tell(_buffer(12, 2, n_steps=2), *fates)  # time goes on
    copy.load_state_dict(state)
    assert len(copy) == len(original) == 12
    other = _Story(2)
    other.time = list(story.time)
    for fate in ([CUT, CUT], [CUT, FALLS], [RUNS, CUT]):
        for buffer, teller in ((original, story), (copy, other)):
            assert buffer.ready
            teller.tell(buffer, fate)
        one, two = (vars(buffer.sample(50, torch.Generator().manual_seed(2))) for buffer in (original, copy))
        for name in one:
            torch.testing.assert_close(one[name], two[name], rtol=0.0, atol=0.0)


def test_a_state_is_a_copy_of_what_is_filled() -> None:
    buffer, story = _buffer(1000), _Story()
    story.tell(buffer, [RUNS], [CUT])
    state = buffer.state_dict()
    assert state["seen"]["policy"][:, 0, 0].tolist() == [0.0, 1.0, 100.0]
    assert state["last"]["policy"][:, 0].tolist() == [2.0]
    story.tell(buffer, *[[RUNS]] * 2000)
    assert state["reward"][:, 0].tolist() == [0.0, 1.0]


def test_what_does_not_fit_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "5 transitions", "3 of 2 robots"):
        _buffer(5, 2, n_steps=3)
    buffer = _buffer(8, 2)
    _Story(2).tell(buffer, *[[RUNS, RUNS]] * 4)
    with refuses(ConfigError, "holds 8 transitions", "room for 6"):
        _buffer(6, 2).load_state_dict(buffer.state_dict())
    with refuses(ConfigError, "(2, 2)", "(1, 2)"):
        _buffer(8, 1).load_state_dict(buffer.state_dict())


def test_it_is_ready_with_n_steps() -> None:
    buffer, story = _buffer(8, n_steps=2), _Story()
    seen: list[Any] = []
    for _ in range(3):
        seen.append(buffer.ready)
        story.tell(buffer, [RUNS])
    assert seen == [False, False, True]
