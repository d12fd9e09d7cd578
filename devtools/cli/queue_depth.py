"""How much waits in the queues, as the broker's administration interface tells it (Atom over HTTP).

Azure's own is left alone: asking it costs operations, and the portal shows it.
"""

import http.client
from collections.abc import Collection
from dataclasses import dataclass
from xml.etree import ElementTree

from devtools.stand_ins.ports import LOOPBACK, Ports

COUNTS = "{http://schemas.microsoft.com/netservices/2011/06/servicebus}"
API_VERSION = "2021-05"


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Messages that wait or are scheduled, and dead letters, over all queues."""

    waiting: int
    dead: int


def queue_depth(ports: Ports, queues: Collection[str]) -> QueueDepth | None:
    """None when the broker does not tell."""
    try:
        described = [_description(ports["amqp"], queue) for queue in queues]
        waiting = sum(_count(each, "ActiveMessageCount") + _count(each, "ScheduledMessageCount") for each in described)
        return QueueDepth(waiting, sum(_count(each, "DeadLetterMessageCount") for each in described))
    except (OSError, http.client.HTTPException, ElementTree.ParseError, ValueError):
        return None


def _description(port: int, queue: str) -> ElementTree.Element:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", f"/{queue}?enrich=false&api-version={API_VERSION}")
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise ValueError(f"{queue}: {response.status}")
        return ElementTree.fromstring(response.read())  # noqa: S314 - the answer of our own emulator
    finally:
        connection.close()


def _count(description: ElementTree.Element, name: str) -> int:
    return int(description.findtext(f".//{COUNTS}{name}", "0"))
