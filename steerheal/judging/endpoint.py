"""Where the judge is reached: base URL, model, and a key that is sent and never shown."""

import ipaddress
import os
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from steerheal.errors import UserError

DEFAULT_KEY = "OPENAI_API_KEY"
HIDDEN = "[key]"
# Characters; shorter ones are placeholders such as EMPTY, for servers that want some key.
SECRET = 8


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible endpoint. `key` is None where none is needed; `repr` leaves it out."""

    base_url: str
    model: str
    key: str | None = field(default=None, repr=False)

    @property
    def loopback(self) -> bool:
        """Whether the requests stay on this machine."""
        return _loopback(urlsplit(self.base_url).hostname or "")

    def hide(self, value: Any) -> Any:
        """JSON data, or text, without the key: whatever an endpoint sends back goes through here first."""
        if not self.key or len(self.key) < SECRET:
            return value
        if isinstance(value, str):
            return value.replace(self.key, HIDDEN)
        if isinstance(value, dict):
            return {self.hide(name): self.hide(item) for name, item in value.items()}
        return [self.hide(item) for item in value] if isinstance(value, list) else value


def find_endpoint(base_url: str, model: str, key_env: str | None) -> Endpoint:
    """The endpoint of the command line; the key is read from the environment variable `key_env`.

    Without `key_env`, OPENAI_API_KEY is used if it is set. Raises UserError for an address that cannot be used, a
    named variable that is not set, and a key that would travel in the clear.
    """
    url = base_url.rstrip("/")
    _check_address(url)
    name = key_env or DEFAULT_KEY
    key = os.environ.get(name, "").strip() or None
    if key is None and key_env:
        # The name is not shown: some will give the key itself here.
        raise UserError("--key-env: no such variable in the environment; export it, and give its name")
    if key and not re.fullmatch(r"[!-~]+", key):
        raise UserError(f"--key-env: {name} holds no usable key (ASCII without spaces); set it anew")
    endpoint = Endpoint(url, model, key)
    if key and urlsplit(url).scheme != "https" and not endpoint.loopback:
        raise UserError(f"--base-url: http would send the key of {name} in the clear; use https, or unset it")
    return endpoint


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or " " in url or not url.isascii():
        raise UserError("--base-url: not an http address; give one such as https://HOST/v1")
    if parts.username is not None or parts.query or parts.fragment:
        # Not repeated in the message: what stands there may be a secret.
        raise UserError("--base-url: holds a user, query or fragment; give the bare address, and the key by --key-env")


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
