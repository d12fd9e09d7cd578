"""What a login is sent, where its token stands, and what its refusals mean."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.errors import ErrorKind, InvalidPipeline, SourceError
from shared.pipeline.access_tokens import Tokens, read_tokens, seed_of, token_request
from shared.pipeline.auth import attachment
from shared.pipeline.responses import Response
from shared.pipeline.spec import Login, Pipeline
from tests.fakes.scripted_source import answer

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CREDENTIALS = {"name": "ann", "password": "canary"}
SCOPES = {"user": {"id": "u1"}, "params": {"tenant": "acme"}, "credentials": CREDENTIALS}
LOGIN: dict[str, Any] = {
    "type": "login",
    "login_url": "https://login.example.com/{params.tenant}",
    "json": {"who": {"name": "{credentials.name}"}, "password": "{credentials.password}", "remember": True},
    "token_path": "token",
}
FORM = {key: value for key, value in LOGIN.items() if key != "json"} | {
    "form": {"name": "{credentials.name}", "password": "{credentials.password}"}
}
Made = Callable[[dict[str, Any]], Login]


@pytest.fixture(scope="session")
def login(make_pipeline: Callable[..., Pipeline]) -> Made:
    def made(auth: dict[str, Any]) -> Login:
        found = make_pipeline(source={"auth": auth}).source.auth
        assert isinstance(found, Login)
        return found

    return made


def found_by(option: str, where: str) -> dict[str, Any]:
    return {key: value for key, value in LOGIN.items() if key != "token_path"} | {option: where}


def test_json_is_sent_with_the_users_own_values_at_any_depth(login: Made):
    request = token_request(login(LOGIN | {"headers": {"X-App": "{params.tenant}"}}), SCOPES, None)
    media_type, body = request.content
    assert (request.url, media_type) == ("https://login.example.com/acme", "application/json")
    assert json.loads(body) == {"who": {"name": "ann"}, "password": "canary", "remember": True}
    assert request.headers == (("X-App", "acme"),)
    assert "canary" not in repr(request)


def test_a_form_is_sent_as_one_and_without_a_body_nothing_is(login: Made):
    assert token_request(login(FORM), SCOPES, None).content == (
        "application/x-www-form-urlencoded",
        b"name=ann&password=canary",
    )
    bare = {key: value for key, value in LOGIN.items() if key != "json"}
    assert token_request(login(bare), SCOPES, None).content[1] == b""


@pytest.mark.parametrize("auth", [LOGIN, FORM])
def test_another_password_is_another_seed(login: Made, auth: dict[str, Any]):
    """Tokens of the old one are not taken for its own."""
    other = SCOPES | {"credentials": CREDENTIALS | {"password": "new"}}
    assert seed_of(login(auth), SCOPES) != seed_of(login(auth), other)
    assert seed_of(login(auth), SCOPES) == seed_of(login(auth), SCOPES | {"credentials": CREDENTIALS | {"more": "1"}})


@pytest.mark.parametrize(
    ("auth", "response", "token"),
    [
        (LOGIN, answer({"token": "t"}, 201), "t"),
        (LOGIN, answer({"token": "t", "error": "none"}), "t"),
        (found_by("token_path", "data.session.id"), answer({"data": {"session": {"id": "t"}}}), "t"),
        (found_by("token_header", "X-Auth-Token"), Response(204, {"x-auth-token": "t"}, b""), "t"),
        (found_by("token_cookie", "sid"), Response(200, {"set-cookie": "sid=t; Path=/"}, b"Welcome"), "t"),
        (found_by("token_cookie", "sid"), Response(303, {"location": "/", "set-cookie": 'sid="t"'}, b""), "t"),
        (
            found_by("token_cookie", "sid"),
            Response(200, {"set-cookie": "csid=x; Expires=Tue, 24 Nov 2026 01:00:00 GMT, sid=t; HttpOnly"}, b""),
            "t",
        ),
    ],
)
def test_the_token_is_found_where_the_file_says(login: Made, auth: dict[str, Any], response: Response, token: str):
    assert read_tokens(login(auth), response, NOW) == Tokens(token, 3600)


def test_the_life_of_a_token_is_read_where_the_file_says(login: Made):
    response = answer({"token": "t", "seconds": 90})
    assert read_tokens(login(LOGIN | {"expires_in_path": "seconds"}), response, NOW).expires_in == 90
    assert read_tokens(login(LOGIN | {"default_token_expiration": 60}), response, NOW).expires_in == 60


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (answer({"message": "canary"}, 400), ErrorKind.INVALID_CREDENTIAL),
        (Response(400, {}, b'"canary"'), ErrorKind.INVALID_CREDENTIAL),
        (Response(401, {}, b"<html>canary</html>"), ErrorKind.INVALID_CREDENTIAL),
        (Response(403, {}, b"canary"), ErrorKind.INVALID_CREDENTIAL),
        (answer({}, 422), ErrorKind.INVALID_CREDENTIAL),
        (Response(403, {}, b" <html>canary</html>"), ErrorKind.TEMPORARY),
        (answer({}, 404), ErrorKind.REJECTED),
        (Response(302, {"location": "/login"}, b""), ErrorKind.REJECTED),
        (answer({}, 429, retry_after="30"), ErrorKind.RATE_LIMITED),
        (answer({}, 503), ErrorKind.TEMPORARY),
        (answer({"ok": False}), ErrorKind.MALFORMED),
        (answer({"token": {"canary": 1}}), ErrorKind.MALFORMED),
        (answer({"token": ""}), ErrorKind.MALFORMED),
    ],
)
def test_a_failure_says_what_to_do_next(login: Made, response: Response, kind: ErrorKind):
    with pytest.raises(SourceError) as caught:
        read_tokens(login(LOGIN), response, NOW)
    assert caught.value.kind == kind
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "headers", "query"),
    [
        ({}, {"Authorization": "Bearer t"}, {}),
        ({"prefix": "JWT "}, {"Authorization": "JWT t"}, {}),
        ({"prefix": ""}, {"Authorization": "t"}, {}),
        ({"name": "X-Session"}, {"X-Session": "t"}, {}),
        ({"name": "X-Session", "prefix": "id="}, {"X-Session": "id=t"}, {}),
        ({"name": "auth", "location": "query"}, {}, {"auth": "t"}),
        ({"name": "sid", "location": "cookie"}, {"Cookie": "sid=t"}, {}),
    ],
)
def test_the_token_is_sent_as_the_file_says(
    make_pipeline: Callable[..., Pipeline], options: dict[str, str], headers: dict[str, str], query: dict[str, str]
):
    pipeline = make_pipeline(source={"auth": LOGIN | options})
    attached = attachment(pipeline, SCOPES | {"access": {"token": "t"}})
    assert (dict(attached.headers), dict(attached.query)) == (headers, query)


@pytest.mark.parametrize(
    ("auth", "complaint"),
    [
        (LOGIN | {"form": {"a": "b"}}, "found both json and form, allowed: one of them"),
        (found_by("token_path", "token") | {"token_cookie": "sid"}, "found token_path and token_cookie, allowed: one"),
        ({key: LOGIN[key] for key in ("type", "login_url")}, "found none, allowed: one of token_path"),
        (LOGIN | {"location": "cookie"}, "found location: cookie without a name, allowed: the name of the cookie"),
        (LOGIN | {"json": {"a": [{"b": "{window.start}"}]}}, "found {window.start}, allowed: {user.…}"),
        (LOGIN | {"login_url": "https://a/{credentials.name}"}, "source.auth.login_url: found {credentials.name}"),
    ],
)
def test_a_wrong_option_is_a_clear_error(login: Made, auth: dict[str, Any], complaint: str):
    with pytest.raises(InvalidPipeline) as caught:
        login(auth)
    assert complaint in str(caught.value)


def test_a_pipeline_needs_the_credentials_that_its_login_names(make_pipeline: Callable[..., Pipeline]):
    assert make_pipeline(source={"auth": LOGIN}).credentials == {"name", "password"}
