"""Classes that a pipeline file names: found or refused with file and line, made once, and kept from doing harm."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from shared.errors import (
    InvalidPipeline,
    MalformedResponse,
    RateLimited,
    RequestRejected,
    SourceError,
    TemporaryFailure,
)
from shared.pipeline.auth import attachment, secrets_of, without_secret_inside
from shared.pipeline.contracts import Fetch, Fill, Page, PageRequest, PageSeen, Response
from shared.pipeline.extensions import extension
from shared.pipeline.extraction import extracted, transformed_by
from shared.pipeline.loader import load_file, load_text
from shared.pipeline.requests import page_request
from shared.pipeline.responses import read_page
from shared.pipeline.spec import Custom, Pipeline

HERE = __name__
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SCOPES = {"user": {"id": "ann"}, "params": {}, "credentials": {"key": "s3cret-of-ann"}}

FILE = """\
pipeline: social
source:
  base_url: https://api.example.com/v1
  auth: { type: none }
streams:
  - name: posts
    paginator: { type: custom, class: CLASS, options: OPTIONS }
"""


class Marks:
    """A paginator that sends its cursor as a header."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid")
        header: str
        size: int = 1

    made = 0

    def __init__(self, options: Options):
        type(self).made += 1
        self.options = options

    def request(self, first: PageRequest, cursor: str | None) -> PageRequest:
        return replace(first, headers={**first.headers, self.options.header: cursor or "start"})

    def next_cursor(self, page: PageSeen) -> str | None:
        return page.body["next"] if len(page.records) == self.options.size else None


class Astray(Marks):
    """Leads elsewhere, and says that it may."""

    def request(self, first: PageRequest, cursor: str | None) -> PageRequest:
        url = first.url if cursor is None else "https://evil.example.com/"
        return replace(first, url=url, origins=frozenset({"https://evil.example.com:443"}))


class Half:
    def __init__(self, options: object): ...

    def request(self) -> None: ...


class Signed:
    def __init__(self, options: dict[str, str]):
        self.key = options["key"]

    def headers(self, fill: Fill) -> dict[str, str]:
        return {"X-Signature": f"signed with {fill(self.key)}"}

    def query(self, fill: Fill) -> dict[str, str]:
        return {"user": fill("{user.id}")}


class Careless:
    """Does what it is told to, for better or worse."""

    def __init__(self, options: dict[str, Any]):
        self.does = options["does"]

    def transformed(self, record: dict[str, Any], fill: Fill) -> Any:
        return done(self.does, record)

    async def page(self, first: PageRequest, cursor: str | None, fetch: Fetch) -> Any:
        if self.does == "fetch astray":
            response = await fetch(replace(first, url="https://evil.example.com/", origins=frozenset({"evil"})))
            return Page([{"body": response.body.decode()}], None)
        return done(self.does, Page([{"id": 1}], "2"))


def done(what: str, value: Any) -> Any:
    match what:
        case "raise":
            raise ValueError("with the secret s3cret-of-ann in it")
        case "lose":
            raise ConnectionResetError("by peer")
        case "wait":
            raise RateLimited("throttled", 9)
        case "answer":
            return ["no record"]
        case "name":
            return {1: "a field"}
        case "number":
            return Page([{"id": 1}], 5.5)  # type: ignore[arg-type]  # as wrong as can be
        case "long":
            return Page([], "x" * 20_000)
        case "no list":
            return Page({"id": 1}, None)  # type: ignore[arg-type]  # as wrong as can be
    return value


def file(name: str, options: str = "{ header: X-Mark }") -> str:
    return FILE.replace("CLASS", f'"{name}"').replace("OPTIONS", options)


def refusal(text: str) -> str:
    with pytest.raises(InvalidPipeline) as refused:
        load_text(text, "social.yaml")
    return str(refused.value)


def loaded(name: str = f"{HERE}:Marks", options: str = "{ header: X-Mark }") -> Pipeline:
    return load_text(file(name, options), "social.yaml")


