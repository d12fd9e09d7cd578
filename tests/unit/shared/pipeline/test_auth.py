"""How a credential goes onto a request, and how it is kept out of what is stored."""

from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidPipeline, RequestRejected
from shared.pipeline.auth import Attachment, attachment, secrets_of, with_fields, with_query, without_secrets
from shared.pipeline.loader import load_text
from shared.pipeline.spec import Pipeline

SCOPES = {
    "user": {"id": "ann"},
    "params": {},
    "credentials": {"token": "canary&token", "user": "ann", "pass": "p:w"},
    "access": {"token": "canary-access"},
}
OAUTH2 = {
    "type": "oauth2_refresh_token",
    "token_url": "https://login.example.com/token",
    "client_id": "app",
    "refresh_token": "{credentials.token}",
}


@pytest.mark.parametrize(
    ("auth", "attached"),
    [
        (
            {"type": "bearer", "token": "{credentials.token}"},
            Attachment(headers=(("Authorization", "Bearer canary&token"),)),
        ),
        (
            {"type": "api_key", "name": "X-Key", "key": "{credentials.token}"},
            Attachment(headers=(("X-Key", "canary&token"),)),
        ),
        (
            {"type": "api_key", "name": "key", "key": "{credentials.token}", "location": "query"},
            Attachment(query=(("key", "canary&token"),)),
        ),
        (
            {"type": "http_basic", "username": "{credentials.user}", "password": "{credentials.pass}"},
            Attachment(headers=(("Authorization", "Basic YW5uOnA6dw=="),)),
        ),
        (
            {"type": "headers", "headers": {"X-User": "{credentials.user}", "X-Key": "k {credentials.token}"}},
            Attachment(headers=(("X-User", "ann"), ("X-Key", "k canary&token"))),
        ),
        (OAUTH2, Attachment(headers=(("Authorization", "Bearer canary-access"),))),
        (OAUTH2 | {"name": "X-Key"}, Attachment(headers=(("X-Key", "canary-access"),))),
        (OAUTH2 | {"name": "key", "location": "query"}, Attachment(query=(("key", "canary-access"),))),
        ({"type": "none"}, Attachment()),
    ],
)
def test_each_kind_attaches_in_its_own_way(make_pipeline: Callable[..., Pipeline], auth: object, attached: Attachment):
    assert attachment(make_pipeline(source={"auth": auth}), SCOPES) == attached


def test_a_missing_credential_is_named(make_pipeline: Callable[..., Pipeline]):
    with pytest.raises(RequestRejected, match=r"the user has no value for \{credentials.token\}"):
        attachment(make_pipeline(), {"credentials": {}})


def test_an_attachment_does_not_show_itself(make_pipeline: Callable[..., Pipeline]):
    assert "canary" not in repr(attachment(make_pipeline(), SCOPES))


@pytest.mark.parametrize(
    "auth",
    [
        {"type": "api_key", "name": "auth.key", "key": "{credentials.token}", "location": "body"},
        OAUTH2 | {"name": "auth.key", "location": "body", "prefix": "t="},
    ],
)
def test_a_credential_may_stand_in_the_body_of_posts(make_pipeline: Callable[..., Pipeline], auth: dict[str, str]):
    pipeline = make_pipeline(source={"auth": auth}, method="post")
    (name, value), *others = attachment(pipeline, SCOPES).body
    assert (name, others) == ("auth.key", [])
    assert value in {"canary&token", "t=canary-access"}
    with pytest.raises(InvalidPipeline, match=r"found location: body with the method get in .*, allowed: method: post"):
        make_pipeline(source={"auth": auth})


