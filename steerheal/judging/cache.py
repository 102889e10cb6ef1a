"""Judgements on disk by the content of what was asked, so that nothing is judged twice.

`root/ab/abcdef….json`, one file a judgement, whole or absent. Failures are not kept: a later run asks again.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steerheal.errors import UserError
from steerheal.files import write_json
from steerheal.judging.client import Question
from steerheal.judging.endpoint import Endpoint
from steerheal.judging.outcome import Judgement, Usage
from steerheal.judging.prompt import VERSION
from steerheal.judging.reply import Slip, check
from steerheal.judging.rubric import REASON


def cache_key(endpoint: Endpoint, question: Question, number: int) -> str:
    """sha256 (hex) of base URL, model, pass number and the messages, which hold rubric and text."""
    asked = [VERSION, endpoint.base_url, endpoint.model, number, list(question.messages), question.schema]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class Cache:
    """Judgements below one folder, which several threads may use."""

    def __init__(self, root: Path | str):
        self.root = Path(root)

    def get(self, key: str, allowed: Mapping[str, Any]) -> Judgement | None:
        """The judgement, or None; a file that is damaged counts as absent and will be written anew."""
        try:
            data = json.loads(self._path(key).read_text(encoding="utf-8"))
            said = check(data["said"], allowed)
            if data["key"] != key or isinstance(said, Slip):
                return None
            return Judgement(said["given"], said[REASON], Usage(**data["usage"]), cached=True)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return None
        except OSError as error:
            raise UserError(f"--cache: {self.root}: cannot be read ({error.strerror}); choose another folder") from None

    def put(self, key: str, endpoint: Endpoint, judgement: Judgement) -> None:
        """Keep a judgement. Raises UserError when the folder cannot be written."""
        data = {
            "key": key,
            "model": endpoint.model,
            "base_url": endpoint.base_url,
            "said": judgement.given | {REASON: judgement.reason},
            "usage": vars(judgement.usage),
        }
        try:
            write_json(self._path(key), data)
        except OSError as error:
            what = f"cannot be written ({error.strerror})"
            raise UserError(f"--cache: {self.root}: {what}; make room, or choose another folder") from None

    def _path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.json"
