"""Routes of HTTP functions."""

import pytest

from devtools.local_host.registrations import Registration
from devtools.local_host.routes import RouteError, aiohttp_path, http_methods, route_of


def http_function(**trigger: object) -> Registration:
    binding = {"type": "httpTrigger", "name": "req", "direction": "IN"} | trigger
    return Registration("home", (binding,), ("req",), hides_coroutine=False, returns=None)


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ("health", "health"),
        ("users/{id}", "users/{id}"),
        ("users/{id:int}/files/{*rest}", r"users/{id:[+-]?\d+}/files/{rest:.*}"),
    ],
)
def test_templates_become_aiohttp_paths(route: str, path: str):
    assert aiohttp_path(route) == path


@pytest.mark.parametrize("route", ["/health", "~/x", "admin/x", "Runtime", "{id?}", "{a:float}", "a*", "{"])
def test_what_cannot_be_served_is_refused_by_name(route: str):
    with pytest.raises(RouteError) as refused:
        aiohttp_path(route)
    assert route in str(refused.value)


def test_without_route_and_methods_it_answers_get_and_post_at_its_name():
    assert route_of(http_function()) == "home"
    assert http_methods(http_function()) == ["GET", "POST"]
    assert http_methods(http_function(methods=["put"])) == ["PUT"]
    with pytest.raises(RouteError, match="'FETCH', allowed: GET"):
        http_methods(http_function(methods=["FETCH"]))
