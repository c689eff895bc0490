import logging
import math

import numpy as np
import pytest

from minis2s.metrics import (
    LengthAccuracy,
    accuracy_by_length,
    bleu,
    bleu_tokenizer,
    chrf,
    exact_match,
    perplexity,
    psnr,
    purity,
    ssim,
)

REFERENCES = ["Le chat noir dort sur le tapis.", "Je ne mange pas de pommes aujourd'hui."]


def test_bleu_is_sacrebleus_and_signs_itself():
    import sacrebleu

    hypotheses = ["Le chat noir dort sur un tapis.", "Je mange pas de pommes aujourd'hui."]
    score = bleu(hypotheses, REFERENCES)
    assert score.value == pytest.approx(sacrebleu.corpus_bleu(hypotheses, [REFERENCES]).score)
    assert 20 < score.value < 90
    assert "tok:13a" in score.signature
    assert f"version:{sacrebleu.__version__}" in score.signature


def test_bleu_by_hand():
    # 4-gram precisions 5/6, 3/5, 2/4, 1/3 of one sentence as long as its reference
    score = bleu(["the cat is on a mat"], ["the cat is on the mat"])
    assert score.value == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)


def test_a_perfect_translation_scores_100():
    assert bleu(REFERENCES, REFERENCES).value == pytest.approx(100)
    assert chrf(REFERENCES, REFERENCES).value == pytest.approx(100)
    assert exact_match(REFERENCES, REFERENCES) == 1


def test_chinese_needs_its_own_tokenizer():
    reference, hypothesis = ["我今天不想去学校了。"], ["我今天不想去公园了。"]
    assert bleu_tokenizer(reference) == "zh"
    assert bleu(hypothesis, reference, "13a").value == 0
    zh = bleu(hypothesis, reference, "zh")
    assert zh.value > 20
    assert "tok:zh" in zh.signature


@pytest.mark.parametrize(
    ("references", "tokenizer"),
    [
        (REFERENCES, "13a"),
        (["2024-05-01"], "13a"),
        (["我用Python。"], "13a"),
        (["Tom 是我的朋友吗？"], "zh"),
        (["", "好"], "zh"),
    ],
)
def test_the_tokenizer_follows_the_references(references, tokenizer):
    assert bleu_tokenizer(references) == tokenizer


def test_bleu_is_silent_about_tokenized_text(caplog):
    with caplog.at_level(logging.DEBUG):
        bleu(["a b c d ."] * 200, ["a b c d."] * 200)
    assert caplog.messages == []


def test_chrf_signs_itself():
    score = chrf(["Le chat noir"], ["Le chat blanc"])
    assert 30 < score.value < 90
    assert score.signature.startswith("nrefs:1|")


def test_exact_match():
    assert exact_match(["a", "b", "c "], ["a", "x", "c"]) == pytest.approx(1 / 3)


def test_perplexity():
    assert perplexity(10 * math.log(7), 10) == pytest.approx(7)
    assert perplexity(1e9, 1) == math.inf
    assert math.isnan(perplexity(0.0, 0))


def test_accuracy_by_length():
    result = accuracy_by_length(["a", "x", "b", "c"], ["a", "b", "b", "c"], [9, 3, 3, 10])
    assert result == [LengthAccuracy(3, 0.5, 2), LengthAccuracy(9, 1.0, 1), LengthAccuracy(10, 1.0, 1)]


@pytest.mark.parametrize("score", [bleu, chrf, exact_match])
@pytest.mark.parametrize(("hypotheses", "references"), [([], []), (["a"], ["a", "b"])])
def test_hypotheses_and_references_come_in_pairs(score, hypotheses, references):
    with pytest.raises(ValueError, match="hypotheses and"):
        score(hypotheses, references)


# --------------------------------------------------------------------------------------------------------- of pictures


def test_psnr_and_ssim_are_of_each_picture():
    pytest.importorskip("skimage")
    reference = np.random.default_rng(0).random((4, 1, 12, 12)).astype(np.float32)
    made = reference.copy()
    made[1] += 0.1
    made[2] = 1 - made[2]
    found = psnr(made, reference)
    assert found[0] == math.inf
    assert found[1] == pytest.approx(20, abs=1e-3)
    similar = ssim(made, reference)
    assert similar[0] == similar[3] == pytest.approx(1)
    assert similar[2] < similar[1] < 1
    for score in (psnr, ssim):
        with pytest.raises(ValueError, match="expected equal"):
            score(made[:2], reference)


def test_purity_counts_the_most_frequent_label_of_each_cluster():
    pytest.importorskip("sklearn")
    clusters = np.array([0, 0, 0, 1, 1, 2])
    labels = np.array([5, 5, 7, 7, 7, 5])
    assert purity(clusters, labels) == pytest.approx(5 / 6)
