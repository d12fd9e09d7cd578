"""Cookies of one user: what goes back, where, and what does not."""

import pytest

from shared.adapters.cookies import LONGEST, MOST, Cookies

HERE = "https://api.example.com/shop/orders"


def given_back(*headers: str, url: str = HERE) -> str | None:
    cookies = Cookies()
    cookies.remember(HERE, headers)
    return cookies.header(url)


@pytest.mark.parametrize(
    "pair", ["a=1", "a=", "a=b==", "a=x,y", 'a={"k":"v"}', 'a="x y"', "a[b]=%20%3B", "a=café", "a=x:y/z"]
)
def test_a_value_goes_back_as_it_came(pair: str):
    """A signed session must not be quoted anew on its way."""
    assert given_back(f"{pair}; Path=/; HttpOnly; SameSite=Lax") == pair


def test_all_that_fit_are_given_back_and_a_later_one_replaces_an_earlier():
    assert given_back("a=1", "b=2", "a=3") in {"a=3; b=2", "b=2; a=3"}


@pytest.mark.parametrize(
    ("header", "url", "sent"),
    [
        ("a=1; Path=/", "https://api.example.com/", True),
        ("a=1; Path=/shop", "https://api.example.com/shop/items?x=1", True),
        ("a=1; Path=/shop", "https://api.example.com/other", False),
        ("a=1; Path=/", "https://other.example.com/", False),
        ("a=1; Path=/; Domain=example.com", "https://other.example.com/", True),
        ("a=1; Path=/; Domain=evil.example", "https://evil.example/", False),
        ("a=1; Path=/; Domain=com", "https://evil.com/", False),
        ("a=1; Path=/; Secure", "https://api.example.com/", True),
        ("a=1; Path=/; Secure", "http://api.example.com/", False),
        ("a=1; Path=/; Max-Age=0", "https://api.example.com/", False),
        ("a=1; Path=/; Expires=Wed, 09 Jun 1999 10:18:14 GMT", "https://api.example.com/", False),
        ("a=1; Path=/; Max-Age=600", "https://api.example.com/", True),
    ],
)
def test_a_cookie_goes_where_it_may_be_read(header: str, url: str, sent: bool):
    assert given_back(header, url=url) == ("a=1" if sent else None)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/x", "http://localhost:8080/x", "http://[::1]:8080/x"])
def test_a_host_without_a_domain_may_set_cookies(url: str):
    cookies = Cookies()
    cookies.remember(url, ["a=1"])
    assert cookies.header(url) == "a=1"


@pytest.mark.parametrize("header", ["a=b\x01c", "a=b\r\nX-Evil: 1", "a=\udce9", "a=" + "x" * LONGEST])
def test_what_no_header_could_give_back_is_left_out(header: str):
    """One cookie that can't be sent would end every request of this user."""
    assert given_back(header, "b=2") == "b=2"


def test_cookies_do_not_fill_the_memory():
    cookies = Cookies()
    for number in range(10 * MOST):
        cookies.remember(HERE, [f"c{number}=1", "session=kept"])
    sent = cookies.header(HERE)
    assert sent is not None
    assert "session=kept" in sent.split("; ")
    assert len(sent.split("; ")) <= MOST + 2
    cookies.remember(HERE, [f"d{number}=1" for number in range(10 * MOST)])
    assert len((cookies.header(HERE) or "").split("; ")) <= 2 * MOST + 2
