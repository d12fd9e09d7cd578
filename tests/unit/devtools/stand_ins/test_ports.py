import socket

import pytest

from devtools.stand_ins.ports import LOOPBACK, free_ports, is_free, require_free
from shared.errors import BadInput


def test_free_ports_are_different_and_free():
    ports = free_ports(("blob", "queue", "table"))
    assert len(set(ports.values())) == 3
    assert all(map(is_free, ports.values()))


def test_a_port_in_use_is_named_with_its_purpose():
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(BadInput) as refused:
            require_free({"table": port}, "Azurite")
    assert str(refused.value) == (
        f"port {port} for Azurite (table): found in use, allowed: a free one; stop what has it"
    )
