"""A call of every operation by which somebody comes in at a page, to ask who may do it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from lamplighter.desk.desk import Desk
from lamplighter.desk.passes import Admitted
from soft_device import Device


def device_of(desk: Desk) -> Device:
    at = desk.settings.web.at
    return Device(at, urlsplit(at).hostname or "")


def _removed(desk: Desk) -> None:
    key = desk.add_passkey(device_of(desk).make(desk.passkey_offered()))
    desk.remove_passkey(key.id)


def _entered(desk: Desk) -> Admitted:
    device = device_of(desk)
    mine = desk.acting_for("rita")
    mine.add_passkey(device.make(mine.passkey_offered()))
    return desk.enter_by_passkey(device.show(desk.passkey_asked()))


CALLS: dict[str, Callable[[Desk, Any], Any]] = {
    "make_link": lambda desk, _: desk.make_link("piet"),
    "mail_link": lambda desk, _: desk.mail_link("nobody@example.org"),
    "look_at_link": lambda desk, _: desk.look_at_link(desk.make_link("rita")),
    "enter_by_link": lambda desk, _: desk.enter_by_link(desk.make_link("rita")),
    "signed_in": lambda desk, _: desk.signed_in("nothing"),
    "sign_out": lambda desk, _: desk.sign_out("nothing"),
    "sign_out_everywhere": lambda desk, _: desk.sign_out_everywhere("rita"),
    "make_token": lambda desk, _: desk.make_token("rita"),
    "by_token": lambda desk, _: desk.by_token("nothing"),
    "passkeys": lambda desk, _: desk.passkeys(),
    "passkey_offered": lambda desk, _: desk.passkey_offered(),
    "add_passkey": lambda desk, _: desk.add_passkey(device_of(desk).make(desk.passkey_offered())),
    "remove_passkey": lambda desk, _: _removed(desk),
    "passkey_asked": lambda desk, _: desk.passkey_asked(),
    "enter_by_passkey": lambda desk, _: _entered(desk),
    "seal_logs": lambda desk, _: desk.seal_logs(),
}
"""All but the way in by a letter, which wants one that was sent."""
