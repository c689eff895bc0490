import io

import numpy as np
import pytest

from minis2s import plots
from minis2s.metrics import LengthAccuracy

ENGLISH = ["I", "did", "not", "buy", "red", "books", "."]
FRENCH = ["je", "n'", "ai", "pas", "acheté", "où", "ç", "œ", "É"]
QUESTIONS = """\
Can their colleagues call Paul's brother ? / Est -ce que leurs collègues peuvent appeler le frère de Paul ?
Can you give Emma a red umbrella ? / Est -ce que tu peux donner un parapluie rouge à Emma ?
Is this black coat old ? / Est -ce que ce manteau noir est vieux ?
Can Louis and Emma give Alice a difficult book ? / Est -ce que Louis et Emma peuvent donner un livre difficile à Alice ?
"""
CHINESE = ["我", "没", "买", "书", "。", "Tom", "</s>"]


def weights(target, source):
    return np.random.default_rng(0).dirichlet(np.ones(len(source)), len(target))


def pixels(figure, tmp_path):
    from matplotlib.image import imread

    plots.save_figure(figure, tmp_path / "x.png")
    return imread(io.BytesIO((tmp_path / "x.png").read_bytes()), format="png")


@pytest.fixture
def _no_cjk_font(monkeypatch):
    from matplotlib.font_manager import fontManager

    monkeypatch.setattr(fontManager, "ttflist", [f for f in fontManager.ttflist if f.name.startswith("DejaVu")])
    plots._family_with.cache_clear()
    yield
    plots._family_with.cache_clear()


def tick_labels(figure):
    ax = figure.axes[0]
    return [t.get_text() for t in ax.get_xticklabels()], [t.get_text() for t in ax.get_yticklabels()]


def test_an_attention_map_names_both_axes_and_every_token(tmp_path):
    figure = plots.attention_map(weights(FRENCH, ENGLISH), ENGLISH, FRENCH, "où l'on regarde")
    assert tick_labels(figure) == (ENGLISH, FRENCH)
    ax = figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("source tokens", "target tokens")
    image = pixels(figure, tmp_path)
    assert min(image.shape[:2]) > 300
    assert np.unique(image.reshape(-1, image.shape[2]), axis=0).shape[0] > 50


@pytest.mark.usefixtures("_no_cjk_font")
def test_without_a_font_chinese_tokens_are_counted_and_no_box_is_drawn(tmp_path):
    figure = plots.attention_map(weights(CHINESE, ENGLISH), ENGLISH, CHINESE, "中文 map")
    assert tick_labels(figure) == (ENGLISH, ["1", "2", "3", "4", "5", "Tom", "</s>"])
    assert figure.axes[0].get_ylabel() == "target tokens, numbered"
    assert "no font" in figure.get_supxlabel()
    pixels(figure, tmp_path)  # a missing glyph would be a warning, and so an error


def test_with_whatever_font_is_here_no_glyph_is_missing(tmp_path):
    pixels(plots.attention_map(weights(CHINESE, ENGLISH), ENGLISH, CHINESE), tmp_path)


def test_the_font_that_is_found_has_the_characters():
    families = plots.font_families("".join(CHINESE))
    if families:
        from matplotlib.font_manager import FontProperties, findfont

        found = plots._characters(findfont(FontProperties(family=families[-1])))
        assert set("我没买书。") <= found
    assert plots.font_families("où ça") == ["DejaVu Sans"]
    assert plots.font_families("\U0010fffd") == []


def test_spaces_and_dollars_are_shown_as_they_are(tmp_path):
    tokens = [" ", "$x_1$", "a b", "$"]
    figure = plots.attention_map(weights(tokens, tokens), tokens, tokens)
    assert tick_labels(figure)[0] == ["␣", r"\$x_1\$", "a␣b", r"\$"]
    pixels(figure, tmp_path)


def test_several_maps_in_one_picture(tmp_path):
    examples = [(weights(FRENCH, ENGLISH), ENGLISH, FRENCH), (weights("abc", "de"), list("de"), list("abc"))] * 2
    pixels(plots.attention_maps(examples[:3]), tmp_path)
    figure = plots.attention_maps(examples, "four")
    assert len(figure.axes) == 5  # four maps and their scale
    pixels(figure, tmp_path)


