"""Would Azure accept the app? Microsoft's own worker engine answers, and our host rules add to it."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.engine_process import ROOT, require_engine, run_engine

require_engine()

SETTINGS = {
    "FUNCTIONS_WORKER_RUNTIME": "python",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "SERVICE_BUS": "Endpoint=sb://127.0.0.1;SharedAccessKeyName=a;SharedAccessKey=b",
    "QUEUE": "work",
}
HOST_JSON: dict[str, Any] = {"version": "2.0", "extensionBundle": {"id": "b", "version": "[4.*, 5.0.0)"}}

HEAD = """
import functools
from typing import List
import azure.functions as func

app = func.FunctionApp()
queue = functools.partial(
    app.service_bus_queue_trigger, arg_name="message", queue_name="%QUEUE%", connection="SERVICE_BUS"
)
"""


@dataclass(frozen=True)
class Mistake:
    """A broken app: its source after HEAD, who must refuse it and what that one must say."""

    name: str
    refused_by: str
    says: str
    source: str
    settings: dict[str, str] = field(default_factory=dict)
    host_json: dict[str, Any] = field(default_factory=lambda: HOST_JSON)


def timer(schedule: str) -> str:
    return (
        f"@app.timer_trigger(arg_name='timer', schedule={schedule!r})\n"
        "async def tick(timer: func.TimerRequest) -> None: ...\n"
    )


GOOD_QUEUE_FUNCTION = "@queue()\nasync def mine(message: func.ServiceBusMessage) -> None: ...\n"


def queue_function(options: str = "", name: str = "mine") -> str:
    return GOOD_QUEUE_FUNCTION.replace("queue()", f"queue({options})").replace("mine", name)


def http_function(name: str, options: str) -> str:
    return f"@app.route({options})\nasync def {name}(req: func.HttpRequest) -> str: return ''\n"


MISTAKES = [
    Mistake("an import that fails", "engine", "no_such_module", "import no_such_module\n"),
    Mistake("a syntax error", "engine", "SyntaxError", "def mine(:\n"),
    Mistake("no app", "engine", "Could not find top level function app", "del app, queue\n"),
    Mistake("two names for the app", "engine", "More than one", GOOD_QUEUE_FUNCTION + "alias = app\n"),
    Mistake("a parameter bound to nothing", "engine", "'extra'", "@queue()\nasync def mine(message, extra): ...\n"),
    Mistake("a binding without a parameter", "engine", "'message'", "@queue()\nasync def mine(): ...\n"),
    Mistake(
        *("a message annotated as a timer", "engine", "TimerRequest"),
        GOOD_QUEUE_FUNCTION.replace("ServiceBusMessage", "TimerRequest"),
    ),
    Mistake(
        *("a timer annotated as a number", "engine", "int"), timer("0 * * * * *").replace("func.TimerRequest", "int")
    ),
    Mistake(
        *("an input annotated as an output", "engine", "Out"),
        GOOD_QUEUE_FUNCTION.replace("func.ServiceBusMessage", "func.Out[str]"),
    ),
    Mistake(
        *("an annotation that is no type", "engine", "non-type"),
        GOOD_QUEUE_FUNCTION.replace("func.ServiceBusMessage", "func.ServiceBusMessage | None"),
    ),
    Mistake(
        *("a context of another type", "engine", "context"),
        "@queue()\nasync def mine(message: func.ServiceBusMessage, context: str) -> None: ...\n",
    ),
    Mistake(
        *("an HTTP answer of the wrong type", "engine", "int"),
        http_function("home", "'home'").replace("-> str", "-> int"),
    ),
    Mistake("two functions of one name", "engine", "unique", GOOD_QUEUE_FUNCTION * 2),
    Mistake("a functools.partial", "engine", "", "async def f(message): ...\nqueue()(functools.partial(f))\n"),
    Mistake("no trigger", "engine", "trigger", "@app.function_name('mine')\nasync def mine(): ...\n"),
    Mistake(
        *("two triggers", "engine", "trigger"),
        "@app.timer_trigger(arg_name='timer', schedule='0 * * * * *')\n" + GOOD_QUEUE_FUNCTION,
    ),
    Mistake("a schedule of four fields", "host", "expected six fields", timer("* * * *")),
    Mistake("a schedule with a 61st minute", "host", "minute: found '60'", timer("0 60 * * * *")),
    Mistake("a schedule that never comes", "host", "never occurs", timer("0 0 0 31 2 *")),
    Mistake("a schedule in a missing setting", "host", "CRON is not set", timer("%CRON%")),
    Mistake("a bad schedule in a setting", "host", "second: found 'x'", timer("%CRON%"), {"CRON": "x * * * * *"}),
    Mistake("a queue in a missing setting", "host", "NO_QUEUE is not set", queue_function("queue_name='%NO_QUEUE%'")),
    Mistake("a queue whose name is impossible", "host", "allowed are", queue_function("queue_name='a queue'")),
    Mistake("a connection without its setting", "host", "neither OTHER nor", queue_function("connection='OTHER'")),
    Mistake(
        *("a connection that is no connection string", "host", "no connection string"),
        GOOD_QUEUE_FUNCTION,
        {"SERVICE_BUS": "secret-canary"},
    ),
    Mistake(
        *("a name that begins with a digit", "host", "begin with a letter"),
        "@app.function_name('1mine')\n" + GOOD_QUEUE_FUNCTION,
    ),
    Mistake(
        *("names that differ in letter case only", "host", "letter case"),
        queue_function() + queue_function(name="Mine"),
    ),
    Mistake(
        *("a binding of another kind", "host", "'blobTrigger'"),
        "@app.blob_trigger(arg_name='b', path='c/n', connection='STORAGE')\nasync def mine(b: func.InputStream): ...\n",
    ),
    Mistake(
        "batches",
        "host",
        "cardinality",
        queue_function("cardinality='many'").replace("func.ServiceBusMessage", "List[func.ServiceBusMessage]"),
    ),
    Mistake("sessions", "host", "sessions", queue_function("is_sessions_enabled=True")),
    Mistake(
        *("a topic", "host", "topics"),
        "@app.service_bus_topic_trigger(arg_name='message', topic_name='t', subscription_name='s',"
        " connection='SERVICE_BUS')\nasync def mine(message: func.ServiceBusMessage) -> None: ...\n",
    ),
    Mistake(
        *("two functions at one route", "host", "both answer GET"),
        http_function("one", "'Home', methods=['GET']") + http_function("two", "'home', methods=['GET', 'PUT']"),
    ),
    Mistake("a route that begins with a slash", "host", "must not begin", http_function("home", "'/home'")),
    Mistake("a route in the host's own space", "host", "must not begin", http_function("home", "'admin/home'")),
    Mistake("an unknown kind of route parameter", "host", "kind 'float'", http_function("home", "'{a:float}'")),
    Mistake(
        *("a sync decorator around an async function", "host", "coroutine"),
        "def plain(f):\n    @functools.wraps(f)\n    def call(*a, **k): return f(*a, **k)\n    return call\n"
        + GOOD_QUEUE_FUNCTION.replace("async def", "@plain\nasync def"),
    ),
    Mistake("a queue function that returns", "host", "returns str", GOOD_QUEUE_FUNCTION.replace("None", "str")),
    Mistake("no extension bundle", "host", "extensionBundle", GOOD_QUEUE_FUNCTION, {}, {"version": "2.0"}),
    Mistake(
        *("another runtime", "host", "FUNCTIONS_WORKER_RUNTIME is node"),
        GOOD_QUEUE_FUNCTION,
        {"FUNCTIONS_WORKER_RUNTIME": "node"},
    ),
    Mistake(
        "no storage for the host", "host", "AzureWebJobsStorage", timer("0 * * * * *"), {"AzureWebJobsStorage": ""}
    ),
    Mistake("an app without functions", "host", "no function", "del queue\n"),
]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The verdicts over all mistakes, by name: one process judges them all."""
    given = []
    for mistake in MISTAKES:
        folder = tmp_path_factory.mktemp("app")
        (folder / "function_app.py").write_text(HEAD + mistake.source)
        settings = SETTINGS | mistake.settings
        given.append({"folder": str(folder), "settings": settings, "host_json": mistake.host_json})
    answers = run_engine("judge", given=given)
    return {mistake.name: verdict for mistake, verdict in zip(MISTAKES, answers, strict=True)}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_each_mistake_is_refused_by_engine_or_host_rules(mistake: Mistake, verdicts: dict[str, dict[str, Any]]):
    """The list tells which of the two refuses; the engine's silence on the host's part is why our rules exist."""
    verdict = verdicts[mistake.name]
    if mistake.refused_by == "engine":
        assert verdict["engine"] is not None
        assert mistake.says in verdict["engine"]
    else:
        assert verdict["engine"] is None
        assert mistake.says in "\n".join(verdict["host"])
    assert "secret-canary" not in json.dumps(verdict)


def test_the_local_host_refuses_each_mistake_before_anything_runs(verdicts: dict[str, dict[str, Any]]):
    """Also those of the engine's part that would only show at the first call, except annotations."""
    annotations = ("annotated", "annotation", "of another type", "wrong type")
    accepted = [name for name, verdict in verdicts.items() if not verdict["host"]]
    assert [name for name in accepted if not any(word in name for word in annotations)] == []


def test_engine_and_host_rules_accept_this_app():
    """The function app of this project, with the settings of local.settings.sample.json and its host.json."""
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    host_json = json.loads((ROOT / "host.json").read_text())
    (verdict,) = run_engine("judge", given=[{"folder": str(ROOT), "settings": sample, "host_json": host_json}])
    assert verdict == {"engine": None, "host": []}
