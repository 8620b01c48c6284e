"""Unpacking what somebody has sent: plain files of one folder, and nothing else."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.control.unpacking import unpack

MOST = 1 << 20


def packed(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    done = io.BytesIO()
    with tarfile.open(fileobj=done, mode="w:gz", format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return done.getvalue()


def special(name: str, kind: bytes, target: str = "") -> bytes:
    done = io.BytesIO()
    with tarfile.open(fileobj=done, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member)
    return done.getvalue()


NAMES = st.text(st.characters(min_codepoint=48, max_codepoint=122, exclude_characters="/\\"), min_size=1, max_size=40)


@given(
    st.dictionaries(NAMES, st.binary(max_size=2000), max_size=5),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT]),
)
def test_what_tar_packs_comes_out_as_it_was(files: dict[str, bytes], form: int) -> None:
    assert unpack(packed({f"box/{name}": content for name, content in files.items()}, form), "box", MOST) == files


def test_folder_itself_may_be_in_it() -> None:
    done = io.BytesIO()
    with tarfile.open(fileobj=done, mode="w:gz") as archive:
        folder = tarfile.TarInfo("box")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        archive.addfile(tarfile.TarInfo("box/a"))
    assert unpack(done.getvalue(), "box", MOST) == {"a": b""}


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "box/../a",
        "box/..",
        "/etc/a",
        "box/a/b",
        "boxes/a",
        "a",
        "box\\a",
        "box/..\\a",
        "box/",
        "./box/a",
        "box/folder/",
    ],
)
def test_name_outside_of_the_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="which is no file of the folder box"):
        unpack(packed({name: b""}), "box", MOST)


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_what_is_no_plain_file_is_refused(kind: bytes) -> None:
    with pytest.raises(ValueError, match="no plain file"):
        unpack(special("box/a", kind, "/etc/passwd"), "box", MOST)


def test_more_than_is_allowed_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(64 * MOST))
    assert len(bomb) < 100_000
    with pytest.raises(ValueError, match="it has more than 1 MiB in it"):
        unpack(bomb, "box", MOST)


def test_name_is_there_once() -> None:
    plain = gzip.decompress(packed({"box/a": b"1"}))[:1024]
    with pytest.raises(ValueError, match="it has a in it twice"):
        unpack(gzip.compress(plain + plain + bytes(1024)), "box", MOST)


def test_whatever_is_cut_off_is_refused() -> None:
    whole = packed({"box/a": b"x" * 700, "box/b": bytes(range(256))})
    for end in range(len(whole)):
        with pytest.raises(ValueError, match=r"it is (cut off|no \.tar\.gz)"):
            unpack(whole[:end], "box", MOST)
    plain = gzip.decompress(whole)
    used = plain.rstrip(b"\0")
    for end in range(0, len(used), 97):
        with pytest.raises(ValueError, match="it is cut off"):
            unpack(gzip.compress(plain[:end]), "box", MOST)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "it is no .tar.gz", id="empty"),
        pytest.param(b"PK\x03\x04", "it is no .tar.gz", id="zip"),
        pytest.param(gzip.compress(b"text" * 300), "it is no .tar.gz", id="no tar"),
        pytest.param(b"\x1f\x8b" + b"x" * 30, "it is damaged", id="no gzip"),
        pytest.param(packed({"box/a": b"1"}) + b"more", "there is something behind its end", id="more"),
    ],
)
def test_what_is_none_is_said_to_be(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        unpack(data, "box", MOST)


@pytest.mark.parametrize(
    ("at", "field"), [(124, b"\xff" * 12), (124, b"-0000000001\0"), (124, b"9" * 12), (148, b"00000000")]
)
def test_header_that_lies_is_refused(at: int, field: bytes) -> None:
    plain = bytearray(gzip.decompress(packed({"box/a": b"1"})))
    plain[at : at + len(field)] = field
    if at != 148:
        total = sum(plain[:148]) + 8 * 32 + sum(plain[156:512])
        plain[148:156] = b"%06o\0 " % total
    with pytest.raises(ValueError, match="it is damaged"):
        unpack(gzip.compress(bytes(plain)), "box", MOST)


@given(st.binary(max_size=400), st.integers(0, 3), st.data())
def test_garbage_is_refused_with_a_sentence(garbage: bytes, kind: int, data: st.DataObject) -> None:
    whole = bytearray(gzip.decompress(packed({"box/a": b"1" * 100})))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at : at + len(garbage)] = garbage
    made = (garbage, gzip.compress(garbage), gzip.compress(bytes(whole)), b"\x1f\x8b\x08" + zlib.compress(garbage))[
        kind
    ]
    try:
        files = unpack(made, "box", MOST)
    except ValueError as refused:
        sentence, files = str(refused), {}
    else:
        sentence = "it is sound"
    assert sentence.startswith(("it ", "there is ", "a "))
    assert all("/" not in name for name in files)
