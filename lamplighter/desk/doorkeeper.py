"""The operations by which somebody comes in at a page, asked for by the operator of the machine that serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamplighter.desk.roles import operation
from lamplighter.desk.switchboard import Switchboard

if TYPE_CHECKING:
    from lamplighter.desk.passes import Admitted
    from pipeline.actor import Actor
    from pipeline.passkey import Passkey


class Doorkeeper(Switchboard):
    """Who comes in, by what, and as whom; what each operation is for stands here."""

    @operation
    def make_link(self, person: str, *, days: float = 1.0) -> str:
        """Return the secret of a link, /enter/SECRET, that lets a person of staff or an owner in once.

        Nothing here can find it again. Raises NotFound for a person nobody knows.
        """
        from lamplighter.desk.passes import make_link

        return make_link(self._holdings, person, days=days)

    @operation
    def mail_link(self, address: str) -> bool:
        """Mail a link to the owner of an address, at most once a minute; tell whether one was mailed.

        What a page says must not depend on it. Raises ConfigError without a mail server, MailUnavailable, MailRefused.
        """
        from lamplighter.desk.passes import mail_link

        return mail_link(self._holdings, address)

    @operation
    def look_at_link(self, secret: str) -> Actor:
        """Return whom a link would let in, and use nothing up: programs open the links in mail. Raises NotFound."""
        from lamplighter.desk.passes import look_at_link

        return look_at_link(self._holdings, secret)

    @operation
    def enter_by_link(self, secret: str) -> Admitted:
        """Let somebody in by a link, which lets in nobody after that. Raises NotFound."""
        from lamplighter.desk.passes import enter_by_link

        return enter_by_link(self._holdings, secret)

    @operation
    def enter_by_letter(self, link: str) -> Admitted:
        """Let an owner in to the one request their letter asks about. Raises as `by_link` does."""
        from lamplighter.desk.passes import enter_by_letter

        return enter_by_letter(self._holdings, link)

    @operation
    def signed_in(self, secret: str, *, touch: bool = True) -> Admitted | None:
        """Return who a session is of; None where it is over, or its person may do nothing any more.

        touch: whether they are doing something by asking; a page that tells by itself what is new is not.
        """
        from lamplighter.desk.passes import signed_in

        return signed_in(self._holdings, secret, touch=touch)

    @operation
    def sign_out(self, secret: str) -> None:
        """End a session."""
        from lamplighter.desk.passes import sign_out

        sign_out(self._holdings, secret)

    @operation
    def sign_out_everywhere(self, person: str) -> int:
        """End all sessions, links and tokens of a person; return how many there were."""
        from lamplighter.desk.passes import sign_out_everywhere

        return sign_out_everywhere(self._holdings, person)

    @operation
    def make_token(self, person: str, *, days: float = 30.0) -> str:
        """Return the secret of a token by which a program acts for a person. Raises NotFound."""
        from lamplighter.desk.passes import make_token

        return make_token(self._holdings, person, days=days)

    @operation
    def by_token(self, secret: str) -> Actor | None:
        """Return whom a token acts for, None for one that does not hold."""
        from lamplighter.desk.passes import by_token

        return by_token(self._holdings, secret)

    @operation
    def passkeys(self) -> list[Passkey]:
        """Return one's own passkeys, the oldest first."""
        from lamplighter.desk.passkeys import passkeys

        return passkeys(self._holdings)

    @operation
    def passkey_offered(self) -> dict[str, Any]:
        """Return what the browser is to ask a device that makes a passkey for the actor (WebAuthn's options)."""
        from lamplighter.desk.passkeys import offered

        return offered(self._holdings)

    @operation
    def add_passkey(self, answer: dict[str, Any], *, label: str = "") -> Passkey:
        """Keep the passkey that a device made for the actor. Raises NotAllowed for an answer that does not hold."""
        from lamplighter.desk.passkeys import add

        return add(self._holdings, answer, label=label)

    @operation
    def remove_passkey(self, passkey: str) -> None:
        """Let a passkey of one's own open nothing any more. Raises NotFound."""
        from lamplighter.desk.passkeys import remove

        remove(self._holdings, passkey)

    @operation
    def passkey_asked(self) -> dict[str, Any]:
        """Return what the browser is to ask a device of whoever wants to come in (WebAuthn's options)."""
        from lamplighter.desk.passkeys import asked

        return asked(self._holdings)

    @operation
    def enter_by_passkey(self, answer: dict[str, Any]) -> Admitted:
        """Let in whose passkey answered. Raises NotAllowed, in the same words for whatever is wrong."""
        from lamplighter.desk.passkeys import enter

        return enter(self._holdings, answer)

    @operation
    def seal_logs(self) -> None:
        """Take what this desk and those made of it appended to the logs into their trees; a long run does so."""
        from lamplighter.desk.logs import seal

        seal(self._holdings, *sorted(self._holdings.archive.appended))
