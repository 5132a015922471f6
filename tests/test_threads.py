"""The tuner settles on what is faster and notices when that changes."""

from llmzip.model.threads import ThreadTuner


class Machine:
    """A clock that runs by what a call costs with each number of threads."""

    def __init__(self, cost):
        self.cost, self.now, self.used = cost, 0.0, []

    def run(self, tuner, calls, rows=8):
        for _ in range(calls):
            threads = tuner.begin(rows)
            self.used.append(threads)
            self.now += self.cost[threads] * rows
            tuner.end(rows)


def test_it_keeps_to_the_faster_choice_and_probes_rarely():
    machine = Machine({1: 1.0, 4: 0.4})
    tuner = ThreadTuner(4, lambda: machine.now)
    machine.run(tuner, 1000)
    assert tuner.best == 4
    slow = sum(machine.cost[t] for t in machine.used if t == 1)
    assert slow < 0.05 * sum(machine.cost[t] for t in machine.used)


def test_it_flees_a_collapse_and_comes_back():
    machine = Machine({1: 1.0, 4: 0.4})
    tuner = ThreadTuner(4, lambda: machine.now)
    machine.run(tuner, 200)
    machine.cost = {1: 1.0, 4: 100.0}
    machine.run(tuner, 200)
    assert tuner.best == 1 and machine.used[-1] == 1
    assert machine.used[200:].count(4) <= 3, "a hundred times slower must be tried hardly ever"
    machine.cost = {1: 1.0, 4: 0.4}
    machine.run(tuner, 5000)
    assert tuner.best == 4


def test_one_core_leaves_nothing_to_choose():
    machine = Machine({1: 1.0})
    tuner = ThreadTuner(1, lambda: machine.now)
    machine.run(tuner, 10)
    assert set(machine.used) == {1}
