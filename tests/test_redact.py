"""Addresses as they may be printed."""

import pytest

from steerheal.redact import redacted


@pytest.mark.parametrize(
    "text, shown",
    [
        ("http://host:5000/x", "http://host:5000/x"),
        ("http://u:p@host/x", "http://host/x"),
        ("http://u:p@ss@host/x", "http://host/x"),
        ("http://u:p/w@host/x", "http://host/x"),
        ("https://token@host", "https://host"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("see http://a:b@c and me@home", "see http://c and me@home"),
        ("http://host/x?key=secret", "http://host/x"),
    ],
)
def test_no_credentials_are_shown(text, shown):
    assert redacted(text) == shown