class TestLoading:
    @pytest.mark.parametrize(
        ("name", "options", "said"),
        [
            (
                "nowhere_at_all:Marks",
                "{}",
                "7: streams[0].paginator.class: found no module 'nowhere_at_all', allowed: one in the folder that "
                "holds the folder of pipeline files, or an installed one",
            ),
            (
                "json:Marks",
                "{}",
                "7: streams[0].paginator.class: found no class 'Marks' in json, allowed: a module that",
            ),
            (
                f"{HERE}:Mark",
                "{}",
                f"7: streams[0].paginator.class: found no class 'Mark' in {HERE}, allowed: {HERE}:Astray, ",
            ),
            (f"{HERE}:HERE", "{}", f"7: streams[0].paginator.class: found no class 'HERE' in {HERE}, allowed: "),
            (
                "marks",
                "{}",
                "7: streams[0].paginator.class: found no entry point 'marks' in headframe.paginators, allowed: "
                "my_module:MyClass",
            ),
            ("my module", "{}", "7: streams[0].paginator.class: found 'my module', allowed: my_module:MyClass, or "),
            (
                f"{HERE}:Half",
                "{}",
                f"7: streams[0].paginator.class: found {HERE}:Half without next_cursor, allowed: a class with request "
                "and next_cursor",
            ),
            (
                f"{HERE}:Marks",
                "{}",
                "7: streams[0].paginator.options.header: found nothing, allowed: this key must be there",
            ),
            (
                f"{HERE}:Marks",
                "{ header: X, size: many }",
                "7: streams[0].paginator.options.size: found 'many', allowed: a valid integer",
            ),
            (
                f"{HERE}:Marks",
                "{ header: X, sise: 1 }",
                "7: streams[0].paginator.options.sise: found an unknown key, allowed: header, size",
            ),
            (f"{HERE}:Marks", "5", "7: streams[0].paginator.options: found 5, allowed: a mapping"),
        ],
    )
    def test_a_class_that_can_not_be_used_is_one_clear_line(self, name: str, options: str, said: str):
        assert refusal(file(name, options)).startswith(f"social.yaml:{said}")
        assert "\n" not in refusal(file(name, options))

    def test_every_mistake_in_the_options_is_told(self):
        lines = refusal(file(f"{HERE}:Marks", "{ size: many, other: 1 }")).splitlines()
        assert len(lines) == 3

    def test_a_class_that_refuses_its_options_says_why(self):
        text = file(f"{HERE}:Marks").replace(
            "auth: { type: none }", f'auth: {{ type: custom, class: "{HERE}:Signed" }}'
        )
        assert refusal(text) == f"social.yaml:4: source.auth.options: found what {HERE}:Signed refuses: KeyError: 'key'"

    def test_an_unknown_key_beside_class_is_told_what_is_allowed(self):
        said = refusal(file(f"{HERE}:Marks").replace("options:", "option:"))
        assert said == "social.yaml:7: streams[0].paginator.option: found an unknown key, allowed: class, options, type"

    @pytest.mark.parametrize("beside", ["records: data", "error_path: e", "paginator: { type: single_page }"])
    def test_an_extractor_stands_alone(self, beside: str):
        head = FILE.split("    paginator")[0]
        said = refusal(f'{head}    {beside}\n    extractor: {{ type: custom, class: "{HERE}:Careless" }}\n')
        assert said == (
            f"social.yaml:6: streams[0]: found {beside.split(':')[0]} and an extractor, allowed: one of the two"
        )

    def test_an_instance_is_made_once_in_a_process(self):
        before = Marks.made
        for _ in range(3):
            custom = loaded(options="{ header: X-Once }").streams[0].paginator
            assert isinstance(custom, Custom)
            extension("paginators", custom)
        assert Marks.made == before + 1
        loaded(options="{ header: X-Another }")
        assert Marks.made == before + 2


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of pipeline files inside another, whose modules are forgotten afterwards."""
    path, modules = list(sys.path), set(sys.modules)
    (tmp_path / "pipelines").mkdir()
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


class TestFinding:
    def load(self, folder: Path, name: str) -> Pipeline:
        (folder / "pipelines" / "social.yaml").write_text(file(name))
        return load_file(folder / "pipelines" / "social.yaml")

    def test_a_module_above_the_folder_of_pipeline_files_is_found(self, folder: Path):
        (folder / "marks_of_mine.py").write_text(f"from {HERE} import Marks\nclass Mine(Marks): ...\n")
        assert self.load(folder, "marks_of_mine:Mine").streams

    def test_it_hides_no_module_of_anybody(self, folder: Path):
        """A folder may hold a file called like one of ours."""
        (folder / "colorsys.py").write_text("raise AssertionError('imported')")
        (folder / "marks_that_read.py").write_text(
            f"import colorsys\nfrom {HERE} import Marks\nclass Mine(Marks): ...\n"
        )
        assert self.load(folder, "marks_that_read:Mine").streams

    @pytest.mark.parametrize(("code", "said"), [("1/0", "ZeroDivisionError: "), ("(", "SyntaxError: ")])
    def test_a_module_that_fails_is_one_clear_line(self, folder: Path, code: str, said: str):
        (folder / f"marks_{said[:4]}.py").write_text(code)
        with pytest.raises(InvalidPipeline, match=f"class: found a module that fails: {said}"):
            self.load(folder, f"marks_{said[:4]}:Mine")

    def test_an_installed_package_offers_a_class_by_name(self, folder: Path):
        (folder / "marks_of_others.py").write_text(f"from {HERE} import Marks\nclass Theirs(Marks): ...\n")
        info = folder / "marks_of_others-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: marks-of-others\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[headframe.paginators]\nx-marks = marks_of_others:Theirs\n")
        sys.path.append(str(folder))
        assert self.load(folder, "x-marks").streams
        with pytest.raises(InvalidPipeline, match=r"found no entry point 'marks' in .*, allowed: x-marks, "):
            self.load(folder, "marks")


class TestPaginator:
    def test_it_makes_the_request_and_names_the_next_cursor(self):
        pipeline = loaded()
        stream = pipeline.streams[0]
        assert page_request(pipeline, stream, None, SCOPES).headers == {"X-Mark": "start"}
        assert page_request(pipeline, stream, "7", SCOPES).headers == {"X-Mark": "7"}
        body = Response(200, {}, b'{"next": "8"}')
        with_records = stream.model_copy(update={"records": ("[@]",)})
        assert read_page(with_records, None, body, NOW) == Page([{"next": "8"}], "8", {})

    def test_it_can_not_lead_to_a_foreign_origin(self):
        pipeline = loaded(f"{HERE}:Astray")
        with pytest.raises(RequestRejected, match=r"the next link leads to https://evil\.example\.com:443, allowed: "):
            page_request(pipeline, pipeline.streams[0], "7", SCOPES)
        request = page_request(pipeline, pipeline.streams[0], None, SCOPES)
        assert request.origins == {"https://api.example.com:443"}

    def test_its_mistakes_are_pages_that_can_not_be_read(self):
        """Here there is no `next` in the body."""
        stream = loaded().streams[0]
        with pytest.raises(MalformedResponse) as caught:
            read_page(stream, None, Response(200, {}, b"[{}]"), NOW)
        assert str(caught.value) == f"{HERE}:Marks: TypeError"


class TestAuth:
    def pipeline(self, key: str = "{credentials.key}") -> Pipeline:
        custom = f'auth: {{ type: custom, class: "{HERE}:Signed", options: {{ key: "{key}" }} }}'
        return load_text(file(f"{HERE}:Marks").replace("auth: { type: none }", custom), "social.yaml")

    def test_it_attaches_what_it_makes_of_the_users_credential(self):
        pipeline = self.pipeline()
        attached = attachment(pipeline, SCOPES)
        assert attached.headers == (("X-Signature", "signed with s3cret-of-ann"),)
        assert attached.query == (("user", "ann"),)
        assert pipeline.credentials == {"key"}
        assert secrets_of(pipeline, {"key": "s3cret-of-ann", "other": "x"}) == ["s3cret-of-ann"]

    def test_a_user_without_the_credential_is_refused_by_its_name(self):
        with pytest.raises(RequestRejected, match=r"the user has no value for \{credentials\.other\}"):
            attachment(self.pipeline("{credentials.other}"), SCOPES)

    def test_a_cursor_with_a_credential_is_not_stored(self):
        with pytest.raises(MalformedResponse, match="found a credential in the cursor, allowed: a cursor without"):
            without_secret_inside("page 2 of s3cret-of-ann", ["s3cret-of-ann"])
        assert without_secret_inside("page 2", ["s3cret-of-ann", "2"]) == "page 2"


def careless(does: str) -> Custom:
    return Custom.model_validate({"type": "custom", "class": f"{HERE}:Careless", "options": {"does": does}})


async def fetch(request: PageRequest) -> Response:
    """Says where it was let to."""
    return Response(200, {}, ",".join(request.origins).encode())


class TestCareless:
    FIRST = PageRequest("https://api.example.com/v1", {}, frozenset({"https://api.example.com:443"}))

    def page(self, does: str) -> Page:
        return asyncio.run(extracted(careless(does), self.FIRST, None, fetch))

    def record(self, does: str) -> dict[str, Any]:
        return transformed_by(careless(does), lambda template: template)({"id": 1})

    @pytest.mark.parametrize("call", [page, record])
    @pytest.mark.parametrize(
        ("does", "error", "said"),
        [
            ("raise", MalformedResponse, f"{HERE}:Careless: ValueError"),
            ("lose", TemporaryFailure, f"{HERE}:Careless: the connection failed: ConnectionResetError"),
            ("wait", RateLimited, "throttled"),
        ],
    )
    def test_what_it_raises_is_an_error_of_the_source_without_its_words(
        self, call: Callable[..., Any], does: str, error: type[SourceError], said: str
    ):
        with pytest.raises(error) as caught:
            call(self, does)
        assert str(caught.value) == said
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize(
        ("does", "said"),
        [
            ("answer", "found list, allowed: Page"),
            ("long", "found a cursor of 20000 characters, allowed: 16384"),
            ("no list", "found dict, allowed: a list of records"),
        ],
    )
    def test_an_extractor_that_answers_something_else_is_refused(self, does: str, said: str):
        with pytest.raises(MalformedResponse, match=said):
            self.page(does)

    @pytest.mark.parametrize(
        ("does", "said"), [("answer", "found list, allowed: dict"), ("name", "a field whose name is no text")]
    )
    def test_a_transform_that_answers_something_else_is_refused(self, does: str, said: str):
        with pytest.raises(MalformedResponse, match=said):
            self.record(does)

    def test_a_cursor_that_is_a_number_is_stored_as_text(self):
        assert self.page("number").cursor == "5.5"

    def test_the_credential_goes_to_the_origins_of_the_file_only(self):
        """However the extractor writes its requests: the transport refuses what is not among these."""
        assert self.page("fetch astray").records == [{"body": "https://api.example.com:443"}]
