"""The operations beside the answers: drafts, legal orders, what became of what left, accounts, and the rounds."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING

from lamplighter.desk.custody import Custody
from lamplighter.desk.roles import operation

if TYPE_CHECKING:
    from pathlib import Path

    from lamplighter.desk.account import Account
    from lamplighter.desk.drafts import Looked
    from lamplighter.desk.rounds import Round
    from pipeline.case.draft import Draft, Typed
    from pipeline.case.order import Basis, Order
    from pipeline.case.request import Request
    from pipeline.case.usage import Usage, Use
    from pipeline.span import Span


class Docket(Custody):
    """What is written down for a case besides its own life and its owners' answers."""

    @operation
    def save_draft(self, typed: Typed, draft: str = "") -> Draft:
        """Keep what an officer typed, right or wrong, as a new draft or in place of what their `draft` held.

        Raises NotFound for a draft that is not theirs.
        """
        from lamplighter.desk.drafts import save

        return save(self._holdings, typed, draft)

    @operation
    def redraft(self, request: Request) -> Draft:
        """Take what a request of one's own agency said as a new draft. Raises Conflict unless it was sent back."""
        from lamplighter.desk.drafts import redraft

        return redraft(self._holdings, request)

    @operation
    def drafts(self) -> list[Draft]:
        """Return an officer's own drafts, the last saved first."""
        from lamplighter.desk.drafts import drafts

        return drafts(self._holdings)

    @operation
    def draft(self, draft: str) -> Draft:
        """Return an officer's own draft of that id. Raises NotFound, for those of others too."""
        from lamplighter.desk.drafts import draft_of

        return draft_of(self._holdings, draft)

    @operation
    def drop_draft(self, draft: str) -> None:
        """Remove an officer's own draft. Raises NotFound."""
        from lamplighter.desk.drafts import drop

        drop(self._holdings, draft)

    @operation
    def check_draft(self, typed: Typed, draft: str = "") -> Looked:
        """Tell an officer what `submit_draft` would refuse of what they typed now, all of it at once.

        Nothing is kept and nothing is logged: whoever draws asks many times. Raises NotFound for a draft that is not
        theirs.
        """
        from lamplighter.desk.drafts import check_draft

        return check_draft(self._holdings, typed, draft)

    @operation
    def submit_draft(self, draft: str) -> Request:
        """Submit an officer's own draft as `new_request` does; it is a draft no more. Submitted again, it asks once.

        Raises NotFound, and RequestRefused naming the field or rule; the draft stays then.
        """
        from lamplighter.desk.drafts import submit_draft

        return submit_draft(self._holdings, draft)

    @operation
    def enter_order(
        self,
        request: Request,
        basis: Basis,
        *,
        authority: str,
        cameras: Sequence[str],
        span: Span,
        file: Path | None = None,
        untold_until_ns: int | None = None,
        uncovered: bool = False,
    ) -> Order:
        """Enter a legal order, or an emergency, that names cameras and a span; the SHA-256 of its file is kept.

        A court's order may name any camera and any time that has passed; danger to life is for the area and the time
        of its request, and may be entered by an officer of the agency, who is not told whether there are such cameras.
        `uncovered`: it is for what owners keep private of their cameras' pictures too.
        Nothing is released before another person approves it. Raises RequestRefused("order", ...) for one that cannot
        be, NotFound for cameras nobody knows, ConfigError for a file that cannot be read.
        """
        from lamplighter.desk.orders import enter

        return enter(
            *(self._holdings, request, basis),
            authority=authority,
            cameras=cameras,
            span=span,
            file=file,
            untold_until_ns=untold_until_ns,
            uncovered=uncovered,
        )

    @operation
    def approve_order(self, request: Request, order: str, *, call_back: str) -> Order:
        """Approve an order, `call_back` saying how it was checked with who made it; the owners are told.

        At once, or when the order allows it. Raises NotAllowed for who entered it, Conflict for one that is settled,
        NotFound for one nobody knows, or of cameras nobody knows.
        """
        from lamplighter.desk.orders import approve

        return approve(self._holdings, request, order, call_back=call_back)

    @operation
    def withdraw_order(self, request: Request, order: str) -> Order:
        """Withdraw an order: nothing more is released on it. Raises Conflict for one that was, NotFound."""
        from lamplighter.desk.orders import withdraw

        return withdraw(self._holdings, request, order)

    @operation
    def orders(self, request: Request) -> list[Order]:
        """Return the orders that were entered for a request, the oldest first."""
        from lamplighter.desk.orders import orders

        return orders(self._holdings, request)

    @operation
    def tell_usage(self, request: Request, name: str, use: Use) -> Usage:
        """Say what became of a clip that was released to one's own agency, by the name it has there.

        Raises NotFound for any other name, Conflict for one that was said to be deleted.
        """
        from lamplighter.desk.usage import tell

        return tell(self._holdings, request, name, use)

    @operation
    def usages(self, request: str) -> Mapping[str, Usage]:
        """Return what one's own agency said of the clips released to it, by their names. Raises NotFound as `case`."""
        from lamplighter.desk.usage import told

        return told(self._holdings, request)

    @operation
    def account(self, owner: str) -> Account:
        """Return all that was asked of an owner, what they said, what left and what became of it, and who looked.

        Raises NotAllowed to another owner, NotFound for one nobody knows.
        """
        from lamplighter.desk.account import account

        return account(self._holdings, owner)

    @operation
    def rounds(self, done: MutableMapping[str, int] | None = None) -> Round:
        """Go one round: send what is approved, cut what its owners let out, release what is due, remove what expired.

        `done` is kept by who goes many rounds: requests for which nothing can fall due any more are put there, and left
        alone in the next one; and in which hour what is past its time was removed last.
        """
        from lamplighter.desk.rounds import go_round

        return go_round(self._holdings, {} if done is None else done)