JSON = {"Content-Type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("content", "headers", "body", "sent"),
    [
        (None, {"X": "1"}, b'{"auth":{"key":"a&b"}}', {"X": "1", **JSON}),
        (b'{"x":[1],"auth":{"id":7}}', JSON, b'{"x":[1],"auth":{"id":7,"key":"a&b"}}', JSON),
        (b"x=1", FORM, b"x=1&auth.key=a%26b", FORM),
        (b"", FORM, b"auth.key=a%26b", FORM),
    ],
)
def test_fields_are_put_into_a_body(content: bytes | None, headers: dict[str, str], body: bytes, sent: dict[str, str]):
    assert with_fields(content, headers, [("auth.key", "a&b")]) == (body, sent)
    assert with_fields(content, headers, []) == (content, headers)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[1]", "found no place for auth.key in the body"),
        (b'{"auth":7}', "found no place for auth.key in the body"),
        (b"<x/>", "found a body that is neither a form nor JSON"),
    ],
)
def test_a_body_without_fields_is_not_sent(content: bytes, complaint: str):
    with pytest.raises(RequestRejected, match=complaint) as caught:
        with_fields(content, {}, [("auth.key", "canary")])
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://a/x?access_token=canary-1&after=2", "https://a/x?after=2"),
        ("https://a/x?after=2&access_token=canary-1", "https://a/x?after=2"),
        ("https://a/x?access_token=canary-1", "https://a/x"),
        ("/x?t=canary%2D1&sig=a%2Bb==&y=%7e", "/x?sig=a%2Bb==&y=%7e"),
        ("https://a/x?after=canary-12", "https://a/x?after=canary-12"),
        ("https://a/x?sig=a%2Bb==&y=%7e+z&&flag", "https://a/x?sig=a%2Bb==&y=%7e+z&&flag"),
        ("https://a/x", "https://a/x"),
    ],
)
def test_a_next_link_is_stored_without_the_credential(url: str, kept: str):
    """What is left is byte for byte what the source wrote."""
    assert without_secrets(url, ["canary-1", "", "other"]) == kept


@given(st.text(min_size=6), st.sampled_from([lambda s: quote(s, safe=""), quote_plus]))
def test_any_credential_is_taken_out_however_it_is_quoted(secret: str, quoted: Callable[[str], str]):
    url = f"https://a/x?access_token={quoted(secret)}&after=2"
    assert without_secrets(url, [secret]) == ("https://a/x" if secret == "after" else "https://a/x?after=2")


@pytest.mark.parametrize(
    ("url", "attached"),
    [
        ("https://a/x", "https://a/x?key=a%26b"),
        ("https://a/x?sig=a%2Bb==", "https://a/x?sig=a%2Bb==&key=a%26b"),
    ],
)
def test_a_key_goes_behind_the_query_that_is_there(url: str, attached: str):
    assert with_query(url, [("key", "a&b")]) == attached
    assert with_query(url, []) == url


@pytest.mark.parametrize(
    ("auth", "secret"),
    [
        ('{ type: bearer, token: "{credentials.token}" }', ["t0ken"]),
        ('{ type: api_key, name: k, key: "{credentials.token}" }', ["t0ken"]),
        ('{ type: http_basic, username: "{credentials.name}", password: "{credentials.token}" }', ["t0ken"]),
        ('{ type: headers, headers: { A: "{credentials.token}", B: "{credentials.other}" } }', ["t0ken", "2"]),
        (
            '{ type: oauth2_client_credentials, token_url: "https://a", client_id: "{credentials.name}", '
            'client_secret: "{credentials.token}", access_token_request_data: { x: "{credentials.other}" } }',
            ["t0ken", "2"],
        ),
        (
            '{ type: oauth2_refresh_token, token_url: "https://a", client_id: "{credentials.name}", '
            'refresh_token: "{credentials.token}" }',
            ["t0ken"],
        ),
        (
            '{ type: login, login_url: "https://a", token_path: t, headers: { A: "{credentials.other}" }, '
            'json: { user: { name: "{credentials.name}", keys: ["{credentials.token}"] } } }',
            ["t0ken", "2"],
        ),
        ("{ type: none }", []),
    ],
)
def test_only_what_is_secret_to_the_source_is_taken_for_a_secret(auth: str, secret: list[str]):
    """A user name, or a credential for another source, may stand in a next link for its own reasons."""
    text = (
        f"pipeline: p\nsource: {{ base_url: https://a, auth: {auth} }}\n"
        "streams: [{ name: s, paginator: { type: single_page } }]"
    )
    credentials = {"name": "ann", "token": "t0ken", "other": "2"}
    assert secrets_of(load_text(text, "p.yaml"), credentials) == secret