def test_no_label_is_cut_where_maps_differ_in_shape():
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    pairs = [[[*side.split(), "</s>"] for side in line.split("/")] for line in QUESTIONS.splitlines()]
    examples = [(weights(target, source), source, target) for source, target in pairs]
    figure = plots.attention_maps(examples, "four")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = figure.bbox.size
    for box in (ax.get_tightbbox(canvas.get_renderer()) for ax in figure.axes):
        assert 0 < box.x0 < box.x1 < width
        assert 0 < box.y0 < box.y1 < height


def test_a_long_token_is_cut_and_does_not_make_the_picture_larger():
    tokens = ["x" * 100_000, "y"]
    figure = plots.attention_map(weights(tokens, tokens), tokens, tokens)
    assert tick_labels(figure)[0] == ["x" * 23 + "…", "y"]
    assert max(figure.get_size_inches()) < 6


def test_many_maps_make_a_picture_that_is_about_square():
    tokens = ENGLISH * 5
    width, height = plots.attention_maps([(weights(tokens, tokens), tokens, tokens)] * 12).get_size_inches()
    assert 1 / 2 < width / height < 2


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(7, 9\), expected \(9, 7\)"):
        plots.attention_map(weights(FRENCH, ENGLISH).T, ENGLISH, FRENCH)


def records(epochs, per_epoch=3):
    step = 0
    for epoch in range(1, epochs + 1):
        for _ in range(per_epoch):
            step += 50
            yield {"event": "loss", "epoch": epoch, "step": step, "loss": 2 / step}
        perplexity = 1 + 1 / epoch
        yield {
            "event": "validation", "epoch": epoch, "step": step, "train_loss": 2 / step, "perplexity": perplexity,
            "perplexity_free": None, "exact": 1 - 1 / epoch, "bleu": 50.0, "best": epoch < 3, "seconds": 1.0,
        }  # fmt: skip


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_learning_curves(tmp_path, epochs):
    figure = plots.learning_curves([{"event": "start", "step": 0}, *records(epochs)], "a run")
    loss, exact, bleu = figure.axes
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss (nats per token)", "exact match (share)", "BLEU"]
    np.testing.assert_allclose(loss.lines[0].get_xdata(), np.arange(1, 3 * epochs + 1) / 3)
    np.testing.assert_allclose(loss.lines[1].get_ydata(), np.log(1 + 1 / np.arange(1, epochs + 1)))
    np.testing.assert_allclose(exact.lines[0].get_ydata(), 1 - 1 / np.arange(1, epochs + 1))
    assert len(bleu.texts) == 1
    pixels(figure, tmp_path)


def test_the_axis_of_a_share_begins_at_zero():
    log = [{**r, "exact": 0.0} if r["event"] == "validation" else r for r in records(3)]
    assert plots.learning_curves(log).axes[1].get_ylim()[0] == 0
    log = [{**r, "exact": -1.0} if r["event"] == "validation" else r for r in records(3)]
    assert plots.learning_curves(log).axes[1].get_ylim()[0] < -1


@pytest.mark.parametrize("count", [0, 1, 3])
def test_curves_of_a_run_that_was_stopped_early(tmp_path, count):
    figure = plots.learning_curves([r for r in records(1) if r["event"] == "loss"][:count])
    assert len(figure.axes) == 1
    pixels(figure, tmp_path)


def test_curves_survive_a_loss_below_zero_and_one_that_is_null(tmp_path):
    log = [*records(2), {"event": "loss", "epoch": 2, "step": 301, "loss": -1.0}]
    log.append({"event": "loss", "epoch": 2, "step": 302, "loss": None})
    pixels(plots.learning_curves(log), tmp_path)


def test_accuracy_by_length(tmp_path):
    scores = [LengthAccuracy(n, 1 - n / 40, 10) for n in range(1, 31)]
    figure = plots.length_accuracy(scores, trained_up_to=25)
    ax = figure.axes[0]
    assert [len(c) for c in ax.containers] == [25, 5]
    assert ax.containers[1][0].get_height() == pytest.approx(100 * (1 - 26 / 40))
    assert "%" in ax.get_ylabel()
    pixels(figure, tmp_path)
    pixels(plots.length_accuracy(scores[:2]), tmp_path)


def test_pyplot_is_not_touched():
    import subprocess
    import sys

    code = "import sys, minis2s.plots as p; p.learning_curves([]); sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
