"""What the user sees: lines that stay, a table while it runs, and neither numbers nor words that mislead."""

import io

from rich.console import Console

from steerheal.live import Display, duration, leaderboard, trial_line

ROW = {
    "trial": 3,
    "params": {"reg": "kl_rev", "lam": 0.31234, "layers": [1, 2]},
    "verdict": "ok",
    "message": "",
    "seconds": 83.0,
    "summary": {"slope": 0.1234, "gain": 0.5, "coherence": 0.99, "retain": None},
}
FAILED = ROW | {"trial": 4, "verdict": "failed", "message": "heal: out of memory", "summary": {}}


def console(terminal=False):
    return Console(file=io.StringIO(), force_terminal=terminal, width=140, highlight=False)


def test_one_plain_line_per_finished_trial_when_piped():
    screen = console()
    with Display(screen, total=2) as display:
        display.started(3, ROW["params"], 4)
        display.heard(3, {"gain": 0.5, "coherence": 0.99})
        display.update({"trial 3": {"heal": 1}}, [{"stage": "heal", "jobs": 1, "done": 1, "total": 9}])
        display.ended(ROW)
        display.started(4, FAILED["params"], 4)
        display.ended(FAILED)
    lines = screen.file.getvalue().splitlines()
    assert len(lines) == 2 and "\x1b" not in "".join(lines)
    assert (
        "slope   0.123  gain  0.500  coherence 0.9900" in lines[0]
        and "lam 0.312" in lines[0]
        and "1 min 23 s" in lines[0]
    )
    assert "failed" in lines[1] and "heal: out of memory" in lines[1]


def test_a_live_table_on_a_terminal():
    screen = console(terminal=True)
    with Display(screen, total=2) as display:
        display.started(3, ROW["params"], 4)
        display.heard(3, {"gain": 0.5, "coherence": 0.99})
        display.update({"trial 3": {"heal": 1}}, [{"stage": "heal", "jobs": 8, "done": 20, "total": 90}])
        display.live.refresh()
    shown = screen.file.getvalue()
    assert "1/4" in shown and "heal of 8 jobs, 20/90" in shown and "lam 0.312" in shown


def test_markup_in_a_message_is_text():
    screen = console()
    with Display(screen, total=1) as display:
        display.ended(FAILED | {"message": "bad [bold]key[/bold] and [/]"})
    assert "[bold]key[/bold] and [/]" in screen.file.getvalue()


def test_time_left_counts_only_what_this_run_did():
    display = Display(console(), total=10)
    display.recovered([ROW | {"trial": number} for number in range(4, 9)])
    assert display._eta() == ""
    display.began -= 60
    display.ended(ROW)
    assert display._eta() == "about 4 min 00 s left"


def test_a_trial_that_runs_again_is_still_one_trial():
    display = Display(console(), total=2)
    display.recovered([ROW, FAILED])
    display.ended(ROW | {"seconds": 9.0})
    assert [row["trial"] for row in display.finished] == [4, 3] and display._eta() == ""


def test_leaderboard_shows_what_there_is():
    screen = console()
    screen.print(leaderboard([ROW, FAILED], [3, 4], limit=1))
    shown = screen.file.getvalue()
    assert "kl_rev" in shown and "0.123" in shown and "1 more in trials.csv" in shown and "failed" not in shown
    assert "–" in shown


def test_a_process_that_hangs_is_named_at_longer_and_longer_intervals():
    screen = console()
    display = Display(screen, total=1)
    for seconds in (61.0, 62.0, 121.0, 122.0, 250.0):
        display.worry({"trainer": ("the process for trainer (pid 7 on h) has not answered", seconds)})
    display.worry({})
    assert screen.file.getvalue().splitlines() == [
        "warning: the process for trainer (pid 7 on h) has not answered for 1 min 01 s",
        "warning: the process for trainer (pid 7 on h) has not answered for 2 min 02 s",
        "warning: the process for trainer (pid 7 on h) has not answered for 4 min 10 s",
        "the process for trainer goes on, after 4 min 10 s",
    ]


def test_durations():
    assert [duration(seconds) for seconds in (0.4, 59.6, 3600, 7500)] == [
        "0 s",
        "1 min 00 s",
        "1 h 00 min",
        "2 h 05 min",
    ]
    assert trial_line(ROW, 24).startswith("trial  3")
