"""Workloads whose objects are merged, and how somebody reads them."""

import json
from collections.abc import Mapping

from tests.simulation.workload import Workload

OFTEN = (("DELIVERY_RECORDS", "1"),)

MERGED: tuple[Workload, ...] = (
    Workload("merged, one user", users=1, records=9, size=1, runs=2, written=2, settings=OFTEN, merging=True),
    Workload("merged", users=3, records=9, size=1, runs=2, written=5, settings=OFTEN, merging=True),
    Workload("merged, run after run", users=2, records=6, size=1, runs=5, written=4, settings=OFTEN, merging=True),
    Workload("merged, many users", users=12, records=3, size=1, runs=2, written=2, settings=OFTEN, merging=True),
)


def by_log(objects: Mapping[str, bytes]) -> dict[str, bytes]:
    """The objects that count, as docs/pipelines.md tells readers: none that the log says is replaced, and of merged
    ones those that it names."""
    counted = {name: data for name, data in objects.items() if "/merged-" not in name and "/_merged/" not in name}
    entries = {name: json.loads(data) for name, data in objects.items() if "/_merged/" in name}
    for name, entry in entries.items():
        folder = name.partition("_merged/")[0]
        counted[folder + entry["object"]] = objects.get(folder + entry["object"], b"")
    for name, entry in entries.items():
        folder = name.partition("_merged/")[0]
        for replaced in entry["replaces"]:
            counted.pop(folder + replaced, None)
    return counted
