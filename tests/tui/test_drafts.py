from __future__ import annotations

import stat
from pathlib import Path

from lbapp.tui.drafts import Draft, Drafts, state_folder

DIGEST = "0f" * 32
SOUND = Draft("one = 1 # ü\n", "/etc/lbapp.toml", DIGEST)


def test_draft_is_kept_for_its_owner_alone_until_it_is_thrown_away(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "state" / "lbapp")
    assert drafts.load("a /etc/lbapp.toml") is None
    assert drafts.keep("a /etc/lbapp.toml", SOUND) == ""
    assert drafts.load("a /etc/lbapp.toml") == SOUND
    assert drafts.load("b /etc/lbapp.toml") is None
    path = drafts.path("a /etc/lbapp.toml")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    drafts.forget("a /etc/lbapp.toml")
    drafts.forget("a /etc/lbapp.toml")
    assert drafts.load("a /etc/lbapp.toml") is None


def test_folder_that_cannot_be_made_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    drafts = Drafts(tmp_path / "file" / "lbapp")
    assert "cannot be kept in" in drafts.keep("a", SOUND)
    assert drafts.load("a") is None


def test_text_that_is_no_text_leaves_the_draft_before_it(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    drafts.keep("a", SOUND)
    assert "cannot be kept" in drafts.keep("a", Draft("half \ud800", "f", DIGEST))
    assert drafts.load("a") == SOUND
    assert [path.name for path in tmp_path.iterdir()] == [drafts.path("a").name]


def test_draft_names_its_file_and_the_state_that_it_was_begun_from_and_is_toml_for_whoever_reads_it(
    tmp_path: Path,
) -> None:
    drafts = Drafts(tmp_path)
    drafts.keep("a", Draft("one = 1\n", "/etc/new\nline.toml", DIGEST))
    assert drafts.path("a").read_text() == f"# draft of /etc/new·line.toml as of {DIGEST}\none = 1\n"
    drafts.keep("a", Draft("# draft of x as of 00\n", "/etc/as of 1.toml", ""))
    assert drafts.load("a") == Draft("# draft of x as of 00\n", "/etc/as of 1.toml", "")
    drafts.path("a").write_text("nobody knows what this was begun from = 1\n")
    assert drafts.load("a") is None


def test_state_folder_is_that_of_the_environment_when_it_is_absolute() -> None:
    assert state_folder({"XDG_STATE_HOME": "/var/x"}) == Path("/var/x/lbapp")
    assert state_folder({"XDG_STATE_HOME": "x"}) == Path.home() / ".local" / "state" / "lbapp"
