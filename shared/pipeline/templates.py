"""Plain substitution of `{user.id}`, `{params.x}` and, in `auth` only, `{credentials.x}`. No expressions."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from shared.errors import RequestRejected
from shared.pipeline.spec import PLACEHOLDER

Scopes = Mapping[str, Mapping[str, Any]]


def render(template: str, scopes: Scopes, *, for_path: bool = False) -> str:
    """The template with its placeholders filled; with `for_path` each value is one URL path segment. The values of a
    list stand beside each other with commas.

    Raises RequestRejected naming the placeholder when the user has no such value; never a value.
    """

    def fill(match: re.Match[str]) -> str:
        scope, name = match.groups()
        values = scopes.get(scope, {})
        if name not in values:
            raise RequestRejected(f"the user has no value for {{{scope}.{name}}}")
        found = values[name]
        texts = [_text(each) for each in (found if isinstance(found, list) else [found])]
        return ",".join(quote(text, safe="") if for_path else text for text in texts)

    return PLACEHOLDER.sub(fill, template)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def render_json(value: Any, scopes: Scopes) -> Any:
    """JSON with the placeholders of its texts filled; a text that is one placeholder takes the value's own type.

    Keys are no templates. Raises RequestRejected as `render` does.
    """
    match value:
        case dict():
            return {key: render_json(each, scopes) for key, each in value.items()}
        case list():
            return [render_json(each, scopes) for each in value]
        case str():
            whole = PLACEHOLDER.fullmatch(value)
            text = render(value, scopes)
            return scopes[whole[1]][whole[2]] if whole else text
        case _:
            return value
