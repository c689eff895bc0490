import pytest

from minis2s.data.container import HEADER, from_file, to_file
from minis2s.errors import DataError

MODEL = b"abcdefgh1234"


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("packed", [b"", b"x", bytes(range(100))], ids=len)
def test_a_file_comes_back(bits, packed):
    assert from_file("x.m2s", to_file(packed, bits, MODEL), MODEL) == (packed, bits)


def test_a_file_cut_or_altered_anywhere_is_refused_by_name():
    whole = to_file(bytes(range(60)), 8, MODEL)
    for length in range(len(whole)):
        with pytest.raises(DataError, match=r"x\.m2s"):
            from_file("x.m2s", whole[:length], MODEL)
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 4
        with pytest.raises(DataError, match=r"x\.m2s"):
            from_file("x.m2s", bytes(altered), MODEL)


def test_each_refusal_has_its_own_reason():
    whole = to_file(bytes(4), 8, MODEL)
    for data, words in (
        (b"\x89PNG", "not a picture that"),
        (whole[:6] + b"\x07" + whole[7:], "version 7"),
        (whole[: HEADER.size + 1], "truncated or damaged"),
    ):
        with pytest.raises(DataError, match=words):
            from_file("x", data, MODEL)
    with pytest.raises(DataError, match="another model"):
        from_file("x", whole, b"ABCDEFGH")
