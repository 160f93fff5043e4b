"""How one comes in: links that open once, passkeys, letters; and what none of them gives away."""

from collections.abc import Callable

import pytest

from web_fixtures import OFFICER, REVIEWERS, Village, Window

pytestmark = pytest.mark.whole


def test_a_link_is_looked_at_without_use_and_lets_in_once(village: Village, window: Callable[..., Window]) -> None:
    secret = village.desk.make_link(OFFICER)
    one = window(village)
    for _ in range(3):  # as programs that open the links in mail do
        assert one.open(f"/enter/{secret}").status == 200
    one.page.get_by_role("main").get_by_role("button").click()
    one.page.wait_for_url("**/officer")
    assert secret not in one.page.url
    other = window(village)
    assert other.open(f"/enter/{secret}").status == 404


def test_a_passkey_signs_in_who_made_it(village: Village, window: Callable[..., Window]) -> None:
    one = window(village, REVIEWERS[0])
    device = one.page.context.new_cdp_session(one.page)
    device.send("WebAuthn.enable")
    kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    device.send("WebAuthn.addVirtualAuthenticator", {"options": kind | {"isUserVerified": True}})
    one.open("/me")
    one.page.get_by_label("What you call it").fill("my telephone")
    one.page.get_by_role("button", name="Add a passkey").click()
    one.page.get_by_text("my telephone").wait_for()
    one.page.get_by_role("button", name="Sign out").click()
    one.page.wait_for_url("**/sign-in")
    one.page.get_by_role("button", name="Sign in with a passkey").click()
    one.page.wait_for_url("**/review")
    assert not one.wrong


def test_the_way_in_has_no_fault_in_any_width(village: Village, window: Callable[..., Window]) -> None:
    for width in (390, 1024, 1600):
        one = window(village, viewport={"width": width, "height": 800})
        one.open("/sign-in")
        assert one.faults() == []
        assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert one.hosts == {one.url.partition("//")[2]}
