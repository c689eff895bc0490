"""Pairs come back as they were written, and what is wrong with a file is said in one line."""

import logging
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minis2s.data import Pair, read_parallel, read_tsv
from minis2s.data.pairs import SHOWN
from minis2s.data.tokenizers import normalize
from minis2s.errors import DataError

COMBINING = "e\u0301te\u0301"  # été, spelled with combining accents


@pytest.fixture
def write(tmp_path):
    def write(content, name="pairs.tsv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def complaint(read, *arguments, **options):
    with pytest.raises(DataError) as error:
        read(*arguments, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "content",
    [
        "Go.\tVa !\nYes.\tOui.\n",
        "Go.\tVa !\nYes.\tOui.",
        "\ufeffGo.\tVa !\r\nYes.\tOui.\r\n",
        "Go.\tVa !\rYes.\tOui.\r",
        "\n\nGo.\tVa !\n \t \nYes.\tOui.\n\n",
        "Go.\tVa !\tCC-BY\tsomeone\nYes.\tOui.\t\n",
        "  Go. \t Va !  \nYes.\tOui.\n",
        "Go.\tVa\u202f!\nYes.\tOui.\n",
        "Go.\tVa\u00a0!\nYes.\tOui.\n",
    ],
)
def test_many_ways_to_write_the_same_pairs(write, content):
    assert read_tsv(write(content), on_error="refuse") == [Pair("Go.", "Va !"), Pair("Yes.", "Oui.")]


def test_accents_have_one_spelling(write):
    assert read_tsv(write(f"summer\t{COMBINING}\n")) == [Pair("summer", "été")]
    assert read_parallel(write("summer", "en"), write(COMBINING, "fr")) == [Pair("summer", "été")]


def test_repeated_pairs_and_their_order_are_kept(write):
    assert [pair.source for pair in read_tsv(write("b\t1\na\t2\nb\t1\n"))] == ["b", "a", "b"]


def test_only_line_ends_end_lines(write):
    """Unicode knows more line separators; they stand inside texts."""
    assert read_tsv(write("a\u2028b\x0bc\x85d\te\n")) == [Pair("a b c d", "e")]


CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff")
TEXT = st.text(CHARACTERS).map(normalize).filter(bool)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_read(tmp_path_factory, rows, end):
    folder = tmp_path_factory.getbasetemp()
    pairs = [Pair(*row) for row in rows]
    (folder / "p.tsv").write_bytes("".join(f"{p.source}\t{p.target}{end}" for p in pairs).encode())
    for name, side in (("source", 0), ("target", 1)):
        (folder / name).write_bytes("".join(f"{pair[side]}{end}" for pair in pairs).encode("utf-8-sig"))
    assert read_tsv(folder / "p.tsv", on_error="refuse") == pairs
    assert read_parallel(folder / "source", folder / "target", on_error="refuse") == pairs


# ----------------------------------------------------------------------------------------------------------- bad lines

BAD = "a\tb\nno tab here\nc\td\n\te\nf\t \n"


def test_bad_lines_are_left_out_and_reported_with_their_numbers(write, caplog):
    path = write(BAD)
    with caplog.at_level(logging.WARNING, "minis2s.data"):
        assert read_tsv(path) == [Pair("a", "b"), Pair("c", "d")]
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        f"{path}: lines left out: 1, no tab between source and target: 2",
        f"{path}: lines left out: 2, the source or the target is empty: 4, 5",
    ]


def test_a_long_list_of_bad_lines_is_cut(write, caplog):
    with caplog.at_level(logging.WARNING, "minis2s.data"):
        read_tsv(write("a\tb\n" + "bad\n" * 1000))
    (record,) = caplog.records
    assert "lines left out: 1000, no tab" in record.getMessage()
    assert record.getMessage().count(",") == SHOWN + 1
    assert record.getMessage().endswith(", 101, ...")


def test_good_files_are_not_talked_about(write, caplog):
    with caplog.at_level(logging.DEBUG):
        read_tsv(write("a\tb\n\n\n"))
    assert not caplog.records


