"""What a token endpoint is asked, what its answers mean, and when a token is renewed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    ErrorKind,
    InvalidCredential,
    InvalidPipeline,
    MalformedResponse,
    RequestRejected,
    SourceError,
)
from shared.pipeline.access_tokens import (
    LONGEST_LIFE,
    LONGEST_TOKEN,
    TokenAuth,
    Tokens,
    read_tokens,
    renew_at,
    seed_of,
    token_request,
)
from shared.pipeline.responses import Response
from shared.pipeline.spec import Pipeline
from tests.fakes.scripted_source import answer

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CREDENTIALS = {"id": "my id", "secret": "canary:secret", "refresh": "canary-refresh"}
SCOPES = {"user": {"id": "ann"}, "params": {"tenant": "acme"}, "credentials": CREDENTIALS}
CLIENT = {
    "type": "oauth2_client_credentials",
    "token_url": "https://login.example.com/{params.tenant}/token",
    "client_id": "{credentials.id}",
    "client_secret": "{credentials.secret}",
}
REFRESH = {
    "type": "oauth2_refresh_token",
    "token_url": "https://login.example.com/token",
    "client_id": "{credentials.id}",
    "refresh_token": "{credentials.refresh}",
}
Made = Callable[..., TokenAuth]


@pytest.fixture(scope="session")
def grant(make_pipeline: Callable[..., Pipeline]) -> Made:
    def made(auth: dict[str, Any], **options: Any) -> TokenAuth:
        auth = make_pipeline(source={"auth": auth | options}).source.auth
        assert isinstance(auth, TokenAuth)
        return auth

    return made


def with_credentials(**changes: str) -> dict[str, Any]:
    return SCOPES | {"credentials": CREDENTIALS | changes}


def test_client_credentials_are_asked_for_with_id_and_secret_in_the_form(grant: Made):
    request = token_request(grant(CLIENT, scopes=["read", "{user.id}"]), SCOPES, None)
    assert request.url == "https://login.example.com/acme/token"
    assert dict(request.form) == {
        "grant_type": "client_credentials",
        "scope": "read ann",
        "client_id": "my id",
        "client_secret": "canary:secret",
    }
    assert request.headers == ()


def test_basic_puts_id_and_secret_into_the_header_form_encoded(grant: Made):
    """my+id:canary%3Asecret, so that the colon of a secret divides nothing."""
    request = token_request(grant(CLIENT, client_auth="basic"), SCOPES, None)
    assert request.headers == (("Authorization", "Basic bXkraWQ6Y2FuYXJ5JTNBc2VjcmV0"),)
    assert dict(request.form) == {"grant_type": "client_credentials"}
    assert "bXkraWQ6Y2FuYXJ5JTNBc2VjcmV0" in request.secrets


def test_the_latest_refresh_token_takes_the_place_of_the_users(grant: Made):
    first, later = (token_request(grant(REFRESH), SCOPES, token) for token in (None, "rotated"))
    assert dict(first.form) == {
        "grant_type": "refresh_token",
        "refresh_token": "canary-refresh",
        "client_id": "my id",
    }
    assert dict(later.form)["refresh_token"] == "rotated"


def test_more_fields_of_the_form_win(grant: Made):
    data = {"grant_type": "exchange", "resource": "{params.tenant}"}
    form = dict(token_request(grant(CLIENT, access_token_request_data=data), SCOPES, None).form)
    assert (form["grant_type"], form["resource"]) == ("exchange", "acme")


def test_a_request_and_tokens_do_not_show_themselves(grant: Made):
    request = token_request(grant(REFRESH, client_secret="{credentials.secret}", client_auth="basic"), SCOPES, "canary")
    assert "canary" not in repr(request) + repr(Tokens("canary", 1, "canary"))
    assert "Y2FuYXJ5" not in repr(request)


@pytest.mark.parametrize(
    ("auth", "changes", "is_another"),
    [
        (REFRESH, {"refresh": "new"}, True),
        (REFRESH, {"id": "other app"}, True),
        (REFRESH | {"client_secret": "{credentials.secret}"}, {"secret": "new"}, False),
        (CLIENT, {"secret": "new"}, True),
        (CLIENT, {"refresh": "new"}, False),
    ],
)
def test_a_seed_is_another_when_the_tokens_that_grew_from_it_are_worth_nothing(
    grant: Made, auth: dict[str, Any], changes: dict[str, str], is_another: bool
):
    """A rotated refresh token survives that its app gets a new secret."""
    before, after = seed_of(grant(auth), SCOPES), seed_of(grant(auth), with_credentials(**changes))
    assert (before != after) is is_another
    assert "canary" not in before


def test_client_credentials_for_other_scopes_are_another_seed(grant: Made):
    assert seed_of(grant(CLIENT), SCOPES) != seed_of(grant(CLIENT, scopes=["more"]), SCOPES)


@pytest.mark.parametrize(
    ("life", "margin", "seconds"), [(3600, 60, 3540), (100, 60, 90), (3600, 0, 3600), (3600, 1000, 3240)]
)
def test_a_token_is_renewed_early_but_never_in_the_first_nine_tenths_of_its_life(
    life: float, margin: float, seconds: float
):
    assert renew_at(NOW, life, margin) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("found", "life"),
    [
        (120, 120),
        ("120", 120),
        (0.5, 0.5),
        (None, 3600),
        (0, 3600),
        (-5, 3600),
        ("soon", 3600),
        (True, 3600),
        ([], 3600),
        (float("nan"), 3600),
        (10**400, 3600),
        (1e300, LONGEST_LIFE),
    ],
)
def test_the_life_of_a_token_is_read_or_taken_from_the_file(grant: Made, found: object, life: float):
    tokens = read_tokens(grant(CLIENT), answer({"access_token": "a", "expires_in": found}), NOW)
    assert tokens.expires_in == life


def test_a_refresh_token_is_read_only_where_one_is_used(grant: Made):
    """An endpoint that hands them out for client credentials too is not followed."""
    response = answer({"access_token": "a", "refresh_token": "b"})
    assert read_tokens(grant(REFRESH), response, NOW).refresh_token == "b"
    assert read_tokens(grant(CLIENT), response, NOW).refresh_token is None
    assert read_tokens(grant(REFRESH), answer({"access_token": "a", "refresh_token": ""}), NOW).refresh_token is None


@pytest.mark.parametrize(
    "token", ["two\r\nlines", " canary", "kanärie", "a" * (LONGEST_TOKEN + 1), 7, {"a": 1}, ["a"], True]
)
def test_what_can_not_be_a_token_is_malformed_and_not_repeated(grant: Made, token: object):
    with pytest.raises(MalformedResponse) as caught:
        read_tokens(grant(CLIENT), answer({"access_token": token}), NOW)
    assert str(token) not in str(caught.value)


@pytest.mark.parametrize(
    ("response", "kind", "wait"),
    [
        (answer({}, 429, retry_after="30"), ErrorKind.RATE_LIMITED, 30),
        (answer({"error": "invalid_grant"}, 429), ErrorKind.RATE_LIMITED, None),
        (answer({"error": "slow_down"}, 400), ErrorKind.RATE_LIMITED, None),
        (answer({"error": "invalid_grant"}, 500), ErrorKind.TEMPORARY, None),
        (answer({}, 503, retry_after="Sun, 22 Nov 2026 12:01:00 GMT"), ErrorKind.TEMPORARY, 60),
        (Response(403, {}, b"<html>blocked</html>"), ErrorKind.TEMPORARY, None),
        (Response(200, {}, b""), ErrorKind.TEMPORARY, None),
        (Response(200, {}, b"[]"), ErrorKind.TEMPORARY, None),
        (Response(200, {}, b"\xff\xfe"), ErrorKind.TEMPORARY, None),
        (Response(200, {}, b"[" * 100_000), ErrorKind.TEMPORARY, None),
        (answer({"error": {"code": "invalid_grant"}}, 400), ErrorKind.INVALID_CREDENTIAL, None),
        (answer({"error": {"code": 190, "message": "canary"}}, 400), ErrorKind.INVALID_CREDENTIAL, None),
        (answer({"ok": False, "error": "token_expired"}, 200), ErrorKind.INVALID_CREDENTIAL, None),
        (answer({"error": "unauthorized_client"}, 401), ErrorKind.REJECTED, None),
        (answer({"error": "canary"}, 200), ErrorKind.MALFORMED, None),
        (answer({"error": {"message": "canary"}}, 400), ErrorKind.REJECTED, None),
    ],
)
def test_a_failure_says_what_to_do_next(grant: Made, response: Response, kind: ErrorKind, wait: float | None):
    with pytest.raises(SourceError) as caught:
        read_tokens(grant(REFRESH), response, NOW)
    assert (caught.value.kind, caught.value.retry_after) == (kind, wait)
    assert "canary" not in str(caught.value)


@given(
    status=st.integers(200, 599),
    body=st.one_of(
        st.binary(max_size=40),
        st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=8), st.lists, max_leaves=5)
        .map(json.dumps)
        .map(str.encode),
        st.dictionaries(
            st.sampled_from(["access_token", "refresh_token", "expires_in", "error"]),
            st.one_of(
                st.none(), st.text(max_size=20), st.floats(), st.integers(), st.dictionaries(st.text(), st.text())
            ),
        ).map(lambda body: json.dumps(body).encode()),
    ),
)
def test_any_answer_is_tokens_or_one_of_our_errors(grant: Made, status: int, body: bytes):
    try:
        tokens = read_tokens(grant(REFRESH), Response(status, {}, body), NOW)
    except SourceError:
        return
    assert tokens.access_token.isascii()
    assert 0 < tokens.expires_in <= LONGEST_LIFE


def test_a_missing_credential_is_named_and_no_value_is(grant: Made):
    with pytest.raises(RequestRejected, match=r"\{credentials.id\}"):
        token_request(grant(CLIENT), {"params": {"tenant": "x"}, "credentials": {}}, None)


@pytest.mark.parametrize(
    ("auth", "complaint"),
    [
        (CLIENT | {"location": "query"}, "found location: query without a name"),
        (REFRESH | {"client_auth": "basic"}, "found client_auth: basic without a client_secret"),
        (CLIENT | {"token_url": "/token"}, "source.auth.token_url: found '/token', allowed: http:// or https://"),
        (
            CLIENT | {"token_url": "https://a/{credentials.id}"},
            r"found {credentials.id}, allowed: {user.…}, {params.…}",
        ),
        (CLIENT | {"refresh_token": "x"}, "source.auth.refresh_token: found an unknown key"),
        (CLIENT | {"access_token_path": "a["}, "source.auth.access_token_path: found 'a[', allowed: a JMESPath"),
        (CLIENT | {"renewal_margin": -1}, "source.auth.renewal_margin: found -1, allowed: greater than or equal to 0"),
    ],
)
def test_a_wrong_option_is_a_clear_error(grant: Made, auth: dict[str, Any], complaint: str):
    with pytest.raises(InvalidPipeline) as caught:
        grant(auth)
    assert complaint in str(caught.value)


def test_a_pipeline_needs_the_credentials_that_its_grant_names(make_pipeline: Callable[..., Pipeline]):
    auth = REFRESH | {"scopes": ["{credentials.extra}"], "access_token_request_data": {"x": "{credentials.more}"}}
    assert make_pipeline(source={"auth": auth}).credentials == {"id", "refresh", "extra", "more"}


def test_a_refused_credential_is_told_without_its_value(grant: Made):
    with pytest.raises(InvalidCredential, match=r"^the token endpoint refused the credential: status 401$"):
        read_tokens(grant(CLIENT), answer({"error_description": "canary"}, 401), NOW)
