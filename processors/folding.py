"""The dedupe index of a stream and user, folded: many rows, some of them outdated, become few.

The folded rows are written under a name that nobody else uses; they become true when a conditional write of the
checkpoint names them, and only then the old ones go. Cut off anywhere, the checkpoint names one whole index. What an
earlier attempt left behind goes with the next one that succeeds: it was there before, so it was made for a checkpoint
that is gone, and nobody can name it any more.
"""

from dataclasses import replace

from processors.known_keys import KnownKeys, in_order
from processors.records import ENTRY_BYTES
from shared.adapters.checkpoint_table import LARGEST_ROW
from shared.checkpoint import Checkpoint
from shared.services import Services

MOST_ENTRIES = LARGEST_ROW // ENTRY_BYTES - 1
"""In a row, behind what it begins with."""


async def fold_index(checkpoint: Checkpoint, services: Services) -> None:
    """Fold the index of a run that has ended, where that halves its rows and there are more than `INDEX_ROWS`.

    What the run found and what it has learned stay apart, so that the run may be taken up again. Raises Conflict.
    """
    if checkpoint.index_position <= services.settings.index_rows:
        return
    checkpoints = services.checkpoints
    needless = await checkpoints.indexes(checkpoint.key)
    found = await _folded(checkpoint, 0, checkpoint.index_start, services)
    learned = await _folded(checkpoint, checkpoint.index_start, checkpoint.index_position, services)
    rows = [*found, *learned]
    if 2 * len(rows) > checkpoint.index_position:
        return
    name = f"{checkpoint.index.partition('.')[0]}.{int(services.random() * 16**12):012x}"
    after = replace(checkpoint, index=name, index_start=len(found), index_position=len(rows))
    await checkpoints.write_index(after, rows)
    await checkpoints.replace(after)
    for each in needless:
        await checkpoints.forget_index(checkpoint.key, each)


async def _folded(checkpoint: Checkpoint, since: int, until: int, services: Services) -> list[bytes]:
    """Rows with the last content of each key that these rows have. Raises Conflict."""
    known = KnownKeys()
    for row in await services.checkpoints.seen(replace(checkpoint, index_position=until), since):
        known.learn(row)
    return in_order(known, MOST_ENTRIES)
