"""Who may ask: whoever has the token, if there is one; probes need none.

In: an ASGI application. Out: one that counts and times its requests, and answers 401 without the token.

    Guard(application, figures, token=lambda: "secret")
"""

import hmac
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infer.serving.measured import Figures
from infer.serving.problems import Problem

# Asked by what starts and stops processes, which has no secret; they say nothing but that the process lives.
OPEN = ("/health/live", "/health/ready")


class Guard:
    """An application behind a token. token: the present one; None: everybody may ask.  stopping: whether readers are
    to go elsewhere, so that their connections end with the answer."""

    def __init__(
        self, application: ASGIApp, figures: Figures, token: Callable[[], str | None],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._application, self._figures, self._token, self._stopping = application, figures, token, stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._stopping():
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        with self._figures.in_progress.track_inprogress():
            try:
                if scope["path"] in OPEN or self._allowed(scope):
                    await self._application(scope, receive, noted)
                else:
                    refused = Problem(
                        401, "a token is needed: Authorization: Bearer TOKEN", headers={"WWW-Authenticate": "Bearer"}
                    )
                    await refused.response(scope, receive, noted)
            finally:
                path = getattr(scope.get("endpoint"), "__name__", "other")
                self._figures.requests.labels(path, str(status)).inc()
                self._figures.seconds.labels(path).observe(time.perf_counter() - began)

    def _allowed(self, scope: Scope) -> bool:
        token = self._token()
        if token is None:
            return True
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, secret = given.partition(b" ")
        # Compared in constant time, whatever was given.
        return hmac.compare_digest(secret.strip(), token.encode()) and scheme.lower() == b"bearer"
