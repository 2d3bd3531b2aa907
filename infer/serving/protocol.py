"""HTTP as uvicorn parses it in C, with an end to how long the lines before a body may be.

In: bytes of a connection. Out: requests to the application; or status 400 and the end of the connection.

    uvicorn.Config(application, http=Protocol)
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 2**16  # bytes; what is read at once (at most four times as many) may be more


class Protocol(HttpToolsProtocol):
    """One connection. Its parser itself would keep a header of any length in memory."""

    _unfinished: int | None = 0  # bytes of a request whose head has no end yet; None: it had

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        super().data_received(data)
        if self._unfinished is None or self.transport.is_closing():
            return
        self._unfinished += len(data)
        if self._unfinished > MOST:
            self.send_400_response(f"The request line and headers have at most {MOST} bytes.")

    def on_headers_complete(self) -> None:
        """The head ended."""
        self._unfinished = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next one begins."""
        self._unfinished = 0
        super().on_message_complete()
