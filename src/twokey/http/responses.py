"""An answer as Starlette sends it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import BinaryIO

import anyio.to_thread
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from twokey.errors import TwokeyError
from twokey.http.answers import Answer

CHUNK = 256 * 1024
log = logging.getLogger("twokey.http")


def response_of(answer: Answer) -> Response:
    """The response: with a body, or a stream that is still to be sent."""
    headers = {"content-type": answer.media_type, **answer.headers}
    if answer.passing is not None:
        if answer.passing.length is not None:
            headers["content-length"] = str(answer.passing.length)
        return _PassingResponse(answer.passing.chunks(), status_code=answer.status, headers=headers)
    if answer.stream is None:
        response = Response(answer.body, status_code=answer.status, headers=headers)
        if "content-length" in answer.headers:
            response.headers["content-length"] = answer.headers["content-length"]
        for cookie in answer.cookies:
            response.headers.append("set-cookie", cookie)
        return response
    headers["content-length"] = str(answer.length)
    return _Stream(_chunks(answer.stream), status_code=answer.status, headers=headers)


class _Stream(StreamingResponse):
    """A stream of known length that ends with its last block.

    Starlette ends with an empty one after it; a client that has all by its length may ask the next thing before that,
    and it then waits its turn as if it were asked too early.
    """

    async def stream_response(self, send: Send) -> None:
        """Sends head and blocks."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = int(self.headers["content-length"])
        async for block in self.body_iterator:
            left -= len(block)
            await send({"type": "http.response.body", "body": block, "more_body": left > 0})


class _PassingResponse(StreamingResponse):
    """Bytes that are still coming. Where the rest never comes the response stays incomplete, and the server closes the
    connection: so the client knows that what it has is not the whole."""

    async def stream_response(self, send: Send) -> None:
        """Sends what comes."""
        try:
            await super().stream_response(send)
        except TwokeyError as error:
            log.warning("an answer breaks off: %s", error.message)


async def _chunks(stream: BinaryIO) -> AsyncIterator[bytes]:
    try:
        while chunk := await anyio.to_thread.run_sync(stream.read, CHUNK):
            yield chunk
    finally:
        stream.close()
