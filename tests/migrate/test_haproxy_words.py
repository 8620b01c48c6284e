"""The grammar of haproxy.cfg."""

from __future__ import annotations

from lbapp.migrate.haproxy_words import has_variable, read, words_of


def test_words_have_quotes_escapes_and_comments() -> None:
    assert words_of(r"""  server "a b" 'c"d' e\ f g\#h # end""") == ("server", "a b", 'c"d', "e f", "g#h")
    assert words_of(r"path_reg \.php$ (a)/\1") == ("path_reg", r"\.php$", r"(a)/\1")
    assert words_of("a ''") == ("a", "")
    assert words_of('a "b') == ()
    assert words_of('bind "$HERE"') == ()


def test_a_proxy_has_what_its_defaults_say_and_it_does_not() -> None:
    text = "defaults\n mode http\n timeout client 5s\n timeout server 6s\nbackend b\n timeout client 7s\n"
    sections, outside = read(text)
    assert outside == []
    assert [line.number for line in sections[1].with_defaults()] == ["2", "4", "6"]


def test_no_takes_away_what_the_defaults_say() -> None:
    sections, _ = read("defaults\n option httpchk\n option httplog\nbackend b\n no option httpchk\n")
    assert [line.number for line in sections[1].with_defaults()] == ["3"]


def test_every_line_is_kept_whatever_stands_in_it() -> None:
    sections, outside = read('stray\n# comment\n\n.if defined(X)\nglobal\n.endif\nglobal\n a "b\n')
    kept = [each.number for section in sections for each in (section.head, *section.lines)]
    assert [*kept, *(each.number for each in outside)] == ["7", "8", "1", "4", "5", "6"]


def test_variable_has_the_value_that_the_file_gives_it_or_its_default_or_the_line_no_words() -> None:
    sections, _ = read('global\n setenv PORT 81\nlisten l\n bind "*:${PORT}"\n bind "*:${NO-82}"\n bind "*:$NO"\n')
    lines = sections[1].lines
    assert [line.words for line in lines] == [("bind", "*:81"), ("bind", "*:82"), ()]
    assert [has_variable(line) for line in lines] == [False, False, True]


def test_defaults_by_name_are_those_of_the_proxies_that_ask_for_them() -> None:
    text = "defaults a\n mode http\ndefaults b from a\n retries 2\nbackend x from a\nbackend y from b\nbackend z\n"
    sections, _ = read(text)
    assert [[line.number for line in section.with_defaults()] for section in sections[2:]] == [
        ["2"],
        ["2", "4"],
        ["2", "4"],
    ]
    assert sections[2].name == "x"
