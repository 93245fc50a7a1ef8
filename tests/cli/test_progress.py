"""What a search looks like in a file: one line per child and per update."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from raynas.child import ChildResult, LimitsConfig
from raynas.cli.terminal.console import output_console
from raynas.cli.terminal.progress import LiveTable, PlainLines, make_progress
from raynas.nn import Complexity
from raynas.run.events import Origin
from raynas.run.reuse import MemoScore
from raynas.run.run import Run
from tests.run.builders import Formula, completed, failed, make_run, report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def console_into(text: io.StringIO) -> Console:
    console = output_console()
    console.file, console.width = text, 200
    return console


class Screen:
    """A progress that writes into a string."""

    def __init__(
        self, *, num_children: int, is_terminal: bool = False, best_by_accuracy: bool = False
    ) -> None:
        self.text = Terminal() if is_terminal else io.StringIO()
        self.progress = make_progress(
            num_children, console_into(self.text), best_by_accuracy=best_by_accuracy
        )

    @property
    def lines(self) -> list[str]:
        return self.text.getvalue().splitlines()


def finish_next(run: Run, result) -> None:
    run.finish(run.next_child().id, result)


def test_a_pipe_gets_plain_lines_and_a_terminal_the_live_table():
    assert isinstance(Screen(num_children=2).progress, PlainLines)
    assert isinstance(Screen(num_children=2, is_terminal=True).progress, LiveTable)


def test_a_finished_child_is_one_line_with_the_journals_keys():
    screen = Screen(num_children=4)
    run = make_run(listeners=[screen.progress], measure=lambda genotype: Complexity(1234, 5, 6))
    with screen.progress:
        finish_next(run, completed(0.75))
        run.next_child()
        run.report(1, report(1))
    arch_id = run.records[0].proposed.arch_id
    expected = (
        f"[1/4] child done  child=0 arch_id={arch_id} status=completed accuracy=0.7500 reward=0.7500 "
        f"parameters=1234 seconds=1.5  (best 0.7500 ({arch_id}), "
    )
    assert len(screen.lines) == 1
    assert screen.lines[0].startswith(expected)


def test_a_failed_child_is_one_line_with_its_reason_whatever_is_in_it():
    screen = Screen(num_children=4)
    run = make_run(listeners=[screen.progress])
    finish_next(run, failed("boom\n[red]at line 3[/red] " + "x" * 500))
    assert len(screen.lines) == 1
    assert "status=failed seconds=0.2 reason='boom\\n[red]at line 3[/red] xxx" in screen.lines[0]
    assert "no score yet" in screen.lines[0]
    assert "accuracy=" not in screen.lines[0]


def test_the_best_child_stays_the_best_until_a_better_one():
    screen = Screen(num_children=3)
    run = make_run(listeners=[screen.progress])
    for accuracy in (0.0, 0.75, 0.5):
        finish_next(run, completed(accuracy))
    assert [line.split("(best ")[1][:6] for line in screen.lines] == ["0.0000", "0.7500", "0.7500"]


def test_negative_rewards_have_a_best_one_too():
    screen = Screen(num_children=2)
    run = make_run(listeners=[screen.progress], reward=Formula(lambda accuracy: accuracy - 1.0))
    for accuracy in (0.25, 0.5):
        finish_next(run, completed(accuracy))
    assert screen.progress.best == run.records[1]


def test_where_a_reward_says_what_was_added_to_a_front_the_best_is_the_most_accurate():
    screen = Screen(num_children=2, best_by_accuracy=True)
    run = make_run(listeners=[screen.progress], reward=Formula(lambda accuracy: -accuracy))
    for accuracy in (0.25, 0.5):
        finish_next(run, completed(accuracy))
    assert screen.progress.best == run.records[1]
    assert "(best 0.5000 (" in screen.lines[1]


def test_a_child_that_its_worker_finds_too_slow_leaves_the_live_table():
    screen = Screen(num_children=2, is_terminal=True)
    run = make_run(listeners=[screen.progress], limits=LimitsConfig(latency_ms=5))
    slow, other = run.next_child(), run.next_child()
    assert slow.arch_id in shown(screen)
    run.finish(slow.id, ChildResult(status="infeasible", latency_ms=9.0, reason="too slow"))
    assert slow.arch_id not in shown(screen)
    assert other.arch_id in shown(screen)
    assert "1 beyond the limits" in shown(screen)


def test_an_update_of_the_policy_is_one_line():
    screen = Screen(num_children=4)
    run = make_run(strategy="ppo", listeners=[screen.progress])
    for accuracy in (0.5, 0.25):
        finish_next(run, completed(accuracy))
    assert len(screen.lines) == 3
    assert screen.lines[-1].startswith("policy updated  policy_version=1 mean_reward=0.375 baseline=")


def test_what_is_replayed_is_counted_and_not_told_again():
    first = make_run(strategy="ppo")
    for accuracy in (0.5, 0.75):
        finish_next(first, completed(accuracy))
    screen = Screen(num_children=4)
    run = make_run(strategy="ppo", listeners=[screen.progress])
    run.replay(first.events)
    assert screen.lines == []
    finish_next(run, completed(0.25))
    assert [line[:5] for line in screen.lines] == ["[3/4]"]
    assert "best 0.7500" in screen.lines[0]


def test_scores_of_other_runs_are_told_though_nothing_is_trained():
    first = make_run(num_children=1)
    finish_next(first, completed(0.75))
    origin = Origin(run_id="r", folder="runs/one", child=3)
    memo = {first.records[0].proposed.arch_id: MemoScore(completed(0.75), origin)}
    screen = Screen(num_children=1)
    run = make_run(listeners=[screen.progress], num_children=1, reuses=True, memo=memo)
    run.replay([])
    assert run.next_child() is None
    (line,) = screen.lines
    assert "child=0" in line and "reward=0.7500" in line
    assert "memo_run=runs/one memo_child=3" in line


@pytest.mark.parametrize("is_terminal", [False, True])
def test_refused_proposals_are_counted_and_no_children(is_terminal):
    screen = Screen(num_children=2, is_terminal=is_terminal)
    sizes = iter([9, 8, 9, 1])
    limits = LimitsConfig(parameters=8)
    listeners = [screen.progress]
    run = make_run(listeners=listeners, measure=lambda genotype: Complexity(next(sizes), 5, 6), limits=limits)
    assert "beyond" not in screen.progress.summary()
    finish_next(run, completed(0.75))
    finish_next(run, completed(0.5))
    last = shown(screen) if is_terminal else screen.lines[-1]
    assert "2/2" in last
    assert "2 beyond the limits" in last
    assert "infeasible" not in last


@pytest.mark.parametrize("num_children", [1, 12])
def test_the_live_table_shows_running_and_finished_children(num_children):
    screen = Screen(num_children=num_children, is_terminal=True)
    run = make_run(listeners=[screen.progress], num_children=num_children)
    for index in range(num_children):
        run.next_child()
        run.report(index, report(1, 0.5))
        assert "running" in shown(screen)
        run.finish(index, failed() if index % 2 else completed())
    table = shown(screen)
    assert f"{num_children}/{num_children}" in table
    assert run.records[num_children - 1].proposed.arch_id in table
    assert "running" not in table


def test_the_live_table_names_the_phase_until_a_child_has_reported():
    screen = Screen(num_children=2, is_terminal=True)
    assert "Reading the data ... 0 min" in shown(screen)
    screen.progress.noted("Starting the workers ...")
    assert "Starting the workers ... 0 min" in shown(screen)
    run = make_run(listeners=[screen.progress])
    run.next_child()
    assert "The workers load" in shown(screen) and "since the start" not in shown(screen)
    run.report(0, report(1, 0.5))
    assert "The workers load" not in shown(screen) and "since the start" in shown(screen)


@pytest.mark.parametrize(("width", "hidden"), [(80, ""), (60, "parameters"), (50, "parameters, seconds")])
def test_a_narrow_live_table_says_what_it_leaves_out(width, hidden):
    screen = Screen(num_children=2, is_terminal=True)
    screen.progress._console.width = width
    finish_next(make_run(listeners=[screen.progress]), completed())
    text = shown(screen)
    assert (f"not shown on a narrow terminal: {hidden}\n" in text) == bool(hidden)
    assert max(len(line) for line in text.splitlines() if "completed" in line) <= width


def shown(screen: Screen) -> str:
    text = io.StringIO()
    assert isinstance(screen.progress, LiveTable)
    console_into(text).print(screen.progress._render())
    return text.getvalue()
