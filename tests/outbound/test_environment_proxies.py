"""Proxies of the environment never stop a start that does not need them, and a useless one is named."""

import os

import pytest

from smart_support.errors import ConfigError
from smart_support.outbound.environment_proxies import check_proxies, without_proxies


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *((name, f"{scheme}://127.0.0.1:9") for name in ("ALL_PROXY", "all_proxy", "HTTPS_PROXY")
          for scheme in ("socks5", "socks5h", "http")),
        ("HTTP_PROXY", "127.0.0.1:3128"),
        ("NO_PROXY", "localhost,10.0.0.0/8,::1,[::1],*.example.com"),
    ],
)  # fmt: skip
def test_a_proxy_that_can_be_used_is_accepted(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    check_proxies()


@pytest.mark.parametrize("value", ["socks4://127.0.0.1:9", "gopher://secret@x:1"])
@pytest.mark.parametrize("variable", ["ALL_PROXY", "https_proxy"])
def test_a_proxy_that_can_not_be_used_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=variable) as refused:
        check_proxies()
    assert "secret" not in refused.value.message


def test_libraries_see_no_proxy_while_they_are_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "gopher://x")
    with without_proxies():
        assert [name for name in os.environ if name.lower() == "all_proxy"] == []
    assert [os.environ[name] for name in os.environ if name.lower() == "all_proxy"] == ["gopher://x"]
