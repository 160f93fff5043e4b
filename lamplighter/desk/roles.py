"""Which role may do what at the desk: the one table, and the refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

from pipeline.actor import Actor, Role
from pipeline.errors import NotAllowed
from storage.disk import lacking, of_machine

_OPERATOR: Final = frozenset({Role.OPERATOR})

MAY: Final[Mapping[str, frozenset[Role]]] = {
    # The fleet
    "import_cameras": frozenset({Role.OPERATOR, Role.OWNER}),
    "import_owners": _OPERATOR,
    "cameras": _OPERATOR,
    "camera": _OPERATOR,
    "owners": _OPERATOR,
    "strangers": _OPERATOR,
    "show": _OPERATOR,
    # Footage
    "ingest": _OPERATOR,
    "remeasure": _OPERATOR,
    "watch": _OPERATOR,
    "session": _OPERATOR,
    "clips": _OPERATOR,
    "clip": _OPERATOR,
    "in_force": _OPERATOR,
    "motion": _OPERATOR,
    "learn": _OPERATOR,
    "habits": _OPERATOR,
    "still": _OPERATOR,
    # The tuner, and what runs now
    **dict.fromkeys(("tryout", "last_clips", "glimpse", "watch_clip", "labels", "set_labels"), _OPERATOR),
    **dict.fromkeys(("settings_file", "write_detection", "undo_detection", "retuned"), _OPERATOR),
    # How long footage is kept: who pays for it may say, and what goes for good is the operator's work.
    "plans": frozenset({Role.OPERATOR, Role.OWNER}),
    "set_plan": frozenset({Role.OPERATOR, Role.OWNER}),
    "keeping": frozenset({Role.OPERATOR, Role.OWNER}),
    "look_ahead": frozenset({Role.OPERATOR, Role.OWNER}),
    "expire": _OPERATOR,
    "forget": _OPERATOR,
    # People
    "add_agency": _OPERATOR,
    "agencies": frozenset(Role),
    "add_person": _OPERATOR,
    "disable_person": _OPERATOR,
    "people": frozenset({Role.OPERATOR, Role.AUDITOR}),
    "allow": frozenset({Role.OWNER}),
    "set_private": frozenset({Role.OWNER}),
    # Alerts. Who runs the machine sends them; whose they are is the owner's alone to say.
    "set_alert": frozenset({Role.OWNER}),
    "alert": frozenset({Role.OWNER}),
    "alert_off": frozenset({Role.OWNER}),
    "test_alert": frozenset({Role.OWNER}),
    "send_alerts": _OPERATOR,
    # Cases. An owner sees what is theirs, an officer what they asked for.
    "new_request": frozenset({Role.OFFICER, Role.OWNER}),
    "request": frozenset(Role) - {Role.AUDITOR},
    "standing": frozenset({Role.OPERATOR, Role.REVIEWER, Role.LEGAL}),
    "standings": frozenset({Role.OPERATOR, Role.REVIEWER, Role.LEGAL}),
    "case": frozenset({Role.OFFICER, Role.OWNER}),
    "cases": frozenset({Role.OFFICER, Role.OWNER}),
    "fetch_case": frozenset({Role.OFFICER, Role.OWNER}),
    "review": frozenset({Role.REVIEWER}),
    "send": _OPERATOR,
    "hold": frozenset({Role.REVIEWER, Role.LEGAL}),
    "resolve": frozenset({Role.OFFICER}),
    "match": frozenset({Role.OPERATOR, Role.OWNER}),
    "asked_of": frozenset({Role.OPERATOR, Role.OWNER}),
    "decide": frozenset({Role.OWNER}),
    "withdraw": frozenset({Role.OWNER}),
    "opt_out": frozenset({Role.OWNER}),
    "deliver": _OPERATOR,
    # Letters. A link is a person's own; who runs the machine takes it for them.
    "post": _OPERATOR,
    "keep_posting": _OPERATOR,
    "bounce": _OPERATOR,
    "by_link": frozenset({Role.OPERATOR, Role.OWNER}),
    "opt_out_by_link": frozenset({Role.OPERATOR, Role.OWNER}),
    "rounds": _OPERATOR,
    "account": frozenset({Role.OWNER}),
    "tell_usage": frozenset({Role.OFFICER}),
    "save_draft": frozenset({Role.OFFICER}),
    "redraft": frozenset({Role.OFFICER}),
    "draft": frozenset({Role.OFFICER}),
    "drafts": frozenset({Role.OFFICER}),
    "drop_draft": frozenset({Role.OFFICER}),
    "submit_draft": frozenset({Role.OFFICER}),
    "enter_order": frozenset({Role.LEGAL, Role.OFFICER}),
    "approve_order": frozenset({Role.LEGAL, Role.REVIEWER}),
    "withdraw_order": frozenset({Role.LEGAL, Role.REVIEWER}),
    "orders": frozenset({Role.OPERATOR, Role.LEGAL, Role.REVIEWER}),
    "upgrade_cases": _OPERATOR,
    # Evidence. A package tells no more than its case does to the one who asked.
    "export_case": frozenset({Role.OPERATOR, Role.OFFICER, Role.OWNER}),
    "complete_package": frozenset({Role.OPERATOR, Role.OFFICER, Role.OWNER}),
    "make_keys": _OPERATOR,
    "published_keys": _OPERATOR,
    "rotate_key": _OPERATOR,
    "publish_keys": _OPERATOR,
    # The neighbourhood. An officer reads what names agencies, and learns of no owner.
    "issue_notice": frozenset({Role.OFFICER}),
    "update_notice": frozenset({Role.OFFICER}),
    "cancel_notice": frozenset({Role.OFFICER}),
    "notices": frozenset({Role.OFFICER, Role.OWNER}),
    "public_notices": _OPERATOR,
    "notice": frozenset({Role.OFFICER, Role.OWNER}),
    "cap_notice": frozenset({Role.OFFICER, Role.OWNER}),
    "write_post": frozenset({Role.OWNER}),
    "posts": frozenset({Role.OFFICER, Role.OWNER}),
    "read_post": frozenset({Role.OFFICER, Role.OWNER}),
    "report_post": frozenset({Role.OWNER}),
    "reported_posts": frozenset({Role.REVIEWER}),
    "rule_post": frozenset({Role.REVIEWER}),
    "appeal_post": frozenset({Role.OWNER}),
    "withdraw_post": frozenset({Role.OWNER}),
    "watch_dispatch": _OPERATOR,
    "incidents": frozenset({Role.OPERATOR, Role.OFFICER, Role.REVIEWER}),
    "confirm_incident": frozenset({Role.OFFICER, Role.REVIEWER}),
    # The books
    "rebuild": _OPERATOR,
    "log_checkpoint": frozenset({Role.OPERATOR, Role.AUDITOR}),
    "log_prove": frozenset({Role.OPERATOR, Role.AUDITOR}),
    "log_consistency": frozenset({Role.OPERATOR, Role.AUDITOR}),
    "log_audit": frozenset({Role.OPERATOR, Role.AUDITOR}),
    "log_erase": _OPERATOR,
    "log_acknowledge": frozenset({Role.OPERATOR, Role.AUDITOR}),
    # What everybody may read
    "transparency": _OPERATOR,
    "check_transparency": frozenset({Role.OPERATOR, Role.AUDITOR}),
    # Who comes in at a page. The pages are served by who runs the machine; a passkey is its person's own.
    **dict.fromkeys(("make_link", "mail_link", "look_at_link", "enter_by_link", "enter_by_letter"), _OPERATOR),
    **dict.fromkeys(("signed_in", "sign_out", "sign_out_everywhere", "make_token", "by_token"), _OPERATOR),
    **dict.fromkeys(("passkey_asked", "enter_by_passkey", "seal_logs"), _OPERATOR),
    **dict.fromkeys(("passkeys", "passkey_offered", "add_passkey", "remove_passkey"), frozenset(Role) - {Role.OWNER}),
    # Who runs the machine says for whom it acts: a command for an owner, a page for whoever signed in.
    "acting_as": _OPERATOR,
    "acting_for": _OPERATOR,
}
"""Every operation of `Desk` by its name, and the roles that may do it. Whose things it may be done to, each checks."""

_SEEN: Final = (
    *("cameras", "camera", "owners", "clips", "clip", "motion", "habits", "still", "agencies", "people", "request"),
    *("standing", "standings", "case", "cases", "account", "draft", "drafts", "orders", "notices", "notice", "posts"),
    "incidents",
)
_SAID: Final[Mapping[str, str]] = {
    **{name: f"see {name}" for name in _SEEN},
    **dict.fromkeys(("tryout", "retuned"), "try settings"),
    "glimpse": "see what runs",
    "last_clips": "see clips",
    "watch_clip": "watch footage",
    "labels": "see labels",
    "settings_file": "see the settings file",
    "strangers": "see cameras nobody knows",
    "reported_posts": "see reported posts",
    "cap_notice": "see notices",
    "public_notices": "publish notices",
    "in_force": "see the settings in force",
    "asked_of": "see what an owner is asked for",
    "session": "take anything in",
    "alert": "see an owner's alerts",
    "alert_off": "turn an alert off",
    "learn": "let habits be learnt",
    "bounce": "tell of letters that came back",
    "by_link": "answer by a link",
    "rounds": "go the rounds",
    "transparency": "publish the public page",
    "check_transparency": "check a public page",
    "plans": "see what plans cost",
    "keeping": "see how long footage is kept",
    "look_ahead": "see what expires",
    "expire": "remove what is past its time",
    "forget": "remove footage for good",
    "look_at_link": "let people in",
    **dict.fromkeys(("signed_in", "by_token", "passkey_asked"), "let people in"),
    "passkeys": "have passkeys",
    "passkey_offered": "add a passkey",
    "seal_logs": "seal the logs",
    "acting_as": "act for others",
    "acting_for": "act for others",
}
"""Operations whose names are no verbs, in words."""


def in_words(name: str) -> str:
    """Return what an operation does, after "may not"."""
    return _SAID.get(name, name.replace("_", " "))


class _ForSomebody(Protocol):
    @property
    def actor(self) -> Actor: ...

    def _check_actor(self) -> None: ...


D = TypeVar("D", bound=_ForSomebody)
P = ParamSpec("P")
R = TypeVar("R")


def operation(method: Callable[Concatenate[D, P], R]) -> Callable[Concatenate[D, P], R]:
    """Let a method be called by the roles of its entry in MAY; it raises NotAllowed for all others, before anything.

    What the machine lacks leaves it as a MachineError, wherever below it was met.
    """
    name, may = method.__name__, MAY[method.__name__]

    @wraps(method)
    def guarded(desk: D, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if desk.actor.role not in may:
            raise NotAllowed(f"{desk.actor} may not {in_words(name)}; who may: {', '.join(sorted(may))}")
        try:
            desk._check_actor()  # noqa: SLF001 - of the desk it guards
            return method(desk, *args, **kwargs)
        except OSError as error:
            if of_machine(error):
                raise lacking(error) from error
            raise

    return guarded
