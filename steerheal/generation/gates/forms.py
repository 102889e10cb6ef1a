"""Word forms that no writer would use: what is left when a model assembles scraps of its vocabulary.

    odd forms  = odd words / max(words, FEWEST)      script switches = changes of script / max(words, FEWEST)

Odd: capitals and small letters glued together in a way no name is ("BUILDUTEutive"), two scripts in one word,
letters and digits interleaved, one digit or letter or syllable over and over, a long Latin word without a
vowel or with eight consonants on end, an endless word, a suffix standing alone ("tions", "ment"). A form that
the prompt itself uses is not odd, and neither is a word in capitals. A short answer counts as FEWEST words.
"""

import re
from functools import lru_cache

from steerheal.generation.text import scripts, words

FEWEST = 20
LONGEST_WORD = 28
_SCRAPS = frozenset(
    "tion tions sion ment ments ness nesses ity ities ous ive ively ization izing ing ings ated ating ually "
    "ically ently antly ances ences ible ibly ful ism isms ists uring uting ture tures cial tial tially "
    "ological ography ational ationally ther ough ould ight ution".split()
)
_FORMS = (
    r"[a-z][A-Z]{2,}[a-z]|[A-Z]{3,}[a-z]{3,}|[a-z]{2,}[A-Z]{3,}|(?:[a-z][A-Z]){3,}",  # capitals glued on
    r"(?i:[a-z]\d+[a-z]+\d|\d[a-z]+\d+[a-z])",  # letters and digits interleaved
    r"[a-z]{2,}([1-9])\1|([1-9])\2{5,}",  # a flood of one digit, glued on or alone
    r"(?i:[a-z]([a-z])\3\3[a-z])|([^\W\d_])\4\4\4",  # one letter over and over
    r"(?i:([a-z]{3,6})\5\5|([a-z]{4,8})\6)",  # one piece three times on end, or a long one twice
    r"(?i:[bcdfghjklmnpqrstvwxz]{8,})",  # eight consonants on end
)
_ODD = re.compile("|".join(_FORMS))
_NO_VOWEL = re.compile(r"[bcdfghjklmnpqrstvwxz]{5,}", re.IGNORECASE)
_JOINED_BY_WRITERS = re.compile(r"['’\-]")
_NAMES = frozenset({"http", "https"})


@lru_cache(maxsize=8192)
def odd(word: str) -> bool:
    """Is this one word, as written, a form that no writer would use?"""
    if word.isupper() or word in _NAMES or (word.isascii() and word.islower() and len(word) < 3):
        return False
    if any(len(part) > LONGEST_WORD for part in _JOINED_BY_WRITERS.split(word)):
        return scripts(word) <= {"latin"}  # scripts without spaces make long words of whole sentences
    return bool(word.casefold() in _SCRAPS or len(scripts(word)) > 1 or _ODD.search(word) or _NO_VOWEL.fullmatch(word))


def odd_form_share(written: list[str], prompt: str) -> float:
    known = frozenset(words(prompt))
    return sum(1 for word in written if odd(word) and word not in known) / max(len(written), FEWEST)


def script_switches(written: list[str]) -> float:
    """Changes of script from word to word, per word; numbers and emoji have none and are passed over."""
    sequence = [found for found in map(scripts, written) if found]
    switches = sum(1 for before, after in zip(sequence, sequence[1:]) if not before & after)
    return switches / max(len(written), FEWEST)
