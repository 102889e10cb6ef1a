"""A table from anywhere: its slopes, verdicts and ties, and what is said of a table that cannot be ranked."""

import json
import sys

import pytest

from analysis import rank
from steerheal.cli import run

ABLATION = """\
reg,lam,wd,auth_nats,d_auth_base,d_coh_base,slope_x100
kl_rev,0.1,0,-3.5,-1.25,0.0025,-0.2
nll,0,0,-3.0,-0.75,-0.0015,0.2
nll,0,15,-3.0,-0.75,-0.0015,0.2
spectral,1,0,-2.3,-0.04,0.01,-25
"""
SEEDED = '''\
reg,lam,seed,d_auth_base,d_coh_base
nll,0,0,-1.30,-0.0100
nll,0,1,-1.25,-0.0110
nll,0,2,-1.35,-0.0105
"nll, ""again""",0,0,-1.31,-0.0101
"nll, ""again""",0,1,-1.26,-0.0111
"nll, ""again""",0,2,-1.34,-0.0106
kl_rev,3,0,-0.90,-0.0010
kl_rev,3,1,-0.85,-0.0012
kl_rev,3,2,-0.95,-0.0011
'''


@pytest.fixture
def ranked(tmp_path, monkeypatch, capsys):
    """Runs the command on the text of a table: (exit code, stdout, stderr)."""

    def call(text, *arguments):
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["rank", str(path), *arguments])
        try:
            run(rank.main)
            code = 0
        except SystemExit as exit_:
            code = exit_.code
        return code, *capsys.readouterr()

    return call


def judged(ranked, text, *arguments):
    code, out, err = ranked(text, "--json", *arguments)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_slopes_against_base_need_no_options(ranked):
    report = judged(ranked, ABLATION)
    assert [(row["name"], row["verdict"]) for row in report["rows"]] == [
        ("kl_rev, lam 0.1, wd 0", "ok"),
        ("nll, lam 0, wd 0", "ok"),
        ("nll, lam 0, wd 15", "ok"),
        ("spectral, lam 1, wd 0", "no-op"),
    ]
    assert [row["slope"] for row in report["rows"]] == pytest.approx([-0.2, 0.2, 0.2, -25])


def test_without_seeds_there_are_no_intervals_and_no_ties(ranked):
    report = judged(ranked, ABLATION, "--base-trait", "-2.25", "--base-coherence", "0.996")
    assert {row["interval"] for row in report["rows"]} == {None}
    assert {(row["tied"], row["tie_group"]) for row in report["rows"]} == {(None, None)}
    assert len(report["pairs"]) == 3 and {pair["real"] for pair in report["pairs"]} == {None}
    assert report["pairs"][0]["difference"] == pytest.approx(-0.4)
    assert "nothing is known of ties" in ranked(ABLATION)[1]


def test_measured_columns_and_differences_agree(ranked):
    text = "reg,auth_nats,coherence\nnll,-3.0,0.99\nkl,-3.5,0.80\n"
    rows = judged(ranked, text, "--base-trait", "-2.0", "--base-coherence", "1.0")["rows"]
    assert [(row["name"], row["verdict"]) for row in rows] == [("nll", "ok"), ("kl", "broken")]
    assert rows[0]["slope"] == pytest.approx(1.0) and rows[0]["gain"] == pytest.approx(1.0)


def test_seeds_give_intervals_ties_and_groups(ranked):
    report = judged(ranked, SEEDED)
    best, *others = report["rows"]
    assert best["name"] == "kl_rev, lam 3" and best["tied"] is True and best["tie_group"] == 1
    assert best["interval"][0] < best["slope"] < best["interval"][1] and best["n"] == 3
    assert {(row["tied"], row["tie_group"]) for row in others} == {(False, 2)}
    assert others[0]["name"] in ("nll, lam 0", 'nll, "again", lam 0')
    real = {frozenset((pair["a"], pair["b"])): pair["real"] for pair in report["pairs"]}
    assert real.pop(frozenset(row["name"] for row in others)) is False and set(real.values()) == {True}
    for pair in report["pairs"]:
        low, high = pair["interval"]
        assert low < pair["difference"] < high and pair["real"] == (not low <= 0 <= high)


