"""What can go wrong, split by what the caller can do about it.

* ServiceNowError
  - ServiceNowConfigError        the connection cannot work as written (also a ValueError)
    - UnknownProjectError          no project of that name belongs to the connection
    - SeveralProjectsError         several projects fit where nobody has named one
  - AnomalyFormatError           a payload cannot be read; names the place (also a ValueError)
  - UnsafeQueryError             a condition that an encoded query cannot say exactly (also a ValueError)
  - NothingHappenedError         the instance did not act: repeat freely
    - UnreachableError             DNS, TLS, proxy, connection refused: the request never arrived
    - NotExecutedError             202: the instance dropped the request
    - RateLimitedError             429: ``retry_after`` seconds
  - MayHaveHappenedError         no usable answer arrived: look before you repeat a write
    - AnswerLostError              timeout or connection dropped after the request left
      - ConnectionBrokenError        dropped: so does a server, too, that wants another client certificate
    - ServerError                  5xx, with ``retry_after`` where the instance sent one
    - CancelledError               200 that carries an error: the instance cut the transaction off
  - RefusedError                 an answer with the instance's own ``message`` and ``detail``
    - AuthenticationError          401
      - SecondFactorError            the password is right, and not enough
      - TokenRefusedError            the token endpoint gave no token: the request itself was never sent
    - ForbiddenError               403 (on a write: look once, it may have been done all the same)
    - RecordNotFoundError          404
  - NotServiceNowError           HTML where JSON was due: hibernating, login page, offline, wrong host
  - AmbiguousNameError           a name that must match one record matches several
  - IncompleteReadError          a list could not be read to its end
  - StoreError                   our own memory cannot be used
    - StoreTooNewError             it was written by a newer version of this package
  - DeliveryError                what we intended for ServiceNow is not delivered
    - DeliveryRefusedError         definitely refused: repeating it unchanged is pointless
    - DeliveryPendingError         not yet: ``retry_after`` seconds from now it can be tried again

Every class takes positional arguments that all reach ``Exception.__init__``, so errors survive pickling.
No message carries a header, a password or a token.
"""

from __future__ import annotations


class ServiceNowError(Exception):
    """Base class of everything this package raises."""


class _WaitError(ServiceNowError):
    """What may go better later.

    :param message: What happened, in words.
    :param retry_after: Seconds until a try makes sense, where known.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after)
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


class ServiceNowConfigError(ServiceNowError, ValueError):
    """The Airflow connection or a setting lacks, or contradicts, something we need."""


class UnknownProjectError(ServiceNowConfigError):
    """There is no project of that name, or it belongs to another connection."""


class SeveralProjectsError(ServiceNowConfigError):
    """Several projects fit where one is needed, and nobody has named one."""


class AnomalyFormatError(ServiceNowError, ValueError):
    """A payload is not what its source writes.

    :param source: Name of the adapter that was reading.
    :param path: Where in the payload, e.g. ``results[3].status``.
    :param reason: What is wrong there.
    """

    def __init__(self, source: str, path: str, reason: str) -> None:
        super().__init__(source, path, reason)
        self.source = source
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source} payload, at {self.path or 'the top'}: {self.reason}"


class UnsafeQueryError(ServiceNowError, ValueError):
    """A condition that ServiceNow's encoded queries cannot say exactly, or that would match too much."""


class NothingHappenedError(_WaitError):
    """The instance did not act on the request.

    :param message: What happened, in words.
    :param retry_after: Seconds to wait before the next try, where the instance named them.
    """


class UnreachableError(NothingHappenedError):
    """The request never arrived: DNS, TLS, proxy or connection refused."""


class NotExecutedError(NothingHappenedError):
    """The instance answered 202, which on the Table API means that it dropped the request."""


class RateLimitedError(NothingHappenedError):
    """The instance answered 429."""


class MayHaveHappenedError(_WaitError):
    """The instance may or may not have acted.

    :param message: What happened, in words.
    :param retry_after: Seconds to wait before the next try, where the instance named them.
    """


class AnswerLostError(MayHaveHappenedError):
    """The request left, and no complete answer came back."""


class ConnectionBrokenError(AnswerLostError):
    """The connection broke before the answer was complete."""


class ServerError(MayHaveHappenedError):
    """The instance, or something in front of it, answered 5xx."""


class CancelledError(MayHaveHappenedError):
    """A 200 that carries an error: the instance cut the transaction off while it ran."""


class RefusedError(ServiceNowError):
    """The instance understood the request and said no.

    :param status: HTTP status.
    :param message: The instance's ``error.message``.
    :param detail: The instance's ``error.detail``.
    """

    def __init__(self, status: int, message: str, detail: str = "") -> None:
        super().__init__(status, message, detail)
        self.status = status
        self.message = message
        self.detail = detail

    def __str__(self) -> str:
        reason = f"{self.message}: {self.detail}" if self.detail else self.message
        return f"ServiceNow answered {self.status}: {reason}"


class AuthenticationError(RefusedError):
    """401: wrong password, locked user, expired token or an access policy."""


class SecondFactorError(AuthenticationError):
    """The login and password are right, but the instance wants a second factor (MFA) from that user."""


class TokenRefusedError(AuthenticationError):
    """The instance gives no OAuth token; ``detail`` says what has to be in order for this grant."""


class ForbiddenError(RefusedError):
    """403: a role, an ACL, a data policy, a business rule or a unique key said no."""


class RecordNotFoundError(RefusedError):
    """404: the record does not exist, or the user may not see it."""


class NotServiceNowError(ServiceNowError):
    """HTML where JSON was due: a hibernating instance, a login page or a host that is no instance.

    :param message: What the page seems to be, in words.
    """


class AmbiguousNameError(ServiceNowError):
    """A name that must match one record matches several.

    :param table: Table that was searched.
    :param name: The name as given.
    :param matches: How many records matched.
    """

    def __init__(self, table: str, name: str, matches: int) -> None:
        super().__init__(table, name, matches)
        self.table = table
        self.name = name
        self.matches = matches

    def __str__(self) -> str:
        return f"{self.matches} records of {self.table} match {self.name!r}; give the sys_id instead"


class IncompleteReadError(ServiceNowError):
    """A list could not be read to its end, so no answer is given rather than a short one."""


class StoreError(ServiceNowError):
    """The store cannot be used as it is."""


class StoreTooNewError(StoreError):
    """The store was written by a newer version of this package."""


class DeliveryError(ServiceNowError):
    """Something that we intended for ServiceNow is not delivered."""


class DeliveryRefusedError(DeliveryError):
    """Definitely refused: repeating it unchanged is pointless."""


class DeliveryPendingError(_WaitError, DeliveryError):
    """Not delivered yet; a later try can succeed.

    :param message: What is pending and why.
    :param retry_after: Seconds until a try makes sense, where known.
    """
