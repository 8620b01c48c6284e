"""What was filled in in a dialog, checked and put into an order.

Responsible for reading the fields by their names. Knows nothing of who asks. Invariant: what does not hold is one sentence, and
nothing is read that was not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lbapp.config.values import duration_s
from lbapp.control.changes import NewServer
from lbapp.model.states import WEIGHT_MAX
from lbapp.tui.actions.order import Order, weight_wish
from lbapp.tui.dialogs.form import Form

REASON_CELLS: Final = 50


def filled(order: Order, form: Form) -> Order:
    """Return an order with the timeout, the reason and the choices of a form that has been checked."""
    timeout = form.text("timeout")
    return replace(
        order,
        timeout_s=duration_s(timeout) if timeout else None,
        is_hard=form.is_on("hard"),
        then_stop=form.is_on("stop"),
        reason=form.text("reason"),
    )


def check_timeout(form: Form) -> str:
    """Return why a timeout does not hold; empty: it does."""
    return _problem(duration_s, form.text("timeout")) if form.text("timeout") else ""


def check_weight(form: Form) -> str:
    """Return why a weight does not hold; empty: it does."""
    return _problem(weight_wish, form.text("weight"))


def check_new(form: Form) -> str:
    """Return why a server that is to come does not hold; empty: it does."""
    if not form.text("name") or not form.text("address"):
        return "give it a name and an address, such as 10.0.0.3:8080"
    weight = form.text("weight")
    is_weight = not weight or (weight.isascii() and weight.isdigit() and int(weight) <= WEIGHT_MAX)
    return "" if is_weight else f"{weight} is no weight: write 0 to {WEIGHT_MAX}"


def _problem(read: Callable[[str], object], text: str) -> str:
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return ""


def new_server(form: Form) -> NewServer:
    """Return a server that is to come."""
    new: NewServer = {"name": form.text("name"), "address": form.text("address")}
    if weight := form.text("weight"):
        new["weight"] = int(weight)
    return new
