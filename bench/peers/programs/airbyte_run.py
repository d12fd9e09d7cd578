"""Airbyte's low-code CDK: a partition for each user, whose token its requests carry; records go to standard output.

Arguments: base URL, users, folder for the output, concurrency.
"""

import json
import sys
from pathlib import Path

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

base, users, output, concurrency = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
TEXT, NUMBER = {"type": ["string", "null"]}, {"type": ["integer", "null"]}
MANIFEST = {
    "version": "6.0.0",
    "type": "DeclarativeSource",
    "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    "check": {"type": "CheckStream", "stream_names": ["items"]},
    "concurrency_level": {
        "type": "ConcurrencyLevel",
        "default_concurrency": concurrency,
        "max_concurrency": concurrency,
    },
    "streams": [
        {
            "type": "DeclarativeStream",
            "name": "items",
            "primary_key": ["id"],
            "schema_loader": {
                "type": "InlineSchemaLoader",
                "schema": {
                    "type": "object",
                    "properties": {"id": NUMBER, "name": TEXT, "text": TEXT, "nested": {"type": ["object", "null"]}},
                },
            },
            "retriever": {
                "type": "SimpleRetriever",
                "requester": {
                    "type": "HttpRequester",
                    "url_base": base,
                    "path": "/items",
                    "http_method": "GET",
                    "request_headers": {"Authorization": "Bearer {{ stream_partition.token }}"},
                },
                "record_selector": {
                    "type": "RecordSelector",
                    "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
                },
                "partition_router": {
                    "type": "ListPartitionRouter",
                    "cursor_field": "token",
                    "values": [f"token-{number}" for number in range(users)],
                },
                "paginator": {
                    "type": "DefaultPaginator",
                    "page_token_option": {
                        "type": "RequestOption",
                        "inject_into": "request_parameter",
                        "field_name": "after",
                    },
                    "pagination_strategy": {
                        "type": "CursorPagination",
                        "cursor_value": "{{ response.next }}",
                        "stop_condition": "{{ response.next is none }}",
                    },
                },
            },
        }
    ],
}
CATALOG = {
    "streams": [
        {
            "stream": {"name": "items", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
            "sync_mode": "full_refresh",
            "destination_sync_mode": "append",
        }
    ]
}
output.mkdir(parents=True, exist_ok=True)
for name, content in {"config": {}, "catalog": CATALOG}.items():
    (output / f"{name}.json").write_text(json.dumps(content))
arguments = ["read", "--config", str(output / "config.json"), "--catalog", str(output / "catalog.json")]
catalog = ConfiguredAirbyteCatalogSerializer.load(CATALOG)
source = ConcurrentDeclarativeSource(catalog=catalog, config={}, state=[], source_config=MANIFEST)
for message in AirbyteEntrypoint(source).run(AirbyteEntrypoint.parse_args(arguments)):
    print(message)
