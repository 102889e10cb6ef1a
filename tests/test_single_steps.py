"""What single steps refuse before the model is loaded, and options that are given several times."""

import pytest

from steerheal import evaluate, generate, heal
from steerheal.errors import UserError


def refused(monkeypatch, module, *words):
    """The one line that is said."""
    monkeypatch.setattr("sys.argv", ["x", *map(str, words)])
    with pytest.raises(UserError) as said:
        module.main()
    assert "\n" not in str(said.value)
    return str(said.value)


def test_an_output_that_is_a_folder(monkeypatch, tmp_path):
    for module in (generate, evaluate):
        assert refused(monkeypatch, module, "--out", tmp_path) == f"--out: {tmp_path} is a folder; name a file in it"
    assert refused(monkeypatch, generate, "--save-vector", tmp_path).startswith("--save-vector: ")


def test_settings_out_of_range(monkeypatch):
    assert "temperature: -1.0 is out of range" in refused(monkeypatch, generate, "--temperature=-1")
    assert "hub:foo: data.vignettes: " in refused(monkeypatch, evaluate, "--vignettes", "hub:foo")


@pytest.mark.parametrize("words", [("--dose", "nan"), ("--dose", "inf"), ("--layers", "-1")])
def test_numbers_that_mean_nothing(monkeypatch, words, capsys):
    monkeypatch.setattr("sys.argv", ["x", *words])
    with pytest.raises(SystemExit, match="2"):
        generate.main()
    assert f"argument {words[0]}: must be" in capsys.readouterr().err


def test_heal_has_the_rules_of_a_sweep(monkeypatch, tmp_path):
    common = ("--data", tmp_path / "pairs.jsonl", "--out", tmp_path / "healed")
    assert "--set lam: it exists only for the kl" in refused(monkeypatch, heal, *common, "--set", "lam=0.3")
    assert "--set wd: lr 1 times wd 5" in refused(monkeypatch, heal, *common, "--set", "lr=1", "--set", "wd=5")


def test_what_is_given_several_times_counts_several_times():
    common = ["--data", "d", "--out", "o"]
    asked = heal._parser().parse_args([*common, "--set", "reg=kl_rev", "--set", "lam=1", "tau=0"])
    assert asked.set == ["reg=kl_rev", "lam=1", "tau=0"] and heal._parser().parse_args(common).set == []
    steps = generate._parser().parse_args(["--dose", "1", "--dose", "2", "--adapter", "a", "--adapter", "b"])
    assert steps.dose == [1.0, 2.0] and [str(one) for one in steps.adapter] == ["a", "b"]
