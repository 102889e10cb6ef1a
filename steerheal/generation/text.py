"""Views of a text that several gates share: its words, its scripts, itself without quoted speech.

Every pattern is linear in the text: alternatives begin with different characters and nothing is nested.
"""

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache

# Scripts written without spaces: each sign counts as a word, or a page of Chinese would be a dozen "words".
_SIGN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_BREAK = r"\s!-/:-@\[-`{-~\u00a1-\u00bf\u2000-\u206f\u3000-\u303f\uff00-\uff0f"
_WORD = re.compile(rf"[{_SIGN}]|[^{_BREAK}{_SIGN}](?:[^{_BREAK}{_SIGN}]|['’\-](?=[^{_BREAK}{_SIGN}]))*")
_SPEECH = re.compile(r"“[^“”\n]{0,400}”|\"[^\"\n]{0,400}\"")
_INDENTATION = re.compile(r"[ \t]{2,40}(?![ \t])")

_SCRIPTS = [
    (0x0000, ""),
    (0x0041, "latin"),
    (0x0370, "greek"),
    (0x0400, "cyrillic"),
    (0x0530, "armenian"),
    (0x0590, "hebrew"),
    (0x0600, "arabic"),
    (0x0900, "indic"),
    (0x0E00, "thai"),
    (0x0F00, "tibetan"),
    (0x1000, "burmese"),
    (0x10A0, "georgian"),
    (0x1100, "hangul"),
    (0x1200, "ethiopic"),
    (0x13A0, "cherokee"),
    (0x1780, "khmer"),
    (0x1800, "mongolian"),
    (0x1E00, "latin"),
    (0x1F00, "greek"),
    (0x2000, ""),
    (0x3040, "cjk"),
    (0x3130, "hangul"),
    (0x3190, "cjk"),
    (0xA000, "yi"),
    (0xAC00, "hangul"),
    (0xD7FC, ""),
    (0xF900, "cjk"),
    (0xFB00, "latin"),
    (0xFB1D, "hebrew"),
    (0xFB50, "arabic"),
    (0xFF21, "latin"),
    (0xFF66, "cjk"),
    (0x10000, ""),
    (0x20000, "cjk"),
    (0x30000, ""),
]
_STARTS = [start for start, _ in _SCRIPTS]


def words(text: str) -> list[str]:
    """The words in order, as written: runs free of space and punctuation, inner apostrophes kept."""
    return _WORD.findall(text)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words begin and end."""
    return [match.span() for match in _WORD.finditer(text)]


@lru_cache(maxsize=8192)
def scripts(word: str) -> frozenset[str]:
    """The scripts of a word's letters; empty for numbers, emoji and signs of no script."""
    found = {_SCRIPTS[bisect_right(_STARTS, ord(c)) - 1][1] for c in word if c.isalpha()}
    return frozenset(found - {""})


def symbol_share(text: str) -> float:
    """Share of the visible characters that are neither letters (with their marks) nor digits."""
    visible = [c for c in text if not c.isspace()]
    signs = [c for c in visible if not c.isalnum() and unicodedata.category(c)[0] != "M"]
    return len(signs) / max(len(visible), 1)


def without_indentation(text: str) -> str:
    """The text with each run of up to 40 blanks as one: code is not repetitive for being indented. Longer
    runs are no layout, and stay.
    """
    return _INDENTATION.sub(" ", text)


def spoken_lower(text: str) -> str:
    """The text in lower case on one line, less its double-quoted speech: what a character says is not what
    the model says. A text that is mostly quotation is left whole: then the marks are the model's own
    wrapping.
    """
    bare = _SPEECH.sub(" ", text)
    kept = bare if 2 * len(bare.strip()) >= len(text.strip()) else text
    return " ".join(kept.lower().replace("’", "'").split())
