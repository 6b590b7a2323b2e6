"""The Batch API: many requests in one, which the instance works through one after the other.

After the vendor's page "Batch API": bodies are base64, the outer answer is a 200 also when requests within
it fail, and a rule of 30 seconds ends a batch wherever it is. What was not begun by then is listed as
unserviced; what was cut off in the middle looks serviced, with an error for an answer, and may have happened.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.client.batch_answers import read_batch, read_item, serviced_in
from airflow_provider_servicenow_dq.exceptions import (
    MayHaveHappenedError,
    NotServiceNowError,
    ServiceNowConfigError,
    ServiceNowError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_servicenow_dq.client.transport import Transport

log = logging.getLogger(__name__)

#: Said of a write that the quota cut off, or whose answer was lost: look before you repeat it.
IN_DOUBT: Final = "in doubt"
#: Said of what was not tried, or was only a read: repeat it freely.
UNSERVICED: Final = "unserviced"

_PATH: Final = "/api/now/v1/batch"
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
#: The property glide.rest.batch.max.inputSize as it comes.
MAX_INPUT: Final = 5 * 1024 * 1024

#: How many requests the first batch has: five inserts at 2.6 s each, as in the vendor's sample, are within
#: the quota. What the instance takes for them says how many the next may have.
_FIRST_SIZE: Final = 5
_MAX_SIZE: Final = 100
#: A third of the quota: the next batch may be three times as slow as the last.
_GOOD_S: Final = 10.0
#: Longer than the quota, so that the instance gives up first.
_TIMEOUT_S: Final = 60.0
#: Batches in a row that may get nothing done.
_MAX_IDLE: Final = 3


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One request of a batch.

    :param url: Path on the instance with its parameters, percent-encoded: ``/api/now/table/incident?…``.
    :param body: What to send as JSON; None for nothing.
    :raises ServiceNowConfigError: If it cannot be one.
    """

    method: str
    url: str
    body: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise ServiceNowConfigError(
                f"{self.method!r} is no method: choose one of {', '.join(sorted(_METHODS))}"
            )
        if not self.url.startswith("/api/") or not self.url.isascii() or set(self.url) & set(' "<>\\^`{|}'):
            raise ServiceNowConfigError(
                f"{self.url[:200]!r} is no path of an instance: it begins with /api/ and is percent-encoded"
            )

    @classmethod
    def from_mapping(cls, item: Mapping[str, Any]) -> BatchRequest:
        """Read ``{"method", "url", "body"}``; an ``id`` is the caller's own affair.

        :raises ServiceNowConfigError: If it is no such mapping.
        """
        body = item.get("body")
        if unknown := sorted(map(str, item.keys() - {"id", "method", "url", "body"})):
            raise ServiceNowConfigError(f"A request of a batch has no {', '.join(unknown)}")
        texts = [item.get("method"), item.get("url")]
        if not all(isinstance(text, str) for text in texts) or not isinstance(body, Mapping | None):
            raise ServiceNowConfigError(
                "A request of a batch has a method, a url, and a dict or None as body"
            )
        return cls(item["method"].upper(), item["url"], body)

    @property
    def only_reads(self) -> bool:
        """Whether it changes nothing, so that it may be repeated freely."""
        return self.method == "GET"

    def encoded(self, number: int) -> dict[str, Any]:
        """Return the request as a batch holds it."""
        headers = {"Accept": "application/json"}
        content = {}
        if self.body is not None:
            headers["Content-Type"] = "application/json"
            content["body"] = base64.b64encode(json.dumps(dict(self.body)).encode()).decode()
        return {
            "id": str(number),
            "method": self.method,
            "url": self.url,
            "headers": [{"name": name, "value": value} for name, value in headers.items()],
            "exclude_response_headers": True,
            **content,
        }


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What came of one request.

    :param status_code: HTTP status; None where there is no answer.
    :param body: The answer, parsed: ``{"result": …}`` or ``{"error": …}``; None where it is empty.
    :param error: None if the request succeeded; :data:`IN_DOUBT`, :data:`UNSERVICED` or the instance's words.
    """

    status_code: int | None = None
    body: dict[str, Any] | None = None
    error: str | None = None


def send_batch(transport: Transport, requests: Sequence[BatchRequest]) -> list[BatchAnswer]:
    """Send requests in batches, in their order, and return their answers in the same order.

    A batch is no transaction: what comes before a request that fails stays done, and what comes behind it is
    still tried. How many go together follows from how fast the instance is, up to ``batch_size``.

    :raises ServiceNowConfigError: If one request is larger than a batch may be; nothing is sent.
    :raises ServiceNowError: If the first batch was not done at all. Of a later one the answers say so,
        because those of the batches before it must not be lost.
    """
    return _Sending(transport, requests).send()


class _Sending:
    """The requests that are left, and the answers that there are.

    :param transport: What carries the batches.
    """

    def __init__(self, transport: Transport, requests: Sequence[BatchRequest]) -> None:
        self._transport = transport
        self._requests = requests
        self._encoded = [request.encoded(number) for number, request in enumerate(requests)]
        self._sizes = [len(json.dumps(encoded)) for encoded in self._encoded]
        for number, size in enumerate(self._sizes):
            if size > MAX_INPUT:
                raise ServiceNowConfigError(
                    f"Request {number} has {size} bytes, and a batch takes {MAX_INPUT}: send it by itself"
                )
        self._answers: dict[int, BatchAnswer] = {}
        self._failed_reads: dict[int, BatchAnswer] = {}
        self._pace = _Pace(transport.config.batch_size)
        self._idle = 0

    def send(self) -> list[BatchAnswer]:
        left = list(range(len(self._requests)))
        while left and self._idle < _MAX_IDLE:
            chunk = list(self._chunk(left))
            try:
                self._send_chunk(chunk)
            except ServiceNowError as error:
                if not self._may_try_again(chunk, error):
                    break
            left = [number for number in left if number not in self._answers]
        known = self._failed_reads | self._answers
        return [known.get(number, BatchAnswer(error=UNSERVICED)) for number in range(len(self._requests))]

    def _chunk(self, left: Sequence[int]) -> Iterator[int]:
        room = MAX_INPUT
        for number in left[: self._pace.size]:
            room -= self._sizes[number] + len(",")
            if room < _ENVELOPE and number != left[0]:
                return
            yield number

    def _send_chunk(self, chunk: Sequence[int]) -> None:
        """Send one batch and keep the answers to what it got done."""
        content = {"batch_request_id": "1", "rest_requests": [self._encoded[number] for number in chunk]}
        started = time.monotonic()
        answer = self._transport.request(
            "POST",
            _PATH,
            json=content,
            timeout_s=max(self._transport.config.timeout_s, _TIMEOUT_S),
            read=read_batch,
        )
        serviced = serviced_in(answer.result)
        unserviced = set(map(str, answer.result.get("unserviced_requests") or ()))
        known = len(self._answers)
        for number in chunk:
            request = self._requests[number]
            if (item := serviced.get(str(number))) is not None:
                self._keep(number, request, item)
            elif str(number) not in unserviced and not request.only_reads:
                self._answers[number] = BatchAnswer(error=IN_DOUBT)
        done = len(self._answers) - known
        self._idle = 0 if done else self._idle + 1
        self._pace.learn(time.monotonic() - started, done=done, of=len(chunk))
        log.debug("A batch of %d requests: %d done", len(chunk), done)

    def _keep(self, number: int, request: BatchRequest, item: Mapping[str, Any]) -> None:
        """Keep the answer to a request; a read whose answer was lost is left to the next batch."""
        status, body, error = read_item(item)
        if isinstance(error, MayHaveHappenedError) and request.only_reads:
            self._failed_reads[number] = BatchAnswer(status, body, str(error))
        elif isinstance(error, MayHaveHappenedError | NotServiceNowError) and not request.only_reads:
            self._answers[number] = BatchAnswer(status, body, IN_DOUBT)
        else:
            self._answers[number] = BatchAnswer(status, body, str(error) if error else None)

    def _may_try_again(self, chunk: Sequence[int], error: ServiceNowError) -> bool:
        """Write down what is unknown of a batch that got no answer, and say whether to go on.

        :raises ServiceNowError: The same error, if there is nothing that it must not hide.
        """
        if isinstance(error, MayHaveHappenedError | NotServiceNowError):
            writes = [number for number in chunk if not self._requests[number].only_reads]
            self._answers |= dict.fromkeys(writes, BatchAnswer(error=IN_DOUBT))
            self._idle += 1
            if not writes and self._idle < _MAX_IDLE:
                return True
        if not self._answers:
            raise error
        log.warning("A batch of %d requests was not done: %s", len(chunk), error)
        return False


#: What surrounds the requests of a batch.
_ENVELOPE: Final = 100


class _Pace:
    """How many requests the next batch may have.

    :param limit: The connection's own ``batch_size``.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit or _MAX_SIZE
        self.size = min(_FIRST_SIZE, self._limit)

    def learn(self, seconds: float, *, done: int, of: int) -> None:
        """Take in how long a batch took, and how much of it was done."""
        if done < of:
            self.size = max(1, min(done, self.size // 2))
            return
        in_good_time = int(_GOOD_S / (max(seconds, 0.001) / of))
        self.size = max(1, min(2 * self.size, in_good_time, self._limit))
