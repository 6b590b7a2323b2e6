"""What an administrator of a real instance can set, and how fast this one is.

Each field is also an option of ``servicenow-dq sandbox`` (with ``help`` as its text) and can be changed while
the sandbox runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from airflow_provider_servicenow_dq.sandbox.rate_rules import RateRule
from airflow_provider_servicenow_dq.sandbox.record_switches import RecordSwitches
from airflow_provider_servicenow_dq.sandbox.scopes import APIS, AuthScope


@dataclass(frozen=True, slots=True)
class Switches(RecordSwitches):
    """The state of every switch; the defaults are those of an instance that nobody has hardened."""

    query_acl: bool = field(
        default=False,
        metadata={"help": "A query of the Table API that names an unreadable column is refused with 403."},
    )
    stats_hide_rows: bool = field(
        default=False,
        metadata={"help": "The Aggregate API counts only the rows that the user sees, instead of all."},
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
    query_no_domain: str = field(
        default="ignored",
        metadata={
            "help": "sysparm_query_no_domain from others than admin and query_no_domain_table_api.",
            "one_of": ("ignored", "refused"),
        },
    )
    availability: str = field(
        default="up",
        metadata={
            "help": "Whether the instance is up, or shows the page of one that hibernates or is offline.",
            "one_of": ("up", "hibernating", "offline"),
        },
    )
    unavailable_status: int = field(
        default=200, metadata={"help": "Status of the page of an instance that is not up; 503 was seen, too."}
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
        # Without arguments, super() does not find the class that slots have made anew.
        RecordSwitches.__post_init__(self)
        for text in self.rate_rule:
            RateRule.parse(text)
        for text in self.auth_scope:
            AuthScope.parse(text)

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
