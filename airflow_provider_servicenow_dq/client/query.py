"""Encoded queries: the only place that knows ``^``.

A condition is a value, never a glued string. What the language cannot say exactly is refused rather than
sent, because an instance ignores the parts of a query that it cannot read, and then matches *more* rows.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_servicenow_dq.exceptions import UnsafeQueryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: What a condition may be compared with.
Value = str | int | float | bool | None

Operator = Literal[
    "=", "!=", "<", "<=", ">", ">=", "STARTSWITH", "ENDSWITH", "LIKE", "NOT LIKE", "ISEMPTY", "ISNOTEMPTY"
]

_FIELD = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")

#: How a condition begins: with a field, or with one of the words that stand before a list or a text.
_CONDITION = re.compile(r"[a-z0-9_]|RLQUERY|GROUPBY|TEXTQUERY|JOIN")

#: Operators without a value; also what "equal to nothing" and "different from nothing" become.
_UNARY = frozenset({"ISEMPTY", "ISNOTEMPTY"})
_OF_EMPTY = {"=": "ISEMPTY", "!=": "ISNOTEMPTY"}

#: Ours, and those that begin like one of ours: ``priority<`` with the value ``=3`` would read as ``<=``.
_BINARY = frozenset({"=", "!=", "<", "<=", ">", ">=", "STARTSWITH", "ENDSWITH", "LIKE", "NOT LIKE", "IN"})
_LOOKALIKES = _BINARY | {"INSTANCEOF", "IN_HIERARCHY"}


def _text(value: Value) -> str:
    """Return a value as ServiceNow writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def checked_field(field: str) -> str:
    """Return the field name.

    :raises UnsafeQueryError: If it could be read as an operator or as several conditions.
    """
    if not _FIELD.fullmatch(field):
        raise UnsafeQueryError(
            f"{field!r} is no field name: only a-z, 0-9, _ and dots between names are allowed"
        )
    return field


def _checked_text(text: str, where: str) -> str:
    """Return text that has no control characters and can be encoded.

    :raises UnsafeQueryError: If it has, or cannot.
    """
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise UnsafeQueryError(f"{where} holds a control character or half a surrogate pair")
    return text


def _checked_value(field: str, operator: str, value: str) -> str:
    """Return a value that can stand behind its operator.

    A caret is doubled there (``GlideStringUtil.escapeQueryTermSeparator`` in the vendor's reference). The
    rest has no escape: a value that the server would evaluate, or compare as something else, is refused.

    :raises UnsafeQueryError: If the condition would not mean what it says.
    """
    where = f"The value of {field}"
    _checked_text(value, where)
    if value != value.strip():
        raise UnsafeQueryError(f"{where} begins or ends with a space, which databases compare differently")
    if value.lower().startswith("javascript:"):
        raise UnsafeQueryError(f"{where} would be run as a script on the instance")
    if value == "NULL":
        raise UnsafeQueryError(f"{where} is the word NULL, which stands for an empty field")
    written = (operator + value).upper()
    if any(
        other.startswith(operator) and other != operator and written.startswith(other)
        for other in _LOOKALIKES
    ):
        raise UnsafeQueryError(f"{where} would change the operator {operator}")
    return value


