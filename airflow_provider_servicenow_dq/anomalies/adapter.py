"""What an adapter is: something that recognises the payloads of one source, and reads them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_servicenow_dq.anomalies.model import Report


class Reading(Protocol):
    """What a module, or any object, must have to be an adapter."""

    def recognises(self, payload: object) -> bool:
        """Whether the payload has a form of this source; a look at its shape, not more."""

    @property
    def read(self) -> Callable[..., Report]:
        """Reads a payload; its keyword-only parameters are the adapter's options."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter under the name of its source.

    :param options: What ``read`` takes besides the payload.
    """

    source: str
    recognises: Callable[[object], bool]
    read: Callable[..., Report]
    options: tuple[str, ...]

    @classmethod
    def of(cls, source: str, reading: Reading) -> Adapter:
        """Return the adapter that a module or an object is."""
        parameters = inspect.signature(reading.read).parameters.values()
        options = tuple(
            parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY
        )
        return cls(source, reading.recognises, reading.read, options)
