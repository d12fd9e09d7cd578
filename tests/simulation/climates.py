"""The weather in which simulations run."""

from tests.simulation.weather import Climate

BROKER_FAILS = Climate(refuse=0.7, lose_answer=0.3, since=0.5, until=1200, ports=("broker",))
SCHEDULER_IS_HELD_UP = Climate(stall=0.3, until=1200, ports=("openruns", "schedules", "users"))
FIRST_OUTPUT_FAILS = Climate(refuse=1.0, since=0.5, until=2400, ports=("output",))
SECOND_OUTPUT_FAILS = Climate(refuse=1.0, since=0.5, until=2400, ports=("second",))
SOURCE_FAILS = Climate(refuse=0.9, since=0.5, until=1200, ports=("source",))
INDEX_IS_SLOW = Climate(stall=0.4, until=400, ports=("openruns", "schedules"))
CLIMATES: tuple[Climate, ...] = (
    Climate(until=0),
    Climate(kill=0.02),
    Climate(stall=0.03),
    Climate(refuse=0.03, lose_answer=0.03),
    Climate(late=0.05),
    Climate(kill=0.01, stall=0.01, refuse=0.01, lose_answer=0.01, late=0.01),
    Climate(kill_all=0.005, stall=0.02),
    Climate(refuse=0.4, kill=0.01, since=0.5, until=300),
    Climate(refuse=1.0, since=0.5, until=2400, ports=("output", "pages")),
    SECOND_OUTPUT_FAILS,
    FIRST_OUTPUT_FAILS,
    BROKER_FAILS,
    Climate(refuse=0.5, kill=0.1, since=0.5, until=600, ports=("output", "broker")),
    SOURCE_FAILS,
    Climate(lose_answer=0.5, kill=0.1, since=0.5, until=200, ports=("streams", "host")),
    Climate(late=0.4, kill=0.05, until=1200, ports=("openruns", "schedules")),
    SCHEDULER_IS_HELD_UP,
)
