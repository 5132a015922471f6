"""Blocks ahead of those that are waited for: order, errors, which thread does what."""

from __future__ import annotations

import threading

import pytest

from llmzip.codec.ahead import Ahead, stuck


def quiet(share: float) -> None:
    pass


def here(report):
    return threading.current_thread()


def test_a_single_job_takes_no_thread():
    ahead = Ahead(4)
    ahead.put(here, quiet)
    assert ahead.take() is threading.main_thread()
    ahead.close()


def test_more_jobs_run_in_threads_at_the_same_time_and_come_in_order():
    ahead, meet = Ahead(3), threading.Barrier(3, timeout=60)

    def job(number):
        return lambda report: (meet.wait() >= 0 and number, threading.current_thread())

    for number in range(3):
        assert not ahead.full
        ahead.put(job(number), quiet)
    assert ahead.full
    results = [ahead.take() for _ in range(3)]
    assert [number for number, _ in results] == [0, 1, 2]
    assert threading.main_thread() not in {thread for _, thread in results}
    ahead.close()


@pytest.mark.parametrize("most", [1, 2, 5])
def test_errors_come_out_with_their_results(most):
    ahead = Ahead(most)

    def fails(report):
        raise ZeroDivisionError

    taken = []
    for job in (lambda report: 1, fails, lambda report: 3):
        ahead.put(job, quiet)
        while ahead.full:
            try:
                taken.append(ahead.take())
            except ZeroDivisionError:
                taken.append(None)
    for _ in range(3 - len(taken)):
        try:
            taken.append(ahead.take())
        except ZeroDivisionError:
            taken.append(None)
    assert taken == [1, None, 3]
    ahead.close()


def test_what_is_done_here_keeps_its_place():
    ahead = Ahead(3)
    ahead.put(lambda report: "first", quiet)
    ahead.put(here, quiet, here=True)
    assert (ahead.take(), ahead.take()) == ("first", threading.main_thread())
    ahead.close()


def test_native_code_is_not_waited_for_after_a_signal(monkeypatch):
    monkeypatch.setattr("llmzip.codec.ahead._PATIENCE", 0.01)
    ahead, going, end = Ahead(2), threading.Event(), threading.Event()
    ahead.put(lambda report: going.set() or end.wait(60), quiet)
    ahead.put(lambda report: end.wait(60), quiet)
    assert going.wait(60)
    with pytest.raises(KeyboardInterrupt):
        try:
            raise KeyboardInterrupt
        finally:
            ahead.close()
    assert stuck() and not end.is_set()
    end.set()
    while stuck():
        pass


def test_what_is_not_taken_is_given_up():
    ahead, going, stopped = Ahead(2), threading.Event(), threading.Event()

    def long(report):
        try:
            going.set()
            while True:
                report(0.5)
        except BaseException:
            stopped.set()
            raise

    ahead.put(long, quiet)
    ahead.put(lambda report: None, quiet)
    assert going.wait(60)
    ahead.close()
    assert stopped.is_set()
