"""The known name that is nearest to one that is not known."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the nearest known name, or all of them where none is near."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(sorted(known))}."


def nearest_key(model: type[BaseModel], place: Sequence[int | str]) -> str:
    """Return such a sentence for a key that a model, or one inside it, does not know.

    :param place: Where the key is, from the model on.
    """
    *path, name = place
    for step in path:
        field = model.model_fields.get(str(step))
        # List indexes lead nowhere: the model is that of the field before.
        model = next(_models(field.annotation), model) if field is not None else model
    return nearest(str(name), model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
