"""Where a webhook may lead, in whatever spelling, and how its messages are signed."""

from __future__ import annotations

import pytest

from pipeline.errors import RequestRefused
from pipeline.neighbourhood.webhook import headers, secret_bytes, secret_of, target_of, why_not_public


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.1", "192.168.1.1"),
        *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "0.0.0.0", "0.1.2.3"),  # noqa: S104
        *("192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.2.3"),
        *("240.0.0.1", "255.255.255.255", "168.63.129.16"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::ffff:10.0.0.1", "::127.0.0.1", "::a00:1"),
        *("64:ff9b::169.254.169.254", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:a9fe:a9fe::1", "2002:7f00:1::"),
        "2001:0:4136:e378:8000:63bf:5601:5601",  # Teredo: the client is at 169.254.169.254, each bit turned over
    ],
)
def test_an_address_that_is_not_of_the_open_net_is_told_from_one_that_is(address: str) -> None:
    assert why_not_public(address)


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_an_address_of_the_open_net_is_let_pass(address: str) -> None:
    assert not why_not_public(address)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "hook.example.org",
            "ftp://hook.example.org/",
            "file:///etc/passwd",
            "gopher://x/",
            "https://",
            "https:///x",
        ),
        *("https://user@hook.example.org/", "https://user:pass@hook.example.org/", "https://@hook.example.org/"),
        *("https://hook.example.org/#x", "https://hook.example.org:0/", "https://hook.example.org:99999/"),
        *(
            "https://hook.example.org/a b",
            "https://hook.example.org/\r\nX: y",
            "https://hook.example.org\\@evil.example/",
        ),
        *(
            "https://höok.example.org/",
            "https://①②⑦.0.0.1/",
            "https://[fe80::1%25eth0]/",
            "https://[::1",
            "https://[x]/",
        ),
        # Other spellings of 169.254.169.254 and 127.0.0.1, which resolvers read.
        *("https://2852039166/", "https://0xa9fea9fe/", "https://0xA9.0xFE.0xA9.0xFE/", "https://0251.0376.0251.0376/"),
        *(
            "https://169.254.43518/",
            "https://127.1/",
            "https://017700000001/",
            "https://127.0.0.01/",
            "https://0x7f.1/",
        ),
        *("https://a..b/", "https://-a.example/", f"https://{'a' * 64}.example/", f"https://hook.example/{'a' * 2048}"),
    ],
)
def test_an_address_that_could_mean_another_place_is_refused_by_its_rule(url: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        target_of(url)
    assert refused.value.rule == "webhook"


def test_what_is_kept_of_an_address_in_the_bucket_is_not_its_path() -> None:
    target = target_of("https://Hook.Example.org.:8443/api/webhook/s3cret?token=k3y")
    assert (target.host, target.port, target.path) == ("hook.example.org", 8443, "/api/webhook/s3cret?token=k3y")
    assert target.origin == "https://hook.example.org:8443"
    assert target_of("https://[2001:4860:4860:0:0:0:0:8888]/x").origin == "https://[2001:4860:4860::8888]"
    assert target_of("https://hook.example.org").path == "/"


def test_a_signature_is_that_of_the_specification() -> None:
    """The message that the specification's own libraries are tested with."""
    secret, name = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert headers(name, b'{"test": 2432232314}', secret=secret, at_s=1614265330) == {
        "webhook-id": name,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_####", "whsec_c2hvcnQ="])
def test_a_secret_that_is_none_is_refused_and_not_told(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and base64") as refused:
        secret_bytes(secret)
    assert secret[6:] == "" or secret[6:] not in str(refused.value)


def test_a_secret_is_read_as_it_was_written() -> None:
    assert secret_bytes(secret_of(bytes(range(32)))) == bytes(range(32))
