"""Our side of the identity provider: what it fetches, what it accepts, and how long it waits."""

import hashlib
import time
from base64 import urlsafe_b64encode
from typing import Any

import orjson
import pytest

from smart_support import Settings
from smart_support.errors import ConfigError
from smart_support.identity.single_sign_on import provider as module
from smart_support.identity.single_sign_on.errors import ProviderUnavailable, SignInRefused
from smart_support.identity.single_sign_on.provider import Answer, IdentityProvider
from tests.support.identity_provider import (
    REDIRECT,
    ScriptedProvider,
    client_of,
    new_key,
    scripted_provider,
)
from tests.support.loopback import reply

DISCOVERY = "/.well-known/openid-configuration"


async def _log_in(client: IdentityProvider, provider: ScriptedProvider, **more: Any) -> Answer:
    """A whole login, without a browser."""
    challenge = urlsafe_b64encode(hashlib.sha256(b"verifier").digest()).rstrip(b"=").decode()
    address = await client.authorization_address(state="s", nonce="n", challenge=challenge)
    code = provider.log_in(address)["code"]
    return await client.exchange(
        **{"code": code, "verifier": "verifier", "nonce": "n", "issuer": None} | more
    )


async def test_metadata_and_keys_are_fetched_once() -> None:
    async with scripted_provider() as provider:
        client = client_of(provider)
        assert (await _log_in(client, provider)).claims["sub"] == "u-1"
        await _log_in(client, provider)
        assert provider.requests == [DISCOVERY, "/token", "/jwks", "/token"]


async def test_a_new_key_is_fetched_and_a_made_up_one_only_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scripted_provider() as provider:
        client = client_of(provider)
        await _log_in(client, provider)
        provider.keys = [new_key("k-2"), *provider.keys]
        monkeypatch.setattr(module, "RETRY_SECONDS", -1)
        await _log_in(client, provider)
        assert provider.requests.count("/jwks") == 2
        monkeypatch.setattr(module, "RETRY_SECONDS", 60)
        known, provider.keys = provider.keys, [new_key("k-3")]
        for _ in range(3):
            with pytest.raises(SignInRefused) as refused:
                await _log_in(client, provider)
        assert "k-3" in refused.value.detail
        provider.keys = known
        await _log_in(client, provider)
        assert provider.requests.count("/jwks") == 2


async def test_a_code_counts_with_its_own_verifier_and_nonce_only() -> None:
    async with scripted_provider() as provider:
        client = client_of(provider)
        with pytest.raises(SignInRefused) as refused:
            await _log_in(client, provider, verifier="of another browser")
        assert "invalid_grant" in refused.value.detail
        with pytest.raises(SignInRefused) as refused:
            await _log_in(client, provider, nonce="of another login")
        assert "nonce" in refused.value.detail


@pytest.mark.parametrize("changes", [{"iss": "https://other.example"}, {"aud": "other"}, {"exp": 1}])
async def test_a_token_that_is_not_for_this_login_is_refused(changes: dict[str, Any]) -> None:
    async with scripted_provider() as provider:
        provider.changes = changes
        with pytest.raises(SignInRefused, match="can't be trusted"):
            await _log_in(client_of(provider), provider)


async def test_a_login_that_comes_back_from_another_provider_is_refused() -> None:
    async with scripted_provider() as provider:
        for issuer, described in (
            ("https://evil.example", {}),
            (None, {"authorization_response_iss_parameter_supported": True}),
        ):
            provider.metadata = described
            with pytest.raises(SignInRefused, match="another identity provider"):
                await _log_in(client_of(provider), provider, issuer=issuer)
        assert "/token" not in provider.requests
        await _log_in(client_of(provider), provider, issuer=provider.issuer)


@pytest.mark.parametrize(
    "described",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": "//evil.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": "http://user@127.0.0.1/jwks"},
        {"end_session_endpoint": "gopher://127.0.0.1/"},
        {"id_token_signing_alg_values_supported": ["none", "HS256"]},
    ],
)
async def test_metadata_that_can_t_be_used_stops_the_login(described: dict[str, Any]) -> None:
    async with scripted_provider() as provider:
        provider.metadata = described
        client = client_of(provider)
        for _ in range(2):
            with pytest.raises(ProviderUnavailable, match="administrator"):
                await client.metadata()
        assert provider.requests == [DISCOVERY]
        assert client.problem


