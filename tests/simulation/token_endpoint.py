"""A token endpoint in memory, before a server that rotates refresh tokens; it throttles and fails."""

import random
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shared.pipeline.access_tokens import TokenRequest
from shared.pipeline.responses import Response
from tests.fakes.token_server import TokenServer
from tests.simulation.troubles import AT_THE_TOKEN_ENDPOINT
from tests.simulation.workload import TOKEN_HOST, Workload


@dataclass
class SimulatedTokenEndpoint:
    """`calls` are the users whose tokens were asked for; `leaks` those whose credential arrived somewhere else."""

    rng: random.Random
    work: Workload
    server: TokenServer
    calls: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    async def exchange(self, user: str, request: TokenRequest) -> Response:
        self.calls.append(user)
        if urlsplit(request.url).hostname != TOKEN_HOST:
            self.leaks.append(user)
        if self.rng.random() < self.work.token_trouble:
            return self.rng.choice(AT_THE_TOKEN_ENDPOINT)()
        return self.server.exchange(dict(request.form))

    async def close(self) -> None:
        """Nothing is open."""
