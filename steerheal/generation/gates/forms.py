"""Word forms that no writer would use: what is left when a model assembles scraps of its vocabulary.

    odd forms  = odd words / max(words, FEWEST)      script switches = changes of script / max(words, FEWEST)

Odd: capitals and small letters glued together in a way no name is ("BUILDUTEutive"), two scripts in one word,
letters and digits interleaved, the same letter three times in a row inside a word, a long Latin word without
a vowel or with six consonants on end, an endless word, a suffix standing alone ("tions", "ment"). A form that
the prompt itself uses is not odd. FEWEST keeps one strange name in a short answer from deciding.
"""

import re
from functools import lru_cache

from steerheal.generation.text import scripts, words

FEWEST = 8
LONGEST_WORD = 28
_SCRAPS = frozenset(
    "tion tions sion ment ments ness nesses ity ities ous ive ively ization izing ing ings ated ating ually "
    "ically ently antly ances ences ible ibly ful fully ism isms ists uring uting ture tures cial tial "
    "tially "
    "ological ography ability abilities ational ationally ward wards ther ough ould ight ution".split()
)
_GLUED = re.compile(r"[a-z][A-Z]{2,}[a-z]|[A-Z]{3,}[a-z]{3,}|[a-z]{2,}[A-Z]{3,}|(?:[a-z][A-Z]){3,}")
_INTERLEAVED = re.compile(r"[a-z]\d+[a-z]+\d|\d[a-z]+\d+[a-z]", re.IGNORECASE)
_TRIPLED = re.compile(r"([^\W\d_])\1\1\1|[a-z]([a-z])\2\2[a-z]", re.IGNORECASE)
_NO_VOWEL = re.compile(r"[bcdfghjklmnpqrstvwxz]{5,}", re.IGNORECASE)
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{6,}", re.IGNORECASE)
_JOINED_BY_WRITERS = re.compile(r"['’\-]")


@lru_cache(maxsize=8192)
def odd(word: str) -> bool:
    """Is this one word, as written, a form that no writer would use?"""
    if word.isascii() and word.islower() and len(word) < 4 and word not in _SCRAPS:
        return False
    if any(len(part) > LONGEST_WORD for part in _JOINED_BY_WRITERS.split(word)):
        return scripts(word) <= {"latin"}  # scripts without spaces make long words of whole sentences
    return bool(
        word.casefold() in _SCRAPS
        or len(scripts(word)) > 1
        or _GLUED.search(word)
        or _INTERLEAVED.search(word)
        or _TRIPLED.search(word)
        or (_NO_VOWEL.fullmatch(word) and not word.isupper())
        or (_CONSONANTS.search(word) and not word.isupper())
    )


def odd_form_share(written: list[str], prompt: str) -> float:
    known = frozenset(words(prompt))
    return sum(1 for word in written if odd(word) and word not in known) / max(len(written), FEWEST)


def script_switches(written: list[str]) -> float:
    """Changes of script from word to word, per word; numbers and emoji have none and are passed over."""
    sequence = [found for found in map(scripts, written) if found]
    switches = sum(1 for before, after in zip(sequence, sequence[1:]) if not before & after)
    return switches / max(len(written), FEWEST)
