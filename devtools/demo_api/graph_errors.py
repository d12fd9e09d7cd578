"""The errors of the API: Graph's shape, Graph's codes where Graph has one.

{"error": {"message": "…", "type": "OAuthException", "code": 190, "error_subcode": 463}}
"""

import json
from collections.abc import Mapping


class GraphError(Exception):
    """An answer that is an error: status, JSON body, headers."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        subcode: int | None = None,
        transient: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} code {code}: {message}")
        self.status = status
        self.headers = dict(headers or {})
        kind = "OAuthException" if code != 100 else "GraphMethodException"
        error: dict[str, object] = {"message": message, "type": kind, "code": code}
        if subcode is not None:
            error["error_subcode"] = subcode
        if transient:
            error["is_transient"] = True
        self.body = json.dumps({"error": error}).encode()


def invalid_token() -> GraphError:
    """401, code 190: no token, an unknown one, or another user's."""
    return GraphError(401, 190, "Invalid OAuth access token.")


def expired_token() -> GraphError:
    """401, code 190, subcode 463: a token that was good once."""
    message = "Error validating access token: the session has expired."
    return GraphError(401, 190, message, subcode=463)


def invalid_cursor() -> GraphError:
    """400, code 100, subcode 4601."""
    return GraphError(400, 100, "Invalid cursor: it was not issued for this user and stream.", subcode=4601)


def expired_cursor() -> GraphError:
    """400, code 100, subcode 4602: start the stream again."""
    return GraphError(400, 100, "Expired cursor: start again at the first page.", subcode=4602)


def invalid_limit(found: str) -> GraphError:
    """400, code 100."""
    return GraphError(400, 100, f"Param limit must be a whole number from 1, not {found!r}.")


def unknown_path() -> GraphError:
    """404, code 2500."""
    return GraphError(404, 2500, "Unknown path components: try /v1/me/posts or /v1/me/comments.")


def app_limit_reached(status: int = 429, headers: Mapping[str, str] | None = None) -> GraphError:
    """Code 4: all users together were too fast."""
    message = "(#4) Application request limit reached"
    return GraphError(status, 4, message, transient=True, headers=headers)


def user_limit_reached(headers: Mapping[str, str] | None = None) -> GraphError:
    """429, code 17: this user was too fast."""
    return GraphError(429, 17, "(#17) User request limit reached", transient=True, headers=headers)


def temporary_trouble(status: int, headers: Mapping[str, str] | None = None) -> GraphError:
    """Code 2: try again."""
    message = "(#2) Service temporarily unavailable"
    return GraphError(status, 2, message, transient=True, headers=headers)
