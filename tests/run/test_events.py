import pytest

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.run import events
from napari_selfdeblur.run.events import Clock, Previews


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(events.time, "perf_counter", lambda: self.now)


def test_time_left_follows_the_recent_steps_and_the_stages_to_come(monkeypatch):
    """After a slow stage of another rate, only this stage's steps count; later ones are added."""
    time = Time(monkeypatch)
    clock = Clock({"edges": 4.0, "joint": 100.0, "fuse": 7.0})
    clock.begin("edges", 0)
    time.now = 40.0
    assert clock.left(1, 4) == pytest.approx(3 * 40 + 107)
    clock.begin("joint", 0)
    time.now = 42.0
    assert clock.left(2, 10) == pytest.approx(8 * 1 + 7)


def test_time_left_of_a_resumed_run_counts_its_own_steps(monkeypatch):
    """After a resume at step 500 the rate is that of the steps since, not of all."""
    time = Time(monkeypatch)
    clock = Clock({})
    clock.begin("joint", 500)
    time.now = 2.0
    assert clock.left(501, 750) == pytest.approx(249 * 2)


def test_time_left_forgets_old_steps(monkeypatch):
    """Steps that became faster are believed after some twenty of them."""
    time = Time(monkeypatch)
    clock = Clock({})
    clock.begin("joint", 0)
    for step in range(1, 11):
        time.now += 10
        clock.left(step, 100)
    for step in range(11, 41):
        time.now += 1
        left = clock.left(step, 100)
    assert left == pytest.approx(60)


def test_previews_are_due_by_steps_or_by_time(monkeypatch):
    """Every so many steps, or when so many seconds have passed since the last one."""
    time = Time(monkeypatch)
    by_steps, by_time, never = Previews(steps=4), Previews(seconds=0.5), Previews()
    assert [step for step in range(1, 10) if by_steps.due(step)] == [4, 8]
    due = []
    for step in range(1, 9):
        time.now += 0.2
        due.append(by_time.due(step))
    assert due == [False, False, True, False, False, True, False, False]
    assert not any(never.due(step) for step in range(9))


def test_a_solvers_end_has_a_preview_if_any_step_may(monkeypatch):
    """The last estimate of a solver is shown before its interval is over, which begins anew."""
    time = Time(monkeypatch)
    by_steps, by_time, never = Previews(steps=4), Previews(seconds=0.5), Previews()
    time.now += 0.3
    assert [each.due(5, last=True) for each in (by_steps, by_time, never)] == [True, True, False]
    time.now += 0.3
    assert not by_time.due(6)


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": "x"}, {"steps": 0}, {"steps": 1.5}])
def test_intervals_out_of_range_are_refused(wrong):
    """Zero, text and fractions of a step are named at once."""
    with pytest.raises(ConfigError, match="preview_"):
        Previews(**wrong)
