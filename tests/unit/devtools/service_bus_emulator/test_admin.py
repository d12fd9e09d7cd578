"""The admin API as text: requests in, status and Atom XML out."""

import pytest

from devtools.service_bus_emulator.admin import CONNECT, AdminError, HttpRequest, _take_request, answer
from devtools.service_bus_emulator.broker import Broker
from devtools.service_bus_emulator.journal import NoJournal
from devtools.service_bus_emulator.properties import QueueProperties


@pytest.fixture
def broker(clock):
    broker = Broker(NoJournal(), clock)
    broker.create("orders", QueueProperties())
    return broker


def ask(broker, method, path, description="", **headers):
    body = f'<entry><QueueDescription xmlns="{CONNECT}">{description}</QueueDescription></entry>'
    return answer(broker, HttpRequest(method, path, {}, headers, body.encode()))


def test_a_queue_is_made_once(broker):
    assert ask(broker, "PUT", "new", "<MaxDeliveryCount>3</MaxDeliveryCount>")[0] == 201
    assert broker.entity("new").properties.max_delivery_count == 3
    assert ask(broker, "PUT", "new")[0] == 409


def test_a_property_with_a_wrong_value_is_refused(broker):
    status, text = ask(broker, "PUT", "new", "<LockDuration>PT6M</LockDuration>")

    assert status == 400
    assert "LockDuration: found 'PT6M', allowed" in text


def test_properties_change_but_not_those_fixed_at_creation(broker):
    change = {"if-match": "*"}

    assert ask(broker, "PUT", "orders", "<MaxDeliveryCount>3</MaxDeliveryCount>", **change)[0] == 200
    assert broker.entity("orders").properties.max_delivery_count == 3
    assert ask(broker, "PUT", "orders", "<RequiresSession>true</RequiresSession>", **change)[0] == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "nothing", 404), ("DELETE", "nothing", 404), ("PUT", "a b", 400), ("POST", "orders", 400),
     ("GET", "orders/$deadletterqueue", 400), ("DELETE", "orders", 200), ("GET", "$Resources/queues", 200)],
)  # fmt: skip
def test_each_request_has_its_status(broker, method, path, status):
    assert ask(broker, method, path)[0] == status


def test_a_body_that_is_no_queue_description_is_refused(broker):
    for body in (b"", b"<a", b"<a/>"):
        assert answer(broker, HttpRequest("PUT", "new", {}, {}, body))[0] == 400


def test_requests_are_cut_from_a_stream_however_it_is_chopped():
    stream = b"PUT /a%20b?x=1 HTTP/1.1\r\nContent-Length: 4\r\nIf-Match: *\r\n\r\nbodyGET / HTTP/1.1\r\n\r\n"
    buffer, found = bytearray(), []
    for byte in stream:
        buffer.append(byte)
        if (request := _take_request(buffer)) is not None:
            found.append(request)

    first, second = found
    assert (first.method, first.path, first.query, first.body) == ("PUT", "a b", {"x": ["1"]}, b"body")
    assert first.headers["if-match"] == "*"
    assert (second.method, second.path) == ("GET", "")


def test_what_is_neither_amqp_nor_http_is_refused():
    with pytest.raises(AdminError, match="Neither AMQP nor"):
        _take_request(bytearray(b"EHLO there\r\n\r\n"))
