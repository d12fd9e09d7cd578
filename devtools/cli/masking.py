"""What a source says and what it was asked, without the user's credentials, fit for a terminal."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from shared.log import HIDDEN, redacted, remember_secrets
from shared.pipeline.auth import Attachment

SHORTEST = 4
"""Characters; a shorter credential is hidden where it stands alone, or every text would be full of holes."""

DEEPEST = 50


class Mask:
    """Hides these values wherever they occur: plain, in base64, and with any of their characters escaped."""

    def __init__(self, secrets: Iterable[str]):
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._forms = [_in_any_form(secret) for secret in self._secrets if len(secret) >= SHORTEST]
        remember_secrets(self._secrets)

    def text(self, text: str) -> str:
        """The text without secrets, and without characters that would make a terminal do something."""
        if text in self._secrets:
            return HIDDEN
        for form in self._forms:
            text = form.sub(HIDDEN, text)
        return _printable(redacted(text))

    def url(self, url: str) -> str:
        """The URL with its query parameters judged one by one; what is no URL is a text."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return self.text(url)
        pairs = [self._pair(pair) for pair in parts.query.split("&")] if parts.query else []
        return self.text(urlunsplit(parts._replace(query="&".join(pairs))))

    def value(self, value: Any, depth: int = 0) -> Any:
        """JSON of any shape with its texts and keys masked; what is nested deeper than anybody reads is left out."""
        if depth > DEEPEST:
            return "…"
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(str(key)): self.value(each, depth + 1) for key, each in value.items()}
            case list() | tuple():
                return [self.value(each, depth + 1) for each in value]
            case _:
                return HIDDEN if str(value) in self._secrets else value

    def _pair(self, pair: str) -> str:
        decoded = parse_qsl(pair, keep_blank_values=True)
        return f"{pair.partition('=')[0]}={HIDDEN}" if any(HIDDEN in self.text(text) for _, text in decoded) else pair


def secrets_in(credentials: Iterable[str], attached: Attachment) -> list[str]:
    """The credentials, and what was made of them: a whole header value, and what stands in it behind the scheme."""
    made = [value for _, value in (*attached.headers, *attached.query, *attached.body)]
    return [*credentials, *made, *(value.partition(" ")[2] for value in made)]


def _in_any_form(secret: str) -> re.Pattern[str]:
    """Each character as it is, or as URLs, JSON or HTML write it."""
    return re.compile("".join(_in_any_case(character) for character in secret))


def _in_any_case(character: str) -> str:
    in_url = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "replace"))
    in_json = "".join(f"\\\\u{unit:04x}" for unit in _utf16_units(character))
    plain, number, entity = re.escape(character), ord(character), re.escape(escape(character))
    return rf"(?:{entity}|{plain}|\\{plain}|(?i:{in_url}|{in_json}|&\#x0*{number:x};)|&\#0*{number};)"


def _utf16_units(character: str) -> list[int]:
    coded = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(coded[at : at + 2], "big") for at in range(0, len(coded), 2)]


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
