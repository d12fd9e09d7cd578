"""dlt's rest_api source: users are a resource, their items a child that is fetched with each user's token.

Arguments: base URL, users, folder for the output, workers, and `extract` for the first of its three steps alone.
"""

import os
import sys
from pathlib import Path

base, users, output, workers = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
os.environ |= {
    "EXTRACT__WORKERS": workers,
    "EXTRACT__MAX_PARALLEL_ITEMS": str(2 * int(workers)),
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
}

import dlt  # noqa: E402 - it reads its configuration when it is imported
from dlt.sources.rest_api import rest_api_source  # noqa: E402 - as above


@dlt.resource(name="users", max_table_nesting=0)
def tokens():
    yield [{"id": f"user{number:05}", "token": f"token-{number}"} for number in range(users)]


source = rest_api_source(
    {
        "client": {"base_url": base},
        "resource_defaults": {"write_disposition": "append", "max_table_nesting": 0},
        "resources": [
            tokens(),
            {
                "name": "items",
                "parallelized": True,
                "endpoint": {
                    "path": "items",
                    "headers": {"Authorization": "Bearer {resources.users.token}"},
                    "data_selector": "data",
                    "paginator": {"type": "cursor", "cursor_path": "next", "cursor_param": "after"},
                },
            },
        ],
    }
)
destination = dlt.destinations.filesystem(bucket_url=(output / "loaded").as_uri())
pipeline = dlt.pipeline("bench", pipelines_dir=str(output / "work"), destination=destination, dataset_name="bench")
if sys.argv[5:] == ["extract"]:
    pipeline.extract(source)
else:
    pipeline.run(source, loader_file_format="jsonl")
