"""What aiohttp alone costs: every page of every user fetched and parsed, records counted, nothing kept."""

import asyncio
import sys

import aiohttp
import orjson

CONNECTIONS = int(sys.argv[4]) if len(sys.argv) > 4 else 50


async def user(session: aiohttp.ClientSession, base: str, number: int) -> int:
    headers, cursor, count = {"Authorization": f"Bearer token-{number}"}, None, 0
    while True:
        params = {"after": str(cursor)} if cursor else None
        async with session.get(f"{base}/items", params=params, headers=headers) as response:
            if response.status != 200:
                return count
            page = orjson.loads(await response.read())
        count += len(page["data"])
        cursor = page["next"]
        if cursor is None:
            return count


async def main(base: str, users: int) -> None:
    waiting = iter(range(users))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:

        async def worker() -> int:
            return sum([await user(session, base, number) for number in waiting])

        print(sum(await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
