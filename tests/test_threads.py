"""The tuner settles on what is fastest and notices when that changes."""

from pathlib import Path

import pytest

from llmzip.model.threads import ThreadTuner, _others_running, is_busy


class Machine:
    """A clock that runs by what a call costs with each number of threads."""

    def __init__(self, cost):
        self.cost, self.now, self.used = cost, 0.0, []

    def tuner(self, most, busy=False):
        return ThreadTuner(most, busy, lambda: self.now)

    def run(self, tuner, calls, rows=8):
        for _ in range(calls):
            threads = tuner.begin(rows)
            self.used.append(threads)
            self.now += self.cost[threads] * rows
            tuner.end(rows)


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("fastest", [1, 2, 4, 8, 12])
def test_it_finds_the_fastest_and_probes_rarely(fastest, busy):
    machine = Machine({n: 1 + abs(n - fastest) / 4 for n in (1, 2, 4, 8, 12)})
    tuner = machine.tuner(12, busy)
    assert tuner.best == (1 if busy else 12)
    machine.run(tuner, 1000)
    assert tuner.best == fastest
    settled = machine.used[5:]
    assert sum(machine.cost[n] for n in settled) < 1.08 * len(settled) * machine.cost[fastest]


def test_it_flees_a_collapse_and_comes_back():
    machine = Machine({1: 1.0, 4: 0.4, 2: 0.6})
    tuner = machine.tuner(4)
    machine.run(tuner, 200)
    machine.cost = {1: 1.0, 2: 50.0, 4: 100.0}
    machine.run(tuner, 200)
    assert tuner.best == 1 and machine.used[-1] == 1
    assert len([n for n in machine.used[200:] if n > 1]) <= 4, (
        "what is a hundred times slower must be tried hardly ever"
    )
    machine.cost = {1: 1.0, 2: 0.6, 4: 0.4}
    machine.run(tuner, 20_000)
    assert tuner.best == 4


def test_one_core_leaves_nothing_to_choose():
    machine = Machine({1: 1.0})
    machine.run(machine.tuner(1), 10)
    assert set(machine.used) == {1}


@pytest.mark.parametrize(
    ("minute", "others", "busy"),
    [(0.9, 5, False), (4.0, 0, False), (4.0, 1, True), (4.0, None, True), (None, 3, False)],
)
def test_a_machine_is_busy_if_it_was_and_still_is(monkeypatch, minute, others, busy):
    """A compiler that has just ended keeps nobody from using all cores."""

    def load():
        if minute is None:
            raise OSError
        return minute, 0.0, 0.0

    monkeypatch.setattr("os.getloadavg", load)
    monkeypatch.setattr("llmzip.model.threads._others_running", lambda: others)
    assert is_busy(2) is busy


@pytest.mark.skipif(not Path("/proc/loadavg").exists(), reason="Linux only")
def test_what_runs_now_is_known():
    assert isinstance(_others_running(), int)