def test_the_table_is_printed_with_its_noise(ranked):
    code, out, _ = ranked(SEEDED)
    assert code == 0 and "behind" in out and "best" in out and "cannot be told from noise at 3 seeds" in out


def test_empty_cells_are_failed_seeds(ranked):
    one = SEEDED.replace("kl_rev,3,1,-0.85,-0.0012", "kl_rev,3,1,,NaN")
    row = judged(ranked, one)["rows"][0]
    assert (row["name"], row["n"], row["failed"], row["verdict"]) == ("kl_rev, lam 3", 2, 1, "ok")
    two = one.replace("kl_rev,3,2,-0.95,-0.0011", "kl_rev,3,2,,")
    row = judged(ranked, two)["rows"][-1]
    assert (row["name"], row["verdict"], row["slope"]) == ("kl_rev, lam 3", "unknown", None)


def test_a_collapse_is_broken_and_not_missing(ranked):
    text = "reg,auth_nats,coherence\nnll,-3.0,0.99\nkl,-inf,0.9\n"
    rows = judged(ranked, text, "--base-trait", "-2.0", "--base-coherence", "1.0")["rows"]
    assert (rows[1]["name"], rows[1]["verdict"]) == ("kl", "broken")


def test_a_rerun_of_a_seed_counts_once(ranked):
    again = SEEDED + "kl_rev,3,2,-0.95,-0.0011\n"
    assert judged(ranked, again) == judged(ranked, SEEDED)


def test_what_reruns_differ_by_is_the_least_error(ranked):
    """Configurations whose seeds differ by less than two runs of one seed do are not told apart."""
    rows = ["reg,seed,d_auth_base,d_coh_base"]
    rows += [
        f"{reg},{seed},-{gain + seed / 1e4},-0.0100" for reg, gain in (("a", 1.0), ("b", 1.01)) for seed in range(3)
    ]
    text = "\n".join(rows) + "\n"
    same = judged(ranked, text)
    assert [pair["real"] for pair in same["pairs"]] == [True]
    again = judged(ranked, text + "a,0,-1.05,-0.0110\n" + "a,0,-0.95,-0.0090\n")
    assert [pair["real"] for pair in again["pairs"]] == [False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reg,d_auth,d_coh_base\nnll,-1,0\n", "d_auth may be one of them"),
        ("reg,lam\nnll,1\n", "needs the column auth_nats"),
        ("reg,auth_nats,d_coh_base\nnll,-3,0\n", "--base-trait"),
        ("reg,d_auth_base,coherence\nnll,-3,0\n", "--base-coherence"),
        ("reg,d_auth_base,d_coh_base\nnll,many,0\n", "line 2: d_auth_base: 'many' is not a number"),
        ("reg,d_auth_base,d_coh_base\nnll,-1,0\nnll,-1,0\n", "line 3: repeats the configuration of line 2"),
        ("reg,seed,d_auth_base,d_coh_base\nnll,,-1,0\n", "line 2: seed: is empty"),
        ("reg,d_auth_base,d_coh_base\nnll,-1\n", "line 2: has 2 cells, the header 3"),
        ("reg,reg,d_auth_base,d_coh_base\na,b,-1,0\n", "is there twice"),
        ('reg,d_auth_base,d_coh_base\n"nll,-1,0\n', "check its quotes"),
        ("reg,d_auth_base,d_coh_base\n", "has no rows"),
    ],
)
def test_a_table_that_cannot_be_ranked_is_refused_in_one_line(ranked, text, said):
    code, out, err = ranked(text)
    assert code == 2 and out == "" and err.count("\n") == 1
    assert said in err and "table.csv" in err


def test_a_file_that_is_not_there(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["rank", str(tmp_path / "none.csv")])
    with pytest.raises(SystemExit) as exit_:
        run(rank.main)
    assert exit_.value.code == 2 and "cannot be read" in capsys.readouterr().err
