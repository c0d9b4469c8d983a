"""The console's app has the routes that are needed, answers by them as Gradio does, and lacks most others."""

from pathlib import Path

from pages.gradio_allowlist import is_needed
from smart_support import Settings, create_app
from tests.support import interfaces

API = "/gradio_api"


def test_the_routes_that_are_needed_are_there_and_answer_as_gradio_s_own(tmp_path: Path) -> None:
    made = interfaces.gradio_app(create_app(Settings(data_dir=tmp_path / "var")))
    own, whole = set(interfaces.routes(made)), interfaces.routes_of_gradio()
    needed = {(method, path) for method, path in whole if is_needed(path)}
    assert needed <= own
    assert len([path for _, path in own - needed if path.startswith(API)]) <= 1
    assert len([path for _, path in whole - needed if path.startswith(API)]) > 30
    included = next(one for one in interfaces.whole_gradio_app().routes if hasattr(one, "original_router"))
    answer_of = {one.path: one.response_class for one in included.effective_candidates()}
    answers = {one.path: one.response_class for one in made.routes if one.path in answer_of}
    assert len(answers) > 20
    assert answers == {path: answer_of[path] for path in answers}
