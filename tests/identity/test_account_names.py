"""Names of people and keys: none is the system's own, and no two can be taken for each other."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from smart_support.errors import ConfigError
from smart_support.identity.account_names import RESERVED_NAMES, AccountNames
from smart_support.identity.confusables import look_alikes, skeleton
from smart_support.identity.users import Accounts
from tests.support.harness import ROOT, AppProcess
from tests.support.passwords import hash_password

HASH = hash_password("correct horse")
# Pairs that others were deceived by, or nearly: reports to an IRC server (`emily` was folded before it was
# compared, so that its m stayed an m), to a chat (`Ιan Clarke` with a Greek iota), to a .NET library that
# compared before it normalised; and the examples of a Ruby one.
DECEIVED = [
    ("emily", "\u0435mily"),
    ("Ian Clarke", "\u0399an Clarke"),
    ("Zo\u00eb", "Zo\u0451"),
    ("caf\u00e9", "caf\u0435\u0301"),
    ("paypal", "\u0440\u0430\u0443\u0440\u0430l"),
    ("Ruby", "\u211c\U0001d602\u15af\u028f"),
    ("Michael", "Michae1"),
    ("evan", "\uff45\uff56\uff41\uff4e"),
    ("lena", "le\u200bna"),
    ("lena", "\u202elena\u202c"),
    ("lena", "L\u0415N\u0410"),
    ("lena", "Iena"),
    ("omar k", "omar\u00a0 k"),
]


@pytest.mark.parametrize(("one", "other"), DECEIVED)
def test_names_that_look_alike_share_a_key(one: str, other: str) -> None:
    assert look_alikes(one) & look_alikes(other)
    names = AccountNames()
    names.add(one, "here")
    with pytest.raises(ConfigError) as refused:
        names.add(other, "there")
    for told in ("here", "there", repr(one), repr(other)):
        assert told in refused.value.message


@pytest.mark.parametrize("other", ["lana", "elena", "lena2", "\u043b\u0435\u043d\u0430", "len", "le na"])
def test_names_that_do_not_look_alike_stay_apart(other: str) -> None:
    names = AccountNames()
    names.add("lena", "here")
    names.add(other, "there")


@given(st.text(min_size=1, max_size=12))
def test_a_skeleton_is_its_own_skeleton_and_a_name_looks_like_itself_in_any_case(text: str) -> None:
    assert skeleton(skeleton(text)) == skeleton(text)
    assert look_alikes(text) & look_alikes(text.casefold())
    assert look_alikes(text) == look_alikes(f"\u200b{text}\u00ad")


@pytest.mark.parametrize("name", [*RESERVED_NAMES, "agent:orders", "caller:shop"])
@pytest.mark.parametrize(
    "spelt",
    [
        str,
        str.upper,
        str.title,
        lambda name: name.replace(" ", "_").replace("e", "\u0435"),
        lambda name: f"  {name}\u200d ",
        lambda name: name.replace(" ", "").replace("o", "0"),
        lambda name: name.replace(":", "\uff1a").replace("a", "\u0430"),
    ],
)
def test_the_systems_own_names_can_not_be_taken_in_any_spelling(name: str, spelt) -> None:
    with pytest.raises(ConfigError, match="is reserved"):
        AccountNames().add(spelt(name), "here")


def test_users_and_keys_share_one_set_of_names(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"
    path.write_text(yaml.safe_dump([{"name": "lena", "role": "lead", "password_hash": HASH}]))
    with pytest.raises(ConfigError) as refused:
        Accounts(path, "site:operator:site-key-1,L\u0435na:lead:lena-key-1")
    assert f"SMART_SUPPORT_USERS_FILE={path}" in refused.value.message
    assert "SMART_SUPPORT_API_KEYS: key 2" in refused.value.message
    assert "lena-key-1" not in refused.value.message
    assert "\\u0435" in refused.value.message


def test_one_name_does_not_read_as_two_leads(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"

    def of(*names: str) -> Accounts:
        entries = [{"name": name, "role": "lead", "password_hash": HASH} for name in names]
        path.write_text(yaml.safe_dump(entries))
        return Accounts(path, "")

    with pytest.raises(ConfigError, match="reads as two others, 'lena' and 'omar'"):
        of("lena and omar", "lena", "omar")
    with pytest.raises(ConfigError, match="reads as 3 others, 'lena' and 'omar' and 'kim'"):
        of("lena and omar and kim", "lena", "omar", "kim")
    of("sales and marketing", "lena", "omar")


@pytest.mark.parametrize(
    "keys", ["system:lead:some-long-key", "ci:lead:first-key-1,\u0441i:lead:second-key-1"]
)
def test_the_app_does_not_start_with_such_names(data_dir: Path, keys: str) -> None:
    with pytest.raises(RuntimeError, match="API_KEYS: key"):
        AppProcess(data_dir, API_KEYS=keys).start()


def test_a_rule_of_two_leads_without_two_people_is_warned_of_at_start(data_dir: Path) -> None:
    with AppProcess(data_dir, API_KEYS="a:lead:first-key-1,b:lead:second-key-1", TEMPLATE="fintech") as app:
        assert "two_leads_missing" in app.log()


def test_the_mapping_is_made_by_its_script(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"0": "O", "\u0435": "e", "m": "rn", "x": "x"}', encoding="utf-8")
    script = tmp_path / "make.py"
    script.write_text((ROOT / "data/unicode/make.py").read_text())
    subprocess.run([sys.executable, script, tmp_path / "data.json"], check=True)
    made = (tmp_path / "confusables.txt").read_text().splitlines()
    assert made[-3:] == ["0030 ; 004F", "006D ; 0072 006E", "0435 ; 0065"]
    assert set(made[-3:]) <= set((ROOT / "data/unicode/confusables.txt").read_text().splitlines())
