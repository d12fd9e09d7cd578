"""Requests as they go over the wire, without a wire."""

import pytest

from shared.adapters.http_calls import LONGEST_URL, Unsendable, call, merged
from shared.errors import RequestRejected


def sent(url: str) -> str:
    """The request line's target."""
    return call("GET", url, {}).url.raw_path_qs


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/a/../b/./c//d",
        "/a%2Fb%2f%7e~/x",
        "/p?q=a%2Bb==&x=%7e+y&z=%20",
        "/p?a=1&a=2&flag&=v&&;",
        "/p?sig=%E4%BD%A0&x=%zz%",
        "/p?x='(!*)'|{}[]\\^`:@/?",
        "/p;v=1,2/(x)/:y@z/[1]|^\\",
        "/p?next=http://other.example/?a=b",
    ],
)
def test_a_target_stays_byte_for_byte(target: str):
    assert sent("https://api.example.com" + target) == target


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ("", "/"),
        ("?a=1", "/?a=1"),
        ("/a b?c d", "/a%20b?c%20d"),
        ("/ä?ö=你", "/%C3%A4?%C3%B6=%E4%BD%A0"),
        ('/"<x>{y}`?"<x>', "/%22%3Cx%3E%7By%7D%60?%22%3Cx%3E"),
        ("/a#part", "/a"),
    ],
)
def test_what_no_request_line_can_hold_is_encoded(asked: str, target: str):
    assert sent("https://api.example.com" + asked) == target


@pytest.mark.parametrize(
    ("url", "origin", "host"),
    [
        ("https://API.example.com/x", "https://api.example.com:443", "api.example.com"),
        ("https://api.example.com:443/x", "https://api.example.com:443", "api.example.com"),
        ("http://api.example.com:8080/x", "http://api.example.com:8080", "api.example.com:8080"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example:443", "xn--bcher-kva.example"),
        ("http://[::1]:8080/x", "http://::1:8080", "[::1]:8080"),
        ("http://127.0.0.1/x", "http://127.0.0.1:80", "127.0.0.1"),
        ("https://my_shop.example.com/x", "https://my_shop.example.com:443", "my_shop.example.com"),
    ],
)
def test_the_request_leads_where_the_origin_check_has_looked(url: str, origin: str, host: str):
    """There is one reading of a URL: what was checked is what is connected to."""
    made = call("GET", url, {})
    assert (made.origin, made.url.host_port_subcomponent) == (origin, host)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/\r\nX-Evil:1",
        "https://api.example.com/\x00",
        "https://api.example.com/?\x7f",
        "https://api.example.com/\ud800",
        "https://api.exa mple.com/",
        "https://api.example.com%2f.evil.example/",
        "https://evil.example\\.api.example.com/",
        "https://api.example.com/" + "x" * LONGEST_URL,
    ],
)
def test_what_is_no_url_is_not_sent(url: str):
    with pytest.raises(Unsendable, match=r"^\w+$"):
        call("GET", url, {})


def test_other_schemes_are_not_called():
    with pytest.raises(RequestRejected, match="scheme 'ftp'"):
        call("GET", "ftp://api.example.com/", {})


@pytest.mark.parametrize("value", ["", "a", "a b\tc", "Bearer x.y-z_~+/=", "schlüssel", '"q"'])
def test_a_header_holds_text(value: str):
    assert call("GET", "https://a.example/", {"X-Key": value}).headers == {"X-Key": value}


@pytest.mark.parametrize("value", ["a\n", "a\r\nX: 1", "\x00", "a\x1fb", "a\x7f", " a", "a ", "\ta", "\ud800"])
def test_a_header_holds_no_end_of_line_and_no_space_at_its_ends(value: str):
    """A token that was copied with its line end would not be the token."""
    with pytest.raises(Unsendable, match=r"^InvalidHeader$"):
        call("GET", "https://a.example/", {"X-Key": value})


@pytest.mark.parametrize("name", ["", "X Key", "X:Key", "X-Key\n", "Schlüssel"])
def test_a_header_has_a_name(name: str):
    with pytest.raises(Unsendable, match=r"^InvalidHeader$"):
        call("GET", "https://a.example/", {name: "1"})


def test_user_and_password_of_a_url_become_a_header_and_never_a_place_to_go():
    made = call("GET", "https://ann:p%40ss@api.example.com/x", {})
    assert (made.headers, str(made.url)) == ({"Authorization": "Basic YW5uOnBAc3M="}, "https://api.example.com/x")
    with_token = call("GET", "https://ann:pass@api.example.com/x", {"authorization": "Bearer t"})
    assert with_token.headers == {"authorization": "Bearer t"}


def test_headers_replace_each_other_whatever_their_case():
    headers = merged([("accept", "text/csv"), ("X-Key", "a")], [("x-key", "b")])
    assert headers == {"accept": "text/csv", "Accept-Encoding": "gzip", "User-Agent": "headframe", "x-key": "b"}


def test_a_call_shows_nothing_of_itself():
    made = call("POST", "https://a.example/?key=canary", {"X-Key": "canary"}, b"canary")
    assert "canary" not in repr(made)
