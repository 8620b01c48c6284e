"""The grammar of nginx.conf, and its includes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.migrate.nginx_words import Directive, read
from lbapp.model.errors import LbappError


def read_text(text: str, folder: Path = Path("/nowhere")) -> list[Directive]:
    return [each for one in read(folder / "nginx.conf", text) for each in one.all()]


def words(text: str) -> list[tuple[str, ...]]:
    return [each.line.words for each in read_text(text)]


def test_words_have_quotes_escapes_variables_and_comments() -> None:
    assert words('a "b c" \'d;{\' e"f # no comment\n;') == [("a", "b c", "d;{", 'e"f')]
    assert words("a b#c; # end") == [("a", "b#c")]
    assert words(r'a "b\"\t\d" \.php$;') == [("a", 'b"\t\\d', r"\.php$")]
    assert words("a ${x}y {b;}") == [("a", "${x}y"), ("b",)]


def test_word_that_stands_over_lines_keeps_the_line_it_begins_on_and_each_directive_has_its_own_number() -> None:
    found = read_text("a 'x\ny'\n  z; b;\nc { d; }")
    assert [(each.line.number, each.line.words) for each in found] == [
        ("1", ("a", "x\ny", "z")),
        ("3", ("b",)),
        ("4", ("c",)),
        ("4.2", ("d",)),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('a "b;', "line 1: a quote does not end"),
        ("a;\nb", "line 2: it ends before this does"),
        ("a {\nb;", "line 1: it ends before this does"),
        ("a;\n}", "line 2: a } stands where none belongs"),
        ("a { b }", "line 1: a } stands where none belongs"),
        (";", "line 1: a ; stands where a directive belongs"),
    ],
)
def test_file_that_nginx_would_not_read_is_an_error_with_its_line(text: str, why: str) -> None:
    with pytest.raises(LbappError) as caught:
        read_text(text)
    assert why in str(caught.value)


def test_code_in_another_language_is_one_directive() -> None:
    assert words("content_by_lua_block { if a then b = {1} end }\nc;") == [("content_by_lua_block",), ("c",)]


def test_includes_are_read_in_their_places_with_their_own_lines(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "b.conf").write_text("b;\n")
    (tmp_path / "sites" / "a.conf").write_text("# one\na;\ninclude c.inc;\n")
    (tmp_path / "c.inc").write_text("c;\n")
    found = read_text("include sites/*.conf;\ninclude none/*.conf;\ninclude mime.types;\nz;", tmp_path)
    assert [(each.line.number, each.name) for each in found if each.name != "include"] == [
        ("sites/a.conf:2", "a"),
        ("c.inc:1", "c"),
        ("sites/b.conf:1", "b"),
        ("4", "z"),
    ]
    numbers = [each.line.number for each in read_text(f"include {tmp_path}/sites/b*;", tmp_path)]
    assert numbers == ["1", f"{tmp_path}/sites/b.conf:1"]


def test_include_of_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    why = r"none\.conf cannot be read: No such file or directory; line 2 of .*nginx\.conf includes it"
    with pytest.raises(LbappError, match=why):
        read_text("a;\ninclude none.conf;", tmp_path)
    (tmp_path / "self.conf").write_text("include self.conf;")
    with pytest.raises(LbappError, match="it is included by what it includes"):
        read_text("include self.conf;", tmp_path)
