"""Addresses as they may be printed and recorded: without what is nobody's business."""

import re

# A user and a password in an address, and what follows its path: a key, perhaps.
CREDENTIALS = re.compile(r"""(?<=://)[^/\s"']*@|(?<=://)[^@\s"']*:[^@\s"']*@|\?[^\s"')]*=[^\s"')]*""")


def redacted(text: str) -> str:
    """A text whose addresses have lost their credentials."""
    return CREDENTIALS.sub("", text)
