"""Screen 5: what happened, and who did it.

Responsible for the table of events. Knows nothing of where they come from. Invariants: those of `pane`.
"""

from __future__ import annotations

from lbapp.tui.columns import event_kind
from lbapp.tui.dialogs.page import Page
from lbapp.tui.pane import Desk, TablePane
from lbapp.tui.widgets.table import LineTable
from lbapp.tui.wording import event_page


class EventsPane(TablePane):
    """All events that are kept, the newest first."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="events")
        self.events = LineTable(event_kind(), id="events-table")
        self.tables = (self.events,)

    def show(self) -> None:
        """Show the newest events."""
        self.events.show(list(self.desk.source.events)[::-1])

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Show the whole of the event."""
        found = next((each for each in self.desk.source.events if str(each["seq"]) == event.identity), None)
        self.app.push_screen(Page("Event", lambda: event_page(found)))