async def test_metadata_leads_to_no_internal_address() -> None:
    async with scripted_provider() as provider, scripted_provider() as internal:
        for name in ("token_endpoint", "jwks_uri", "userinfo_endpoint"):
            provider.metadata = {name: f"{internal.issuer}/{name}"}
            client = client_of(provider)
            if name == "userinfo_endpoint":
                assert await client.user_info("an-access-token", "u-1") == {}
            else:
                with pytest.raises(ProviderUnavailable) as refused:
                    await _log_in(client, provider)
                assert "not on the public internet" in refused.value.detail
        assert internal.requests == []


async def test_a_redirect_is_not_followed() -> None:
    async with scripted_provider() as provider, scripted_provider() as elsewhere:
        moved = reply(302, location=f"{elsewhere.issuer}{DISCOVERY}")
        provider.answers[DISCOVERY] = moved
        with pytest.raises(ProviderUnavailable):
            await client_of(provider).metadata()
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        reply(500),
        reply(200, b"not json"),
        reply(200, b"[]"),
        reply(200, b" " * (module.MAX_BYTES + 1)),
        b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\nx",
        b"nonsense\r\n\r\n",
    ],
)
@pytest.mark.parametrize("path", [DISCOVERY, "/jwks", "/token"])
async def test_an_answer_that_makes_no_sense_is_a_provider_that_is_down(path: str, answer: bytes) -> None:
    async with scripted_provider() as provider:
        provider.answers[path] = answer
        with pytest.raises((ProviderUnavailable, SignInRefused)) as refused:
            await _log_in(client_of(provider), provider)
        assert "Traceback" not in refused.value.message


async def test_a_provider_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.05)
    async with scripted_provider() as provider:
        provider.answers[DISCOVERY] = None
        client = client_of(provider)
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable, match="does not answer"):
            await client.metadata()
        assert time.monotonic() - began < module.RETRY_SECONDS
        assert "does not answer" in client.problem


async def test_a_provider_that_comes_back_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_provider() as provider:
        provider.answers[DISCOVERY] = reply(503)
        client = client_of(provider)
        with pytest.raises(ProviderUnavailable):
            await client.metadata()
        monkeypatch.setattr(module, "RETRY_SECONDS", -1)
        del provider.answers[DISCOVERY]
        await client.metadata()
        assert client.problem == ""
        # What is known stays in use while the provider is down.
        monkeypatch.setattr(module, "KEEP_SECONDS", -1)
        provider.answers[DISCOVERY] = reply(503)
        assert (await client.metadata())["issuer"] == provider.issuer


@pytest.mark.parametrize(
    ("supported", "setting", "scope"),
    [
        (None, "", "openid profile email"),
        (["openid", "groups"], "", "openid profile email groups"),
        (["openid", "groups"], "roles, email", "openid roles email"),
    ],
)
async def test_groups_are_requested_only_where_they_are_offered(
    supported: list[str] | None, setting: str, scope: str
) -> None:
    async with scripted_provider() as provider:
        provider.metadata = {"scopes_supported": supported}
        client = client_of(provider, oidc_scopes=setting)
        address = await client.authorization_address(state="s", nonce="n", challenge="c")
        assert f"&scope={scope.replace(' ', '+')}&" in address


async def test_userinfo_about_somebody_else_does_not_count() -> None:
    async with scripted_provider() as provider:
        client = client_of(provider)
        for said in ({"sub": "u-2", "groups": ["owners"]}, {"groups": ["owners"]}):
            provider.user_info = said
            assert await client.user_info("an-access-token", "u-1") == {}
        provider.answers["/userinfo"] = reply(401)
        assert await client.user_info("an-access-token", "u-1") == {}
        provider.answers = {"/userinfo": reply(200, orjson.dumps({"sub": "u-1", "groups": ["staff"]}))}
        assert (await client.user_info("an-access-token", "u-1"))["groups"] == ["staff"]


@pytest.mark.parametrize(
    ("issuer", "allowed", "is_refused"),
    [
        ("https://login.internal", "", False),
        ("http://127.0.0.1:9000/realms/desk", "", False),
        ("http://keycloak:8080", "keycloak:8080", False),
        ("http://keycloak:8080", "keycloak:9090", True),
        ("http://login.example", "", True),
    ],
)
def test_a_provider_without_tls_has_to_be_near(issuer: str, allowed: str, is_refused: bool) -> None:
    settings = Settings(
        oidc_issuer=issuer, oidc_client_id="c", oidc_roles="leads:lead", allowed_hosts=allowed
    )
    if is_refused:
        with pytest.raises(ConfigError, match="SMART_SUPPORT_OIDC_ISSUER"):
            IdentityProvider(settings, REDIRECT)
    else:
        IdentityProvider(settings, REDIRECT)
