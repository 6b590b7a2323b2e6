"""What an administrator of a real instance can set, and how fast this one is.

Each field is also an option of ``servicenow-dq sandbox`` (with ``help`` as its text) and can be changed while
the sandbox runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_servicenow_dq.sandbox.journal_rewrites import REWRITES
from airflow_provider_servicenow_dq.sandbox.rate_rules import RateRule
from airflow_provider_servicenow_dq.sandbox.scopes import APIS, AuthScope

_RULE = re.compile(r"(?P<table>[a-z0-9_]+)(?:\.(?P<column>[a-z0-9_]+))?(?: when (?P<query>.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rule:
    """One administrator's rule, written ``table[.column][ when encoded query]``."""

    table: str
    column: str
    query: str

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read a rule.

        :raises ValueError: The text is not of that form.
        """
        match = _RULE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not of the form TABLE[.COLUMN][ when QUERY]")
        return cls(match["table"], match["column"] or "", match["query"] or "")


@dataclass(frozen=True, slots=True)
class Switches:
    """The state of every switch; the defaults are those of an instance that nobody has hardened."""

    case_sensitive_equality: bool = field(
        default=False, metadata={"help": "Compare strings with case, as on Oracle; MySQL does not."}
    )
    invalid_query_returns_no_rows: bool = field(
        default=False,
        metadata={"help": "An invalid part of a query matches nothing instead of being ignored."},
    )
    journal_acl: bool = field(
        default=False, metadata={"help": "sys_journal_field answers 200 with no rows to everyone but admin."}
    )
    journal_rewrites: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "What becomes of the text of work notes and comments: control characters removed, cut at "
            "the first character of four bytes, or ???? in its place, HTML escaped, blanks tidied, "
            "line ends as CRLF.",
            "some_of": tuple(REWRITES),
        },
    )
    allow_non_existing_choice: bool = field(
        default=False, metadata={"help": "Store unknown choice values instead of discarding them."}
    )
    admin_only_sys_fields: bool = field(
        default=False, metadata={"help": "Ignore sys_id and sys_created_* sent by others than admin."}
    )
    close_code_set: str = field(
        default="new",
        metadata={
            "help": "Resolution codes: before San Diego, since, or both.",
            "one_of": ("old", "new", "both"),
        },
    )
    resolution_mandatory: bool = field(
        default=True, metadata={"help": "A data policy wants close_code and close_notes to resolve or close."}
    )
    mandatory: tuple[str, ...] = field(
        default=(),
        metadata={"help": "A data policy, TABLE.COLUMN[ when QUERY]: the column must not be empty."},
    )
    abort: tuple[str, ...] = field(
        default=(),
        metadata={"help": "A business rule, TABLE[ when QUERY]: records that match are not saved."},
    )
    hidden: tuple[str, ...] = field(
        default=(),
        metadata={"help": "A read ACL, TABLE[ when QUERY]: only admin sees such rows; all are counted."},
    )
    unreadable: tuple[str, ...] = field(
        default=(),
        metadata={"help": "A field ACL, TABLE.COLUMN: left out of every answer to others than admin."},
    )
    query_acl: bool = field(
        default=False,
        metadata={"help": "A query of the Table API that names an unreadable column is refused with 403."},
    )
    stats_hide_rows: bool = field(
        default=False,
        metadata={"help": "The Aggregate API counts only the rows that the user sees, instead of all."},
    )
    reference_names: str = field(
        default="raw",
        metadata={
            "help": "A name written to a reference without sysparm_input_display_value: "
            "stored raw, resolved or discarded.",
            "one_of": ("raw", "resolve", "discard"),
        },
    )
    client_credentials_enabled: bool = field(
        default=True,
        metadata={"help": "The property glide.oauth.inbound.client.credential.grant_type.enabled."},
    )
    oauth_application_user: bool = field(
        default=True, metadata={"help": "The OAuth client has an application user to act as."}
    )
    oauth_errors: str = field(
        default="server_error",
        metadata={
            "help": "The 401 of the token endpoint: server_error for everything, or the codes of RFC 6749.",
            "one_of": ("server_error", "rfc"),
        },
    )
    oauth_query_parameters: bool = field(
        default=False,
        metadata={"help": "The token endpoint takes parameters from the query as well as from the body."},
    )
    oauth_scope: str = field(
        default="broad",
        metadata={
            "help": "Whether OAuth clients are broadly scoped or securely: then a token without the scope "
            "useraccount is good only for what --auth-scope lists.",
            "one_of": ("broad", "secure"),
        },
    )
    oauth_unscoped_allowed: bool = field(
        default=False, metadata={"help": "The property glide.security.oauth_allow_unscoped_clients."}
    )
    auth_scope: tuple[str, ...] = field(
        default=(),
        metadata={"help": "A REST API auth scope, NAME:API[:METHOD].", "metavar": "SCOPE"},
    )
    token_life_s: int = field(default=1799, metadata={"help": "Seconds that an OAuth access token lives."})
    refresh_life_s: int = field(
        default=8_640_000, metadata={"help": "Seconds that an OAuth refresh token lives."}
    )
    jwt_one_time: bool = field(default=True, metadata={"help": "A JWT assertion has a jti and is good once."})
    jwt_public_client: bool = field(
        default=False, metadata={"help": "A JWT assertion is taken without the client secret."}
    )
    jwt_user_field: str = field(
        default="user_name",
        metadata={
            "help": "The column of sys_user that the subject of a JWT assertion is found in.",
            "one_of": ("user_name", "email", "sys_id"),
        },
    )
    basic_auth: bool = field(
        default=True, metadata={"help": "Basic authentication is allowed; a policy may forbid it."}
    )
    mfa: bool = field(
        default=False,
        metadata={"help": "Basic authentication wants a second factor, and answers 401 without."},
    )
    lock_after: int = field(
        default=0, metadata={"help": "Wrong passwords in a row that lock a user out; 0 never does."}
    )
    no_api_key: tuple[str, ...] = field(
        default=(),
        metadata={"help": "An API whose access policy takes no API keys.", "some_of": APIS},
    )
    time_zone: str = field(
        default="UTC", metadata={"help": "Time zone of every user, seen in display values and gs.* dates."}
    )
    service_ms: float = field(default=0.0, metadata={"help": "Milliseconds that each API transaction takes."})
    semaphores: int = field(default=4, metadata={"help": "API transactions that run at the same time."})
    queue: int = field(default=50, metadata={"help": "API transactions that may wait; the next gets a 429."})
    rate_rule: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "A rate limit rule, LIMIT API[/TABLE][ user NAME| role NAME], in requests an hour.",
            "metavar": "LIMIT",
        },
    )
    rate_window_s: float = field(default=3600.0, metadata={"help": "Seconds of an hour of rate limit rules."})
    rate_lag_s: float = field(
        default=0.0,
        metadata={"help": "Seconds between two looks at what was counted; a real instance takes 30."},
    )
    batch_counts_items: bool = field(
        default=True, metadata={"help": "Rate limit rules count each request of a batch, too."}
    )
    session_queue: int = field(
        default=11,
        metadata={"help": "Requests of one session that may wait; the next gets a 202 and is dropped."},
    )
    quota_s: float = field(
        default=60.0,
        metadata={"help": "Seconds that a transaction may take, waiting included; then it is cancelled."},
    )
    quota_commits: bool = field(
        default=False, metadata={"help": "A write that a quota cancels is done all the same."}
    )
    batch_quota_s: float = field(
        default=30.0, metadata={"help": "Seconds that a batch may take; what is left then is unserviced."}
    )
    batch_cut_status: int = field(
        default=500, metadata={"help": "Status of the request in a batch that its quota cuts off."}
    )
    batch_order: str = field(
        default="sent",
        metadata={"help": "Order of the answers in a batch.", "one_of": ("sent", "shuffled")},
    )
    batch_input_bytes: int = field(
        default=5_242_880,
        metadata={"help": "The property glide.rest.batch.max.inputSize: the largest body within a batch."},
    )
    batch_output_bytes: int = field(
        default=10_485_760,
        metadata={"help": "The property glide.rest.batch.max.outputSize: the largest answer within a batch."},
    )
    attachment_max_bytes: int = field(
        default=1_073_741_824,
        metadata={"help": "The largest attachment; the property com.glide.attachment.max_size counts MB."},
    )
    attachment_extension: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "The property glide.attachment.extensions: one that is allowed; without any, all are.",
            "metavar": "EXTENSION",
        },
    )
    attachment_refusal_status: int = field(
        default=400, metadata={"help": "Status of an attachment that is too large or of a kind not allowed."}
    )
    negotiation_status: str = field(
        default="exact",
        metadata={
            "help": "Content types that are not supported: exactly 406 and 415, or 400 for both.",
            "one_of": ("exact", "400"),
        },
    )
    base_url: str = field(
        default="",
        metadata={
            "help": "Address of the instance in link, Link and Location, where clients come by another one; "
            "empty is the sandbox's own."
        },
    )
    clock_offset_s: float = field(
        default=0.0, metadata={"help": "Seconds that the instance's clock is ahead."}
    )

    def __post_init__(self) -> None:
        for option in fields(self):
            allowed = option.metadata.get("one_of")
            if allowed and getattr(self, option.name) not in allowed:
                raise ValueError(f"{option.name} must be one of {', '.join(allowed)}")
            known = option.metadata.get("some_of")
            if known and not set(getattr(self, option.name)) <= set(known):
                raise ValueError(f"{option.name} must be some of {', '.join(known)}")
        for text in self.rate_rule:
            RateRule.parse(text)
        for text in self.auth_scope:
            AuthScope.parse(text)
        for text in (*self.mandatory, *self.abort, *self.hidden, *self.unreadable):
            Rule.parse(text)
        if not all(Rule.parse(text).column for text in self.mandatory):
            raise ValueError("a mandatory rule names a column: TABLE.COLUMN[ when QUERY]")
        if not all(Rule.parse(text).column and not Rule.parse(text).query for text in self.unreadable):
            raise ValueError("a field ACL names a column and has no condition: TABLE.COLUMN")
        try:
            ZoneInfo(self.time_zone)
        except ZoneInfoNotFoundError as error:
            raise ValueError(f"there is no time zone {self.time_zone!r}") from error

    def changed(self, **changes: Any) -> Switches:
        """Return the switches with some of them changed.

        :raises TypeError: There is no switch of that name.
        :raises ValueError: The value is not allowed.
        """
        lists = {option.name for option in fields(self) if isinstance(option.default, tuple)}
        values: dict[str, Any] = {
            name: tuple(value) if name in lists else value for name, value in changes.items()
        }
        return replace(self, **values)