def test_the_first_bad_line_is_refused_on_demand(write):
    message = complaint(read_tsv, write(BAD), on_error="refuse")
    assert "pairs.tsv, line 2: no tab between source and target" in message
    assert "bad_lines=skip" in message
    assert "line 1:" in complaint(read_tsv, write("a\t\nb\tc\n"), on_error="refuse")


def test_what_to_do_with_bad_lines_is_one_of_two(write):
    with pytest.raises(ValueError, match="on_error is 'ignore', expected one of skip, refuse"):
        read_tsv(write("a\tb\n"), on_error="ignore")


# ----------------------------------------------------------------------------------------------------------- bad files


@pytest.mark.parametrize("content", [b"", b"\n\n \r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_an_empty_file(write, content):
    message = complaint(read_tsv, write(content))
    assert "pairs.tsv" in message
    assert "write source, a tab and target on each line" in message


def test_a_file_of_one_column(write, caplog):
    message = complaint(read_tsv, write("a,b\nc,d\n"))
    assert "has no pair" in message
    assert "a tab" in message
    assert not caplog.records, "one message is enough"


def test_a_missing_file_and_a_directory(tmp_path):
    assert "nowhere.tsv does not exist" in complaint(read_tsv, tmp_path / "nowhere.tsv")
    message = complaint(read_tsv, tmp_path)
    assert str(tmp_path) in message
    assert "directory" in message


def test_the_place_where_a_file_stops_being_utf8(write):
    message = complaint(read_tsv, write("a\tb\nété\tc\n".encode() + "d\tdéjà\n".encode("latin-1")))
    assert "is not UTF-8 (line 3, byte 15)" in message


@pytest.mark.skipif(not shutil.which("iconv"), reason="needs the program iconv")
@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("target", ["l'été", "soleil"])
def test_the_command_of_the_message_converts_the_file(write, encoding, target):
    path = write(f"summer\t{target}\nyes\toui\n".encode(encoding), "it's mine.tsv")
    if (encoding, target) == ("windows-1252", "soleil"):
        assert read_tsv(path), "without accents there is nothing to convert"
        return
    message = complaint(read_tsv, path)
    assert "is not UTF-8" in message
    (command,) = re.findall("`(.+)`", message)
    if encoding == "utf-16-le":  # no mark tells the order of bytes: what was meant differs between systems
        command = command.replace("UTF-16 ", "UTF-16LE ")
    subprocess.run(command, shell=True, check=True)
    assert read_tsv(f"{path}.utf8") == [Pair("summer", target), Pair("yes", "oui")]


def test_a_zero_byte_is_named_with_its_line(write):
    path = write(b"summer\tsoleil\r\nyes\to\0ui\r\n")
    message = complaint(read_tsv, path)
    assert "pairs.tsv, line 2: there is a zero byte (NUL)" in message
    assert "iconv" not in message
    (command,) = re.findall("`(.+)`", message)
    if shutil.which("tr"):
        subprocess.run(command, shell=True, check=True)
        assert read_tsv(f"{path}.clean") == [Pair("summer", "soleil"), Pair("yes", "oui")]


# ------------------------------------------------------------------------------------------------------ parallel files


def test_two_files_line_by_line(write, caplog):
    source, target = write("Yes.\n\nMay\tbe.\nNo.\n", "en"), write("Oui.\r\n\r\nPeut-être.\r\n\r\n", "fr")
    with caplog.at_level(logging.WARNING, "minis2s.data"):
        assert read_parallel(source, target) == [Pair("Yes.", "Oui."), Pair("May be.", "Peut-être.")]
    assert "lines left out: 1, the source or the target is empty: 4" in caplog.text
    assert "line 4" in complaint(read_parallel, source, target, on_error="refuse")


def test_two_files_of_different_length(write):
    message = complaint(read_parallel, write("a\nb\nc\n", "en"), write("d\ne", "fr"))
    assert re.search(r"en has 3 lines, .*fr has 2", message)


def test_two_files_without_a_pair(write):
    assert "have no pair" in complaint(read_parallel, write("a\n\n", "en"), write("\nb\n", "fr"))
    assert "en is empty" in complaint(read_parallel, write("", "en"), write("b\n", "fr"))
    assert "fr is not UTF-8" in complaint(read_parallel, write("b\n", "en"), write(b"\xe9\n", "fr"))