def _terms(encoded: str) -> list[str]:
    """Split an encoded query at its separators, from left to right, leaving doubled carets alone."""
    return [match.group() for match in re.finditer(r"(?:[^^]|\^\^)+", encoded)]


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison that was found to be safe; only :class:`Query` makes them.

    :param operator: As written in a query, e.g. ``=`` or ``IN``.
    :param values: What it compares with: one text, several for ``IN``, none for ``ISEMPTY``.
    """

    field: str
    operator: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.field}{self.operator}{','.join(value.replace('^', '^^') for value in self.values)}"


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows, and in which order. Immutable: every method returns a new one.

    :param alternatives: All conditions of one alternative, or all of another (``^NQ``); those of a raw query
        are texts, already encoded.
    :param order: Fields to order by, already encoded (``ORDERBYnumber``).
    """

    alternatives: tuple[tuple[Condition | str, ...], ...] = ((),)
    order: tuple[str, ...] = ()

    @classmethod
    def equals(cls, conditions: Mapping[str, Value]) -> Query:
        """Return the query for rows where every field equals its value; nothing asks for an empty field.

        >>> Query.equals({"active": True, "short_description": "a^b"}).encode()
        'active=true^short_description=a^^b'
        """
        query = cls()
        for field, value in conditions.items():
            query = query.also(cls.where(field, "=", value))
        return query

    @classmethod
    def where(cls, field: str, operator: Operator, value: Value = "") -> Query:
        """Return the query for rows where one field compares so with a value.

        :raises UnsafeQueryError: If the language cannot say that exactly.
        """
        text = _text(value)
        checked_field(field)
        if operator in _UNARY and not text:
            return cls(((Condition(field, operator),),))
        if operator not in _BINARY:
            raise UnsafeQueryError(f"{operator!r} does not compare {field} with a value")
        if not text:
            if operator not in _OF_EMPTY:
                raise UnsafeQueryError(f"{field} {operator} nothing would match every row")
            return cls(((Condition(field, _OF_EMPTY[operator]),),))
        return cls(((Condition(field, operator, (_checked_value(field, operator, text),)),),))

    @classmethod
    def any_of(cls, field: str, values: Iterable[Value]) -> Query:
        """Return the query for rows whose field equals one of the values.

        :param values: At least one. However many: what is too long for one URL is asked in parts.
        :raises UnsafeQueryError: If there is none, or one is empty or holds a comma.
        """
        texts = list(dict.fromkeys(_text(value) for value in values))
        checked_field(field)
        if not texts:
            raise UnsafeQueryError(f"{field} is one of nothing: that would match every row")
        if any(not text or "," in text for text in texts):
            raise UnsafeQueryError(
                f"The values of {field} hold a comma or are empty, which a list cannot say"
            )
        return cls(((Condition(field, "IN", tuple(_checked_value(field, "IN", text) for text in texts)),),))

    @classmethod
    def raw(cls, encoded: str) -> Query:
        """Return an encoded query taken as it is, e.g. copied from a list's breadcrumb.

        :param encoded: Trusted text: scripts in it run on the instance. Foreign values belong into the other
            methods.
        :raises UnsafeQueryError: If it holds control characters or begins with an operator.
        """
        alternatives: list[list[str]] = [[]]
        order: list[str] = []
        for term in _terms(_checked_text(encoded, "The query")):
            if term.startswith("ORDERBY"):
                order.append(term)
            elif term.startswith("NQ"):
                alternatives.append([term.removeprefix("NQ")])
            elif term != "EQ":
                alternatives[-1].append(term)
        for group in alternatives:
            if (not group and len(alternatives) > 1) or (group and not _CONDITION.match(group[0])):
                raise UnsafeQueryError("A query must begin with a field or an order, also behind ^NQ")
        return cls(tuple(tuple(group) for group in alternatives), tuple(order))

    def also(self, other: Query) -> Query:
        """Return the query for rows that match both; this one's order goes first."""
        both = tuple(mine + theirs for mine in self.alternatives for theirs in other.alternatives)
        return Query(both, self.order + other.order)

    def order_by(self, field: str, *, descending: bool = False) -> Query:
        """Return the same query, ordered by this field after those already named."""
        term = f"ORDERBY{'DESC' if descending else ''}{checked_field(field)}"
        return Query(self.alternatives, (*self.order, term))

    def encode(self) -> str:
        """Return the text for ``sysparm_query``, to be percent-encoded like any parameter."""
        conditions = "^NQ".join("^".join(map(str, group)) for group in self.alternatives)
        return "^".join(filter(None, (conditions, *self.order)))


def as_query(query: Query | Mapping[str, Value] | str) -> Query:
    """Return a query, made of equal conditions where a mapping is given.

    :raises UnsafeQueryError: If it is a string: wrapping it as ``Query.raw`` says that it can be trusted.
    """
    if isinstance(query, str):
        raise UnsafeQueryError('An encoded query must be wrapped: Query.raw("…")')
    return query if isinstance(query, Query) else Query.equals(query)
