"""HTTP as uvicorn parses it in C, with an end to how long the lines before and after a body may be.

In: bytes of a connection. Out: requests to the application; or status 400 and the end of the connection.

    uvicorn.Config(application, http=counted(figures))
"""

from http import HTTPStatus

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from infer.serving.measured import Figures
from infer.serving.problems import TYPE, Problem

MOST = 2**16  # bytes; what is read at once (at most four times as many) may be more


class Protocol(HttpToolsProtocol):
    """One connection. Its parser itself would keep a header of any length in memory."""

    _unfinished = 0  # bytes since a head, a piece of a body or a request ended: of lines that have no end yet
    _ended = False  # whether one of these ended in the bytes that are being parsed
    _in_body = False  # whether a head ended and its request did not
    _kept = b""  # head of a request that offered another protocol, without the offer

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._ended = False
        self._unset_keepalive_if_required()
        rest = data
        try:
            while rest:
                rest = self._parsed(rest)
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        # Where something ended, nobody knows how many of these bytes are of what follows: it counts from then on.
        if self._ended or self.transport.is_closing():
            return
        self._unfinished += len(data)
        if self._unfinished <= MOST:
            return
        if self._in_body and self.cycle.response_started:  # an answer is one
            self.transport.close()
            self.refused()
        else:
            self.send_400_response(f"The request line and headers have at most {MOST} bytes, and so have trailers.")

    def _parsed(self, data: bytes) -> bytes:
        """Parse; returns what is to be parsed yet."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            # The parser has left out the body of such a request, which Java's client sends: it is parsed anew without
            # the offer, which need not be taken up, as if it were the first, for one that closes would be the last.
            kept, self._kept = self._kept, b""
            self.parser = HttpRequestParser(self)
            return kept + data[offer.args[0] :]
        return b""

    def _offers(self) -> bool:
        """Whether the request that is being parsed offers another protocol; CONNECT demands one, and is refused."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def on_headers_complete(self) -> None:
        """The head ended."""
        if self._offers():
            first = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
            others = [b"%s: %s" % header for header in self.headers if header[0] not in (b"upgrade", b"connection")]
            closing = any(b"close" in value.lower() for name, value in self.headers if name == b"connection")
            self._kept = b"\r\n".join([first, *others, *([b"connection: close"] * closing), b"", b""])
            return  # it comes again
        self._unfinished, self._ended, self._in_body = 0, True, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body came."""
        self._unfinished, self._ended = 0, True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The next one begins."""
        if self._offers():
            return
        self._unfinished, self._ended, self._in_body = 0, True, False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, as all other answers that are none are given, and end the connection."""
        status = HTTPStatus.BAD_REQUEST
        body = bytes(Problem(status, msg).response.body)
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {TYPE}\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()
        self.refused()

    def refused(self) -> None:
        """Something was no request."""


def counted(figures: Figures) -> type[Protocol]:
    """The same, which counts what is no request among the answers."""

    class Counted(Protocol):
        def refused(self) -> None:
            figures.requests.labels("other", "400").inc()

    return Counted
