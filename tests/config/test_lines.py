"""Lines of keys in odd layouts."""

from __future__ import annotations

import tomllib

import pytest

from lbapp.config.lines import LineMap, Path

TEXT = '''\
# a comment = 1
top."quoted key" = 1
[a.b]  # header
c = """
many
lines"""
d = [
  1, # ]
  "]",
]
e.f = { g = 1, h = 'x' }

[[list]]
x = 1
[list.sub]
y = 2
[[list.inner]]
z = 1
[[list.inner]]
z = 2
[[list]]
x = 3
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top", "quoted key"), 2),
        (("a", "b"), 3),
        (("a", "b", "c"), 4),
        (("a", "b", "d"), 7),
        (("a", "b", "e", "f", "g"), 11),
        (("list", 0, "x"), 14),
        (("list", 0, "sub", "y"), 16),
        (("list", 0, "inner", 1, "z"), 20),
        (("list", 1, "x"), 22),
        (("list", 1, "missing"), 21),
        (("nothing",), 0),
    ],
)
def test_key_is_found_on_its_line(path: Path, line: int) -> None:
    assert LineMap(TEXT).line_of(path) == line


NESTED = r"""
pool = [
  { name = "a", server = [ { name = "s1" }, # { name = "no" }
    { name = "s2", address = [
      1], weight = 9 } ] },
  { "na\u006de" = 'b', drain.timeout = "5m" },
]
[ limits . "deep" ]
text = '''
[not.a.header]
it's = 1'''''
basic = QQQ \"QQ x = 1
\\QQQQQ
when = 1979-05-27 07:32:00 # a space inside
after = { a = 1, when = 07:32:00, b = [1, 2], c = 2 }
"" = 1
last = 1""".replace("QQQ", '"' * 3).replace("QQ", '"' * 2)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("pool", 0, "server", 0, "name"), 3),
        (("pool", 0, "server", 1), 4),
        (("pool", 0, "server", 1, "weight"), 5),
        (("pool", 0, "server", 1, "missing"), 4),
        (("pool", 1, "name"), 6),
        (("pool", 1, "drain", "timeout"), 6),
        (("limits", "deep"), 8),
        (("limits", "deep", "basic"), 12),
        (("limits", "deep", "when"), 14),
        (("limits", "deep", "after", "c"), 15),
        (("limits", "deep", "after", "b", 1), 15),
        (("limits", "deep", ""), 16),
        (("limits", "deep", "last"), 17),
    ],
)
def test_key_inside_a_value_is_found_on_its_own_line(path: Path, line: int) -> None:
    assert tomllib.loads(NESTED)["limits"]["deep"]["last"] == 1
    assert LineMap(NESTED).line_of(path) == line


def test_text_that_is_no_toml_is_scanned_to_its_end() -> None:
    for text in ("= 1", "[", "a = [", "a = {", 'a = "', "a", "]", "a = }", "\x00"):
        assert LineMap(text).line_of(("no",)) == 0
