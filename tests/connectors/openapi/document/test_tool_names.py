"""Names of tools and arguments are legal, unique, and the same whatever else a document holds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.connectors.openapi.document.arguments import argument_names
from smart_support.connectors.openapi.document.tool_names import free_names, tool_names
from smart_support.tools.names import MAX_LENGTH, is_valid

KEYS = st.builds("{} {}".format, st.sampled_from(["GET", "POST"]), st.text(max_size=80))
IDS = st.one_of(st.just(""), st.just("list"), st.text("abAB1-_ é", max_size=5), st.text(max_size=90))
PLACES = st.sampled_from(["path", "query", "header", "cookie", "body"])


def _name(operation_id: str, key: str = "GET /pets/{id}") -> str:
    return tool_names({key: operation_id})[key]


@pytest.mark.parametrize(
    ("operation_id", "name"),
    [
        ("getPetById", "get_pet_by_id"),
        ("GETPets", "get_pets"),
        ("listAPets2Now", "list_a_pets2_now"),
        ("pets/list all.v2", "pets_list_all_v2"),
        ("__Über--Straße__", "uber_strae"),
        ("2fa", "op_2fa"),
        ("", "get_pets_by_id"),
        ("日本", "get_pets_by_id"),
    ],
)
def test_an_operation_id_becomes_snake_case_or_else_method_and_path_speak(
    operation_id: str, name: str
) -> None:
    assert _name(operation_id) == name


def test_a_path_without_words_leaves_the_method() -> None:
    assert _name("", "DELETE /") == "delete"


def test_a_long_name_is_cut_and_told_apart_by_its_key() -> None:
    names = tool_names({"GET /a": "x" * 80, "GET /b": "x" * 80})
    assert len(set(names.values())) == 2
    assert all(re.fullmatch(r"x{57}_[0-9a-f]{6}", name) for name in names.values())
    assert names["GET /a"] == _name("x" * 80, "GET /a")


def test_all_that_share_a_name_get_a_suffix_and_one_alone_keeps_it_plain() -> None:
    names = tool_names({"GET /a": "list", "GET /b": "list", "GET /c": "get"})
    assert names["GET /c"] == "get"
    assert all(re.fullmatch(r"list_[0-9a-f]{6}", names[key]) for key in ("GET /a", "GET /b"))


def test_a_name_does_not_change_when_others_come_or_go() -> None:
    few = tool_names({"GET /a": "list", "GET /b": "list", "GET /c": "get"})
    many = tool_names(
        {"GET /d": "list", "GET /e": "put", "GET /c": "get", "GET /b": "list", "GET /a": "list"}
    )
    assert few == {key: many[key] for key in few}


def test_a_name_that_looks_like_anothers_suffixed_one_is_told_apart() -> None:
    suffixed = tool_names({"GET /a": "list", "GET /b": "list"})["GET /a"]
    names = tool_names({"GET /a": "list", "GET /b": "list", "GET /c": suffixed})
    assert len(set(names.values())) == 3


@given(st.dictionaries(KEYS, IDS, max_size=30), st.randoms())
def test_tool_names_are_legal_unique_and_independent_of_order(
    operations: dict[str, str], random: object
) -> None:
    names = tool_names(operations)
    assert all(map(is_valid, names.values()))
    assert len(set(names.values())) == len(operations)
    shuffled = list(operations.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert tool_names(dict(shuffled)) == names


@given(
    st.dictionaries(KEYS, IDS, max_size=20),
    st.dictionaries(KEYS, IDS, max_size=20),
    st.text("abz_", min_size=1, max_size=45).map(lambda text: f"a{text}"),
    st.booleans(),
)
def test_names_of_two_services_never_collide_and_are_valid_whatever_the_cut(
    first: dict[str, str], second: dict[str, str], prefix: str, has_prefixed: bool
) -> None:
    taken = {*tool_names(first).values()}
    own = tool_names(second)
    # The worst case: somebody has renamed tools to what the second service would get.
    taken |= {f"{prefix}_{name}"[:MAX_LENGTH] for name in own.values()} if has_prefixed else set()
    names = free_names(own, taken, prefix)
    assert names.keys() == own.keys()
    assert len({*names.values()} | taken) == len(names) + len(taken)
    assert all(map(is_valid, names.values()))
    assert free_names(dict(reversed(own.items())), taken, prefix) == names
    assert all(names[key] == name for key, name in own.items() if name not in taken)


def test_names_with_one_long_beginning_are_told_apart_behind_a_prefix() -> None:
    long = "get_the_settings_of_the_organisation_of_the_enterprise_with"
    own = {"GET /a": f"{long}_a", "GET /b": f"{long}_b"}
    names = free_names(own, {*own.values()}, "cloud_edition")
    assert len({*names.values()}) == 2
    assert all(map(is_valid, names.values()))


def test_the_first_place_keeps_a_name_and_the_other_says_where_it_is() -> None:
    assert argument_names([("body", "id"), ("query", "id"), ("path", "id")]) == ["body_id", "id_query", "id"]


def test_a_name_that_was_legal_from_the_start_is_kept_before_one_that_was_made_so() -> None:
    assert argument_names([("query", "a.b"), ("query", "a_b")]) == ["a_b_query", "a_b"]


@given(st.lists(st.tuples(PLACES, st.one_of(st.text("ab._", max_size=3), st.text(max_size=90))), unique=True))
def test_argument_names_are_legal_and_unique(wanted: list[tuple[str, str]]) -> None:
    names = argument_names(wanted)
    assert len(names) == len(set(names)) == len(wanted)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names)
    assert dict(zip(reversed(wanted), argument_names(wanted[::-1]), strict=True)) == dict(
        zip(wanted, names, strict=True)
    )
