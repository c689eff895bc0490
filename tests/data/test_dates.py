"""Dates mean one day, can be read back, and are split by the day."""

from datetime import date, timedelta

import numpy as np
import pytest

from minis2s.data import dates, leaks, split_pairs
from minis2s.data.tokenizers import normalize

EXAMPLES = {
    ("de", "full"): "Montag, 4. Oktober 2004",
    ("de", "medium"): "04.10.2004",
    ("en", "full"): "Monday, October 4, 2004",
    ("en", "medium"): "Oct 4, 2004",
    ("es", "long"): "4 de octubre de 2004",
    ("fr", "full"): "lundi 4 octobre 2004",
    ("ja", "full"): "2004年10月4日月曜日",
    ("ko", "medium"): "2004. 10. 4.",
    ("pl", "long"): "4 października 2004",
    ("ru", "long"): "4 октября 2004 г.",
    ("zh", "long"): "2004年10月4日",
}


@pytest.fixture(scope="module")
def standard():
    return dates.generate()


@pytest.mark.parametrize(("locale", "style"), EXAMPLES)
def test_how_people_write_a_date(locale, style):
    assert dates.write(date(2004, 10, 4), locale, style) == EXAMPLES[locale, style]


def test_the_standard_set(standard):
    assert len(standard) == dates.STANDARD_COUNT == 50_000
    for pair, iso in standard.items():
        assert pair.target == iso
        assert "1950-01-01" <= iso <= "2049-12-31"
        assert date.fromisoformat(iso).isoformat() == iso
        assert iso[:4] in pair.source, "the year has four digits"
        assert pair.source == normalize(pair.source), "no odd spaces"
    scripts = ("Montag", "Monday", "понедельник", "Δευτέρα", "月曜日", "星期一", "월요일")
    assert all(any(word in pair.source for pair in standard) for word in scripts)


def test_fifteen_locales_share_the_set_equally(standard):
    assert len(set(dates.LOCALES)) == 15
    years = np.array([int(iso[:4]) for iso in standard.values()])
    assert abs(years.mean() - 1999.5) < 1
    written = {
        dates.write(date.fromisoformat(iso), locale, "full"): locale
        for iso in list(standard.values())[:2000]
        for locale in dates.LOCALES
    }
    counts = np.zeros(15)
    for pair in list(standard)[:2000]:
        if pair.source in written:
            counts[dates.LOCALES.index(written[pair.source])] += 1
    assert counts.min() > 15, "a fifteenth of a third of 2000 is 44"


def test_no_text_means_two_days():
    """In any locale and format. Whole years, so that a day and a month that change places would be found."""
    meanings: dict[str, date] = {}
    first = date(2003, 1, 1)
    for k in range(2 * 365 + 1):
        when = first + timedelta(days=k)
        for locale in dates.LOCALES:
            for style in dates.FORMATS:
                assert meanings.setdefault(dates.write(when, locale, style), when) == when


@pytest.mark.parametrize("to", dates.TARGETS)
def test_no_source_has_two_targets(to):
    pairs = dates.generate(5000, to=to)
    assert len({pair.source for pair in pairs}) == len(pairs)


def test_the_range_ends_where_it_says():
    assert dates.FIRST + timedelta(days=dates.DAYS - 1) == date(2049, 12, 31)


def test_between_languages():
    pairs = dates.generate(3000, to="languages")
    assert len(pairs) == 3000
    wanted = set()
    for pair, iso in pairs.items():
        locale, text = pair.source.split(": ", 1)
        wanted.add(locale)
        when = date.fromisoformat(iso)
        assert pair.target == dates.write(when, locale, "long"), "the language is that of the request"
        assert text in {dates.write(when, other, style) for other in dates.LOCALES for style in dates.FORMATS}
    assert wanted == set(dates.LOCALES)
    assert any("星期" in pair.source for pair in pairs)
    assert not any("星期" in pair.source for pair in pairs if pair.source.startswith("zh: ")), "none into its own"


@pytest.mark.parametrize("to", dates.TARGETS)
def test_no_day_of_the_test_occurs_in_training_in_any_language(to):
    pairs = dates.generate(20_000, to=to)
    split = split_pairs(pairs, key=pairs.__getitem__)
    assert leaks(split, pairs.__getitem__) == []
    assert leaks(split_pairs(pairs), pairs.__getitem__), "a split by the text leaks"
    assert all(split)


def test_the_same_seed_gives_the_same_dates():
    one, other, third = (list(dates.generate(200, np.random.default_rng(seed))) for seed in (1, 1, 2))
    assert one == other != third
    assert list(dates.generate(200)) == list(dates.generate(200))


def test_what_cannot_be_made():
    with pytest.raises(ValueError, match="to is 'french', expected one of iso, languages"):
        dates.generate(10, to="french")
    with pytest.raises(ValueError, match="count is 600000, expected at most 547875"):
        dates.generate(600_000)
