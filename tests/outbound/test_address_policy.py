"""No request leaves for an address that is not public, however it is written, resolved or redirected to."""

from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.errors import InvalidRequest, OutboundRefused, ToolUnavailable
from smart_support.outbound.address_policy import is_public, parse_allowed_hosts
from smart_support.outbound.client import GuardedClient
from tests.support.loopback import Asked, Loopback, guarded, loopback, reply

# One for all that is refused: it opens no connection, and trusted certificates take long to load.
CLIENT = GuardedClient()
PUBLIC = "93.184.215.14"

# Special-purpose IPv4 networks (RFC 6890 and IANA's registry), multicast and the reserved rest.
NOT_PUBLIC = [
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
WRITTEN = [
    *("127.0.0.1", "localhost", "LOCALHOST", "0.0.0.0", "127.1", "127.0.1", "0", "2130706433", "0x7f000001"),
    *("0x7f.1", "0x7F.0.0.0x1", "017700000001", "127。0。0。1", "169.254.169.254", "100.64.0.1", "10.0.0.1"),
    *("172.31.255.255", "192.168.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "[::1]", "[::]"),
    *("[::ffff:127.0.0.1]", "[::ffff:8.8.8.8]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::8.8.8.8]"),
    *(
        "[64:ff9b::7f00:1]",
        "[64:ff9b::8.8.8.8]",
        "[64:ff9b:1::a00:1]",
        "[2002:7f00:1::]",
        "[2002:808:808::1]",
    ),
    *("[2001::1]", "[2001:0:7f00:1::]", "[2001:db8::1]", "[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd00::1]"),
    *("[ff02::1]", "[100::1]", "[3fff::1]", "[5f00::1]", "[2001:2::1]", "[2001:20::1]"),
]
ADDRESSES = [
    *("127.0.0.1", "0.0.0.0", "10.1.2.3", "100.127.255.255", "169.254.169.254", "192.0.0.8", "192.88.99.1"),
    *("239.1.2.3", "250.0.0.1", "::1", "::", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "fe80::1%lo"),
    *("64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::", "fd00::1", "ff0e::1"),
]


class _Names:
    """A resolver: gives each name its answers in turn, the last one for good; counts what it is asked."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
async def server() -> AsyncIterator[Loopback]:
    async with loopback(lambda asked: reply(body=b"secret", connection="close")) as served:
        yield served


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch, server: Loopback) -> list[str]:
    """The addresses that are connected to; whichever it is, the loopback server picks up."""
    addresses: list[str] = []
    connect = httpcore.AnyIOBackend.connect_tcp

    async def dial(
        self: httpcore.AnyIOBackend, host: str, port: int, *rest: object
    ) -> httpcore.AsyncNetworkStream:
        addresses.append(host)
        return await connect(self, "127.0.0.1", server.port)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", dial)
    return addresses


@pytest.mark.parametrize("host", WRITTEN)
async def test_an_address_that_is_not_public_is_refused_however_it_is_written(
    host: str, server: Loopback
) -> None:
    with pytest.raises(OutboundRefused) as refused:
        await CLIENT.request("GET", f"http://{host}:{server.port}/")
    assert f":{server.port} to SMART_SUPPORT_ALLOWED_HOSTS" in refused.value.message
    assert server.connections == 0


@pytest.mark.parametrize("address", ADDRESSES)
async def test_a_name_that_leads_there_is_refused_and_the_address_not_told(
    address: str, dialled: list[str]
) -> None:
    client = GuardedClient(resolve=_Names([address]))
    with pytest.raises(OutboundRefused) as refused:
        await client.request("GET", "https://innocent.test/")
    assert "innocent.test" in refused.value.message
    assert address not in refused.value.message
    assert dialled == []


@pytest.mark.parametrize("answers", [[PUBLIC, "10.0.0.1"], ["::1", PUBLIC], [PUBLIC, "64:ff9b::7f00:1"]])
async def test_one_address_that_is_not_public_spoils_the_others(
    answers: list[str], dialled: list[str]
) -> None:
    with pytest.raises(OutboundRefused):
        await GuardedClient(resolve=_Names(answers)).request("GET", "http://mixed.test/")
    assert dialled == []


async def test_a_redirect_is_checked_again(server: Loopback) -> None:
    def onward(asked: Asked) -> bytes:
        return reply(302, location=f"http://{WRITTEN[int(asked.target[1:])]}:{server.port}/")

    async with loopback(onward) as source, guarded(f"127.0.0.1:{source.port}", resolve=None) as client:
        for place in range(len(WRITTEN)):
            with pytest.raises(OutboundRefused):
                await client.request("GET", f"http://127.0.0.1:{source.port}/{place}")
    assert len(source.asked) == len(WRITTEN)
    assert server.connections == 0


async def test_the_address_that_was_checked_is_the_one_connected_to(dialled: list[str]) -> None:
    names = _Names([PUBLIC], ["127.0.0.1"])
    async with guarded(resolve=names) as client:
        assert (await client.request("GET", "http://rebound.test/")).content == b"secret"
        assert (dialled, names.asked) == ([PUBLIC], ["rebound.test"])
        with pytest.raises(OutboundRefused):
            await client.request("GET", "http://rebound.test/")
    assert (dialled, names.asked) == ([PUBLIC], ["rebound.test"] * 2)


@pytest.mark.parametrize("answers", [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
async def test_a_dead_address_leaves_the_others_their_turn(answers: list[str], server: Loopback) -> None:
    async with guarded("shop.test", resolve=_Names(answers)) as client:
        assert (await client.request("GET", f"http://shop.test:{server.port}/")).status == 200


async def test_a_kept_connection_lets_no_other_name_through() -> None:
    async with loopback(lambda asked: reply(body=b"secret")) as server, guarded("open.test") as client:
        for _ in range(2):
            assert (await client.request("GET", f"http://open.test:{server.port}/")).status == 200
        for other in (f"http://other.test:{server.port}/", f"http://127.0.0.1:{server.port}/"):
            with pytest.raises(OutboundRefused):
                await client.request("GET", other, headers={"Host": "open.test"})
    assert (server.connections, len(server.asked)) == (1, 2)


@pytest.mark.parametrize(
    ("allowed", "host", "passes"),
    [
        ("127.0.0.1", "127.0.0.1:{port}", True),
        ("127.0.0.1:{port}", "127.0.0.1:{port}", True),
        ("127.0.0.1:1", "127.0.0.1:{port}", False),
        ("127.0.0.1:80", "127.0.0.1:{port}", False),
        ("127.0.0.1", "127.1:{port}", False),
        ("LocalHost.:{port}", "localhost:{port}", True),
        ("localhost", "LOCALHOST.:{port}", True),
        ("localhost", "a.localhost:{port}", False),
        ("Bücher.test", "xn--bcher-kva.test:{port}", True),
        ("xn--bcher-kva.test", "BÜCHER.test:{port}", True),
        ("[0:0:0::1]", "[::1]:{port}", True),
        ("[::1]:1", "[::1]:{port}", False),
    ],
)
async def test_only_what_is_allowed_passes(allowed: str, host: str, passes: bool, server: Loopback) -> None:
    url = f"http://{host.format(port=server.port)}/"
    async with guarded(allowed.format(port=server.port)) as client:
        if passes:
            assert (await client.request("GET", url)).content == b"secret"
        else:
            with pytest.raises(OutboundRefused):
                await client.request("GET", url)


def test_allowed_hosts_are_read_into_one_spelling() -> None:
    assert parse_allowed_hosts(" API.internal., [0:0::1]:08080 10.0.0.1:80\n,") == {
        "api.internal",
        "[::1]:8080",
        "10.0.0.1:80",
    }
    assert parse_allowed_hosts("") == frozenset()


@pytest.mark.parametrize(
    "bad",
    [
        *("http://a.test", "a.test/path", "*.test", "user@a.test", "a.test:", "a.test:http", "a.test:0"),
        *("a.test:65536", "::1", "[::1", "[127.0.0.1]", "10.0.0.0/8", "300.1.1.1", ".", "xn--ü"),
    ],
)
def test_a_wrong_allowed_host_is_named(bad: str) -> None:
    with pytest.raises(ValueError, match="neither host nor host:port") as refused:
        parse_allowed_hosts(f"good.test, {bad}")
    assert repr(bad) in str(refused.value)


async def test_a_name_without_an_address_is_said_plainly() -> None:
    for answer in ([], OSError("[Errno -2] 10.0.0.53 said no")):
        client = GuardedClient(resolve=_Failing(answer))
        with pytest.raises(ToolUnavailable, match=r"^gone\.test can't be found") as failed:
            await client.request("GET", "http://gone.test/?key=secret")
        assert "10.0.0.53" not in failed.value.message


async def test_a_name_that_no_look_up_takes_is_said_plainly() -> None:
    for host in ("a..b", "x" * 64 + ".test"):
        with pytest.raises(ToolUnavailable, match="can't be found"):
            await CLIENT.request("GET", f"http://{host}/")


def test_public_addresses_are_public() -> None:
    for address in ("1.1.1.1", PUBLIC, "100.63.255.255", "172.32.0.1", "223.255.255.255", "2606:4700::1111"):
        assert is_public(address)


_any_refused = st.sampled_from(NOT_PUBLIC).flatmap(
    lambda network: st.integers(int(network[0]), int(network[-1])).map(IPv4Address)
)


@st.composite
def _spelled(draw: st.DrawFn) -> str:
    """An IPv4 address in any spelling inet_aton takes: 1 to 4 parts, each decimal, octal or hexadecimal."""
    number = int(draw(_any_refused))
    parts = draw(st.integers(1, 4))
    leading = [number >> 8 * (3 - place) & 255 for place in range(parts - 1)]
    last = number & (1 << 8 * (5 - parts)) - 1
    forms = st.sampled_from(["{:d}", "0{:o}", "0x{:x}", "0X{:X}", "0x{:010x}"])
    return ".".join(draw(forms).format(part) for part in [*leading, last])


@given(_spelled())
async def test_no_spelling_of_a_refused_address_gets_through(host: str) -> None:
    with pytest.raises((OutboundRefused, InvalidRequest)):
        await CLIENT.request("GET", f"http://{host}:9/")


@given(st.integers(0, 2**32 - 1), st.sampled_from(["::", "::ffff:0:0", "64:ff9b::", "64:ff9b:1::", "2002::"]))
def test_no_ipv4_address_gets_through_inside_an_ipv6_one(number: int, prefix: str) -> None:
    shift = 80 if prefix == "2002::" else 0
    assert not is_public(str(IPv6Address(int(IPv6Address(prefix)) + (number << shift))))


@given(_any_refused)
def test_every_special_address_is_not_public(address: IPv4Address) -> None:
    assert not is_public(str(address))


@given(st.integers(0, 2**128 - 1).map(IPv6Address).filter(lambda ip: ip not in IPv6Network("2000::/3")))
def test_outside_global_unicast_nothing_is_public(address: IPv6Address) -> None:
    assert not is_public(str(address))


class _Failing:
    """A resolver that finds nothing, or fails."""

    def __init__(self, answer: list[str] | OSError) -> None:
        self.answer = answer

    async def __call__(self, host: str, port: int) -> list[str]:
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer
