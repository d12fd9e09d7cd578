"""A Singer tap: a partition for each user, whose token its requests carry; records go to standard output."""

import json
import sys
from typing import Any

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.pagination import JSONPathPaginator

BASE, USERS = sys.argv[1], int(sys.argv[2])


class Items(RESTStream):
    name = "items"
    path = "/items"
    url_base = BASE
    records_jsonpath = "$.data[*]"
    primary_keys = ("id",)
    state_partitioning_keys = ("user",)
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType),
        th.Property("name", th.StringType),
        th.Property("text", th.StringType),
        th.Property(
            "nested", th.ObjectType(th.Property("a", th.IntegerType), th.Property("b", th.ArrayType(th.IntegerType)))
        ),
        th.Property("user", th.StringType),
    ).to_dict()

    @property
    def partitions(self) -> list[dict[str, Any]]:
        return [{"user": str(number)} for number in range(USERS)]

    def get_new_paginator(self) -> JSONPathPaginator:
        return JSONPathPaginator("$.next")

    def get_url_params(self, context: Any, next_page_token: Any) -> dict[str, Any]:
        return {"after": next_page_token} if next_page_token else {}

    def get_http_request(self, *, page: Any) -> Any:
        request = super().get_http_request(page=page)
        request.headers["Authorization"] = f"Bearer token-{page.stream_context['user']}"
        return request


class Bench(Tap):
    name = "tap-bench"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self) -> list[Items]:
        return [Items(tap=self)]


sys.argv = [sys.argv[0]]
Bench(config=json.loads("{}")).sync_all()
