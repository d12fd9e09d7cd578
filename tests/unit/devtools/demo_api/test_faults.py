"""Which request goes wrong follows from the seed alone."""

from devtools.demo_api.faults import DEFAULT_FAULTS, MOVED_RECORD, NO_FAULTS, Fault, FaultPlan, Faults
from devtools.demo_api.streams import START, Position

POSITIONS = [Position(number, number) for number in range(20_000)]


def drawn(plan: FaultPlan, attempt: int = 0) -> list[Fault | None]:
    return [plan.fault("u001", "posts", position, attempt) for position in POSITIONS]


def test_the_same_seed_gives_the_same_faults_and_another_seed_others() -> None:
    """Two servers with one seed behave alike."""
    plans = [FaultPlan(DEFAULT_FAULTS, seed) for seed in (7, 7, 8)]
    assert drawn(plans[0]) == drawn(plans[1]) != drawn(plans[2])


def test_users_streams_and_attempts_have_faults_of_their_own() -> None:
    """No two of them fail in step."""
    plan = FaultPlan(DEFAULT_FAULTS, 7)
    keys = [("u001", "posts", 0), ("u002", "posts", 0), ("u001", "comments", 0), ("u001", "posts", 1)]
    lists = [tuple(plan.fault(user, stream, p, n) for p in POSITIONS[:2000]) for user, stream, n in keys]
    assert len(set(lists)) == 4


def test_the_default_spoils_about_3_percent_and_every_kind_occurs() -> None:
    """Enough to see, few enough for a demo to end."""
    faults = [fault for fault in drawn(FaultPlan(DEFAULT_FAULTS, 7)) if fault]
    assert 0.025 < len(faults) / len(POSITIONS) < 0.035
    assert set(faults) == set(Fault)


def test_without_rates_nothing_fails() -> None:
    """The default of the server."""
    assert set(drawn(FaultPlan(NO_FAULTS, 7))) == {None}


def test_a_request_succeeds_after_so_many_faults_in_a_row() -> None:
    """Even where everything fails."""
    plan = FaultPlan(Faults(rates={"server_error": 1.0}, in_a_row=2), 7)
    answers = [plan.fault("u001", "posts", START, attempt) for attempt in range(6)]
    assert answers == [Fault.SERVER_ERROR, Fault.SERVER_ERROR, None] * 2


def test_records_move_at_their_own_rate() -> None:
    """And the draw chooses which one."""
    plan = FaultPlan(Faults(rates={MOVED_RECORD: 0.1}), 7)
    moves = [plan.move("u001", "posts", position) for position in POSITIONS]
    chosen = [move for move in moves if move is not None]
    assert 0.08 < len(chosen) / len(moves) < 0.12
    assert len({move % 100 for move in chosen}) > 90
    assert set(drawn(plan)) == {None}
