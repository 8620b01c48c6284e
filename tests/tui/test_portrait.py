from __future__ import annotations

from lbapp.control.messages import ProbeDone
from lbapp.tui.glyphs import FULL
from lbapp.tui.portrait import check_lines, course_lines, crumb, now_lines
from lbapp.tui.scene import RampRow
from lbapp.tui.staging import server_row
from lbapp.tui.tones import plain
from tests.tui.engine_double import ME, server
from tests.tui.test_glance import point

NOW = 1_700_000_100.0


def probe(at: float, is_success: bool, reason: str) -> ProbeDone:
    return {"at": at, "is_success": is_success, "reason": reason, "layer": "http", "duration_s": 0.004}


def test_crumb_says_where_it_is_how_it_is_and_what_weight_it_has() -> None:
    row = server_row(server("app", "s1"), NOW)
    row.weight, row.ramp = 50, RampRow(100, NOW + 65)
    text = plain(crumb(row, FULL, NOW))
    assert text.startswith(" Pools > app > s1  ▲ UP for 1m40s  READY  "), "the state stands where it is never cut"
    assert text.endswith("127.0.0.1:9001  weight 50 (100 in the file), 100 in 1m05s")


def test_figures_of_now_have_their_limits_failures_and_latencies() -> None:
    one = server("app", "s1")
    one["connections_max"], one["changed_at"], one["changed_by"] = 3, NOW - 5, ME
    text = "\n".join(plain(line) for line in now_lines(one, NOW))
    for part in ("3 of 3 !", "7 open, 4 idle", "connect_refused 2", "5s ago by alice", "first byte", "p99.9"):
        assert part in text


def test_probes_are_symbols_and_runs_with_their_reason() -> None:
    probes = [probe(NOW, True, "HTTP 200"), probe(NOW + 2, True, "HTTP 200"), probe(NOW + 4, False, "timeout")]
    lines = [plain(line) for line in check_lines(server("app", "s1"), probes, 80, FULL)]
    assert lines[1] == " ▲▲▼"
    assert lines[2].endswith(": timeout (http, 4 ms)")
    assert ", 2 times: HTTP 200 (http, 4 ms)" in lines[3]
    assert plain(check_lines(None, [], 80, FULL)[0]) == " it has not been probed yet"


def test_many_probes_fit_the_width_the_newest_at_the_right() -> None:
    probes = [probe(NOW + at, at != 59, "x" * 300) for at in range(60)]
    lines = [plain(line) for line in check_lines(None, probes, 40, FULL)]
    assert all(len(line) <= 40 for line in lines)
    assert lines[1].endswith("▲▼")


def test_course_says_for_how_long_and_its_highest() -> None:
    points = [point(float(rate)) for rate in range(100)]
    for number, each in enumerate(points):
        each["at"] = NOW + number
    lines = [plain(line) for line in course_lines(points, 80, 2, FULL)]
    assert lines[0] == " req/s, last 2 min, at most 99"
    assert lines[3] == " p99, last 2 min, at most 2.5s"
    assert plain(course_lines([], 80, 2, FULL)[0]) == " its last ten minutes are not recorded yet"
