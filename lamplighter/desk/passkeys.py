"""Passkeys: staff show who they are by a key in their own device; nothing is kept here that opens anything."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from typing import Any, Final
from urllib.parse import urlsplit

from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import options_to_json_dict
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.passes import Admitted, admit
from lamplighter.desk.people import actor_of, check_actor
from pipeline.actor import Actor, Proof, Role
from pipeline.errors import LamplighterError, NotAllowed, NotFound
from pipeline.passkey import Passkey
from pipeline.span import NS
from storage.archive import short
from storage.catalog.passes import Kind, Pass

_ASKED_NS: Final = 300 * NS  # how long a device may take to answer
_REFUSED: Final = "this passkey was not accepted; try again, or ask the operator for a link"
_KEEP_USER: Final = AuthenticatorSelectionCriteria(
    resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
)


def offered(holdings: Holdings) -> dict[str, Any]:
    """Return what a device is asked to register a key for the actor; see Desk.passkey_offered."""
    actor = holdings.actor
    _check_staff(actor)
    known = [PublicKeyCredentialDescriptor(base64url_to_bytes(one.id)) for one in passkeys(holdings)]
    options = generate_registration_options(
        rp_id=_host(holdings),
        rp_name=holdings.settings.mail.name,
        user_name=actor.name,
        user_id=actor.name.encode(),
        challenge=_challenge(holdings, actor),
        authenticator_selection=_KEEP_USER,
        exclude_credentials=known,
    )
    return dict(options_to_json_dict(options))


def add(holdings: Holdings, answer: dict[str, Any], *, label: str) -> Passkey:
    """Keep the key that a device made for the actor; see Desk.add_passkey."""
    actor = holdings.actor
    _check_staff(actor)
    try:
        verified = verify_registration_response(
            credential=answer,
            expected_challenge=_taken(holdings, answer, actor),
            expected_rp_id=_host(holdings),
            expected_origin=holdings.settings.web.at,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAllowed(_REFUSED) from error
    key = Passkey(
        actor.name, _coded(verified.credential_id), _coded(verified.credential_public_key), time.time_ns(), label
    )
    holdings.catalog.logs.hold(holdings.archive.passkeys, key, holdings.line("passkey added", actor.name, label))
    return key


def passkeys(holdings: Holdings) -> list[Passkey]:
    """Return the actor's own passkeys, the oldest first."""
    return sorted(holdings.archive.passkeys.all(f"{holdings.actor.name}/"), key=lambda one: one.made_ns)


def remove(holdings: Holdings, passkey: str) -> None:
    """Let a passkey of the actor's open nothing any more; see Desk.remove_passkey."""
    name = f"{holdings.actor.name}/{short(passkey)}"
    if holdings.archive.passkeys.get(name) is None:
        raise NotFound("there is no such passkey of yours")
    line = holdings.line("passkey removed", holdings.actor.name)
    holdings.catalog.logs.drop(holdings.archive.passkeys, name, line)


def asked(holdings: Holdings) -> dict[str, Any]:
    """Return what any device is asked that would show who somebody is; see Desk.passkey_asked."""
    options = generate_authentication_options(
        rp_id=_host(holdings),
        challenge=_challenge(holdings, holdings.actor),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict(options_to_json_dict(options))


def enter(holdings: Holdings, answer: dict[str, Any]) -> Admitted:
    """Let in whose passkey answered; see Desk.enter_by_passkey."""
    try:
        person = base64url_to_bytes(answer["response"]["userHandle"]).decode()
        key = holdings.archive.passkeys.get(f"{person}/{short(str(answer['id']))}")
        if key is None or key.person != person:
            raise NotAllowed(_REFUSED)
        verify_authentication_response(
            credential=answer,
            expected_challenge=_taken(holdings, answer, holdings.actor),
            expected_rp_id=_host(holdings),
            expected_origin=holdings.settings.web.at,
            credential_public_key=base64url_to_bytes(key.public_key),
            credential_current_sign_count=0,  # of a key that lies in several devices it means nothing
            require_user_verification=True,
        )
        known = actor_of(holdings, person)
        actor = Actor(known.role, known.name, known.agency, proof=Proof.SIGNED_IN)
        _check_staff(actor)
        check_actor(holdings.of(actor))
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, LamplighterError) as error:
        raise NotAllowed(_REFUSED) from error
    return admit(holdings, actor)


def _challenge(holdings: Holdings, actor: Actor) -> bytes:
    now_ns = time.time_ns()
    asked_for = Pass(Kind.CHALLENGE, actor.name, actor.role, now_ns, now_ns, now_ns + _ASKED_NS)
    return holdings.catalog.passes.enter(asked_for).encode()


def _taken(holdings: Holdings, answer: dict[str, Any], actor: Actor) -> bytes:
    """Return the challenge that a device answered, which was this actor's and is used up by that."""
    said = json.loads(base64url_to_bytes(answer["response"]["clientDataJSON"]))
    challenge = base64url_to_bytes(said["challenge"])
    found = holdings.catalog.passes.take(challenge.decode(), Kind.CHALLENGE, time.time_ns())
    if found is None or (found.person, found.role) != (actor.name, actor.role):
        raise NotAllowed(_REFUSED)
    return challenge


def _check_staff(actor: Actor) -> None:
    if actor.role is Role.OWNER:
        raise NotAllowed("owners come in by a link that is mailed to them; passkeys are of staff")


def _host(holdings: Holdings) -> str:
    return urlsplit(holdings.settings.web.at).hostname or ""


def _coded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
