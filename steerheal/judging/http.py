"""One POST of JSON, by the standard library: bounded in time and size, without redirects.

A judge's reply takes seconds, so a pool of connections would save nothing, and a dozen threads are enough.
"""

import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from steerheal import __version__
from steerheal.judging.endpoint import Endpoint

MAX_BYTES = 8 * 1024 * 1024
BLOCK = 64 * 1024
# Nobody is there, or not whom we want; a host name that cannot be one is a UnicodeError.
NEVER = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError, UnicodeError)


class NoReply(Exception):
    """No whole reply came. `kind` is `timeout` or `connection`; `never`: nobody listens at that address."""

    def __init__(self, kind: str, detail: str, never: bool = False):
        super().__init__(detail)
        self.kind, self.never = kind, never


@dataclass(frozen=True)
class Reply:
    """Status, the body as text (the key hidden, should the endpoint repeat it), the header Retry-After."""

    status: int
    text: str
    retry_after: str | None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would send the key on to wherever a redirect points."""

    def redirect_request(self, *args):
        return None


def post(endpoint: Endpoint, path: str, data: dict, timeout: float) -> Reply:
    """Send `data` to base URL + `path`. `timeout` in seconds bounds each silence, and the whole body.

    Raises NoReply when no whole reply comes; any status is a Reply.
    """
    headers = {"Content-Type": "application/json", "User-Agent": f"steerheal/{__version__}"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    request = urllib.request.Request(endpoint.base_url + path, json.dumps(data).encode(), headers)
    # A proxy of the environment cannot reach this machine's own addresses.
    proxies = [urllib.request.ProxyHandler({})] if endpoint.loopback else []
    opener = urllib.request.build_opener(_NoRedirect, *proxies)
    deadline = time.monotonic() + timeout
    try:
        with _open(opener, request, timeout) as response:
            body = _body(response, deadline)
            return Reply(response.status, endpoint.hide(body), response.headers.get("Retry-After"))
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise _no_reply(error, endpoint, timeout) from None


def _open(opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout: float):
    try:
        return opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        return error


def _body(response, deadline: float) -> str:
    """The whole body; an endpoint that sends a byte now and then does not hold a worker for ever."""
    parts, size = [], 0
    while block := response.read1(BLOCK):
        parts.append(block)
        size += len(block)
        if size > MAX_BYTES:
            raise http.client.HTTPException("the reply is larger than 8 MiB")
        if time.monotonic() > deadline:
            raise TimeoutError
    if getattr(response, "length", None):
        raise http.client.IncompleteRead(b"".join(parts), response.length)
    return b"".join(parts).decode("utf-8", "replace")


def _no_reply(error: Exception, endpoint: Endpoint, timeout: float) -> NoReply:
    """What went wrong, in a word and a line."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return NoReply("timeout", f"no reply within {timeout:g} s")
    never = isinstance(cause, NEVER)
    told = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None) or type(cause).__name__
    return NoReply("connection", endpoint.hide(str(told)), never)
