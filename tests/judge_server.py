"""An OpenAI-compatible server on loopback whose every reply a test decides."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "sk-planted-0123456789abcdef"


def said(content, usage=True, finish="stop", **message):
    """The body of a chat completion."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    message |= {"role": "assistant", "content": text}
    body = {"choices": [{"message": message, "finish_reason": finish}]}
    return body | ({"usage": {"prompt_tokens": 100, "completion_tokens": 10}} if usage else {})


class JudgeServer:
    """`reply(request, number)` gives (status, body, headers) or a body: JSON, bytes, or parts to send one by one.

    `number` counts requests from 0. `requests` are the bodies received, `keys` the Authorization headers, `peak` the most under way at once.
    """

    def __init__(self, reply):
        self.reply, self.requests, self.keys, self.peak = reply, [], [], 0
        self._now, self._lock = 0, threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def take(self, request, key):
        with self._lock:
            self._now += 1
            self.peak = max(self.peak, self._now)
            number = len(self.requests)
            self.requests.append(request)
            self.keys.append(key)
        try:
            found = self.reply(request, number)
        finally:
            with self._lock:
                self._now -= 1
        return found if isinstance(found, tuple) else (200, found, {})

    @contextlib.contextmanager
    def running(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/v1/chat/completions"
                status, body, headers = server.take(request, self.headers.get("Authorization"))
                payload = json.dumps(body).encode() if isinstance(body, dict | list | str) else body
                length = {} if isinstance(body, Iterator) else {"Content-Length": str(len(payload))}
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in (length | headers).items():
                        self.send_header(name, value)
                    self.end_headers()
                    for part in payload if isinstance(payload, Iterator) else [payload]:
                        self.wfile.write(part)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            # With the usual five, a sixth connection at once waits a second.
            request_queue_size = 64

        self._server = Server(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join(timeout=5)
