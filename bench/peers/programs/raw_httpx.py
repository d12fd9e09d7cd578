"""What httpx alone costs: every page of every user fetched and parsed, records counted, nothing kept.

One client, ten connections: more cost more CPU for each request.
"""

import asyncio
import sys

import httpx
import orjson

CONNECTIONS = int(sys.argv[4]) if len(sys.argv) > 4 else 10


async def user(client: httpx.AsyncClient, base: str, number: int) -> int:
    headers, cursor, count = {"Authorization": f"Bearer token-{number}"}, None, 0
    while True:
        response = await client.get(f"{base}/items", params={"after": cursor} if cursor else None, headers=headers)
        if response.status_code != 200:
            return count
        page = orjson.loads(response.content)
        count += len(page["data"])
        cursor = page["next"]
        if cursor is None:
            return count


async def main(base: str, users: int) -> None:
    waiting = iter(range(users))
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def worker() -> int:
            return sum([await user(client, base, number) for number in waiting])

        print(sum(await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
