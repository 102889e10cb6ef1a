"""Who else could reach a sweep, and that one is told of it."""

import pytest

from steerheal.exposure import risks


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RAY_AUTH_MODE": "token", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
        {"RAY_ADDRESS": "10.0.0.1:6379", "RAY_AUTH_TOKEN": "t"},
        {"RAY_ADDRESS": "10.0.0.1:6379", "RAY_AUTH_MODE": "token"},
        {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"},
        {"MLFLOW_TRACKING_URI": "http://[::1]:5000"},
        {"MLFLOW_TRACKING_URI": "https://user:secret@mlflow.example"},
        {"MLFLOW_TRACKING_URI": "sqlite:///x.db"},
    ],
)
def test_closed_doors_are_not_spoken_of(environment, tmp_path):
    assert risks(environment, tmp_path) == []


@pytest.mark.parametrize(
    "environment, word",
    [
        ({"RAY_AUTH_MODE": "disabled"}, "run code as you; unset it"),
        ({"RAY_ADDRESS": "10.0.0.1:6379", "RAY_AUTH_MODE": "disabled"}, "run code as you; unset it"),
        ({"RAY_ADDRESS": "10.0.0.1:6379"}, "RAY_ADDRESS=10.0.0.1:6379: joined without a token"),
        ({"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}, "all of this machine's addresses"),
        ({"MLFLOW_TRACKING_URI": "http://user:secret@mlflow.example:80"}, "use https"),
    ],
)
def test_an_open_door_is_named_with_its_risk(environment, word, tmp_path):
    (risk,) = risks(environment, tmp_path)
    assert word in risk and "secret" not in risk and "\n" not in risk


def test_the_token_of_the_home_counts(tmp_path):
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("t")
    assert risks({"RAY_ADDRESS": "10.0.0.1:6379"}, tmp_path) == []
