"""Is this instance able to work? Answers within seconds, reveals nothing."""

from shared.errors import StorageError
from shared.outcome import Outcome
from shared.services import Services


async def health(services: Services) -> Outcome:
    """`ok` when the pipelines are loaded and storage answers, else `unavailable`."""
    try:
        admission = await services.admission.percent()
    except StorageError as error:
        return Outcome("unavailable", storage=str(error))
    return Outcome("ok", pipelines=sorted(services.pipelines), admission=admission)
