"""The phrases are grammatical, distinct, unambiguous and the same for the same seed."""

import collections
import re

import numpy as np
import pytest

from minis2s.data import phrases
from minis2s.errors import DataError

VOWEL = "[aeiouyhàâéèêîôûœAEIOUYHÉ]"

FRENCH = {
    # articles, agreement, adjectives before and behind
    "Marie is wearing a big red dress.": "Marie porte une grande robe rouge.",
    "I'm buying an old black hat.": "J'achète un vieux chapeau noir.",
    "You have a new computer.": "Tu as un nouvel ordinateur.",
    "Does he have an old computer?": "Est-ce qu'il a un vieil ordinateur ?",
    "We have two beautiful houses.": "Nous avons deux belles maisons.",
    "These white watches are expensive.": "Ces montres blanches sont chères.",
    "This computer is old.": "Cet ordinateur est vieux.",
    "The shirts aren't dirty.": "Les chemises ne sont pas sales.",
    "My aunt is very happy today.": "Ma tante est très heureuse aujourd'hui.",
    "She's a nurse.": "Elle est infirmière.",
    "His brother wants to be an actor.": "Son frère veut être acteur.",
    # du, de la, des; de after pas; contractions
    "I eat bread every day.": "Je mange du pain tous les jours.",
    "He never drinks water in the evening.": "Il ne boit jamais d'eau le soir.",
    "Paul isn't eating meat.": "Paul ne mange pas de viande.",
    "They don't have a dog.": "Ils n'ont pas de chien.",
    "Emma needs a blue umbrella.": "Emma a besoin d'un parapluie bleu.",
    "Anna prefers tea to coffee.": "Anna préfère le thé au café.",
    "Louis goes to the office by bike every morning.": "Louis va au bureau à vélo tous les matins.",
    "There's a bank near the market.": "Il y a une banque près du marché.",
    # tenses
    "Alice went to the cinema last night.": "Alice est allée au cinéma hier soir.",
    "Paul and Marie came to school this morning.": "Paul et Marie sont venus à l'école ce matin.",
    "We didn't go to France last year.": "Nous ne sommes pas allés en France l'année dernière.",
    "You didn't read this letter yesterday.": "Tu n'as pas lu cette lettre hier.",
    "She's going to buy six eggs tomorrow.": "Elle va acheter six œufs demain.",
    "They're learning French.": "Ils apprennent le français.",
    "We have been living in London for three months.": "Nous habitons à Londres depuis trois mois.",
    "My parents were tired yesterday.": "Mes parents étaient fatigués hier.",
    "The dress that Julie bought last week is beautiful.": "La robe que Julie a achetée la semaine dernière est belle.",
    "How many pears did he buy yesterday?": "Combien de poires est-ce qu'il a achetées hier ?",
    # questions, negation, pronouns
    "Is your brother working?": "Est-ce que ton frère travaille ?",
    "What is Emma reading?": "Qu'est-ce qu'Emma lit ?",
    "Where does Alice live?": "Où est-ce qu'Alice habite ?",
    "Why don't you want to play tennis?": "Pourquoi est-ce que tu ne veux pas jouer au tennis ?",
    "Pierre doesn't know me.": "Pierre ne me connaît pas.",
    "Can you help us tomorrow?": "Est-ce que tu peux nous aider demain ?",
    "Don't forget your umbrella!": "N'oublie pas ton parapluie !",
    "Let's play football on Saturday!": "Jouons au football samedi !",
    "If it rains tomorrow, he's going to play chess.": "S'il pleut demain, il va jouer aux échecs.",
    "Julie can't swim because she's tired.": "Julie ne peut pas nager parce qu'elle est fatiguée.",
    "Lucas gave my sister a book yesterday.": "Lucas a donné un livre à ma sœur hier.",
    "Marc's car is bigger than mine.": "La voiture de Marc est plus grande que la mienne.",
    "Emma is thirty-two years old.": "Emma a trente-deux ans.",
    "The man who is wearing a green coat is funny.": "L'homme qui porte un manteau vert est drôle.",
    # French would have to know whether I am a man or a woman
    "I'm happy today.": None,
    "I went to school yesterday.": None,
}

CHINESE = {
    # measure words, two, adjectives
    "Marie is wearing a big red dress.": "玛丽穿着一条红色的大裙子。",
    "I'm buying an old black hat.": "我在买一顶黑色的旧帽子。",
    "We have two beautiful houses.": "我们有两栋漂亮的房子。",
    "He's reading the book.": "他在看那本书。",
    "She has three white cats.": "她有三只白猫。",
    "They're drinking two cups of tea.": "他们在喝两杯茶。",
    "Emma is thirty-two years old.": "艾玛三十二岁。",
    "It's two o'clock in Beijing.": "北京现在两点。",
    "I'd like a cup of coffee, please.": "请给我一杯咖啡。",
    "These white watches are expensive.": "这些白色的手表很贵。",
    "The house isn't expensive.": "房子不贵。",
    "His red cup is on the table.": "他的红色杯子在桌子上。",
    # time, place and company before the verb
    "Louis goes to the office by bike every morning.": "路易每天早上骑自行车去办公室。",
    "Alice went to the cinema last night.": "爱丽丝昨天晚上去电影院了。",
    "My father is cooking.": "我爸爸在做饭。",
    "Paul is studying at the library.": "保罗在图书馆学习。",
    "Anna plays tennis with my brother every weekend.": "安娜每个周末跟我哥哥打网球。",
    "I study at seven o'clock on Mondays.": "我星期一七点学习。",
    "There's a cat under the chair.": "椅子下面有一只猫。",
    "There isn't any milk in the fridge.": "冰箱里没有牛奶。",
    "It's cold in Tokyo today.": "东京今天很冷。",
    "It's going to rain in London tomorrow.": "伦敦明天会下雨。",
    # not: 不, 没, 别
    "You didn't read this letter yesterday.": "你昨天没看这封信。",
    "I don't like winter.": "我不喜欢冬天。",
    "They don't have a dog.": "他们没有狗。",
    "Paul isn't eating meat.": "保罗没在吃肉。",
    "Sophie isn't going to swim tomorrow.": "索菲明天不会游泳。",
    "Don't forget your umbrella!": "别忘带你的雨伞！",
    "Pierre doesn't know me.": "皮埃尔不认识我。",
    # questions keep their place
    "Is your brother working?": "你哥哥在工作吗？",
    "What is Emma reading?": "艾玛在看什么？",
    "Where does Alice live?": "爱丽丝住在哪儿？",
    "When is Marie going to the bank?": "玛丽什么时候去银行？",
    "Why is she so sad?": "她为什么这么难过？",
    "How many pears did he buy yesterday?": "他昨天买了几个梨？",
    "Which shirt do you prefer?": "你更喜欢哪件衬衫？",
    "How much does this bike cost?": "这辆自行车多少钱？",
    "Who is singing?": "谁在唱歌？",
    # comparing, giving, clauses
    "He's taller than my father.": "他比我爸爸高。",
    "Anna prefers tea to coffee.": "比起咖啡，安娜更喜欢茶。",
    "Lucas gave my sister a book yesterday.": "卢卡斯昨天给了我姐姐一本书。",
    "I'm going to call Thomas tonight.": "我今天晚上要给托马斯打电话。",
    "We have been learning Chinese for two years.": "我们学中文学了两年了。",
    "The dress that Julie bought last week is beautiful.": "朱莉上个星期买的裙子很漂亮。",
    "Julie can't swim because she's tired.": "朱莉不能游泳，因为她很累。",
    "I'm happy today.": "我今天很高兴。",
    "I went to school yesterday.": "我昨天去学校了。",
}

MEASURES = {"书": "本", "车": "辆", "裙子": "条", "衬衫": "件", "猫": "只", "雨伞": "把", "桌子": "张", "马": "匹"}


@pytest.fixture(scope="module")
def pairs():
    return {language: phrases.generate(language) for language in ("fr", "zh")}


@pytest.mark.parametrize(
    ("language", "source", "target"),
    [("fr", *item) for item in FRENCH.items()] + [("zh", *item) for item in CHINESE.items()],
)
def test_translations_written_by_hand(language, source, target):
    assert phrases.grammar().translations(source, "en", language) == ({target} if target else set())


@pytest.mark.parametrize("language", ["fr", "zh"])
def test_pairs_are_distinct_and_unambiguous(pairs, language):
    assert len(pairs[language]) == 60_000
    assert len({pair.source for pair in pairs[language]}) == 60_000  # so no source has two targets either


def test_same_seed_same_pairs():
    def draw(seed):
        return phrases.generate("fr", 500, np.random.default_rng(seed))

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)


@pytest.mark.parametrize("language", ["fr", "zh"])
def test_no_template_dominates(language):
    derived = phrases.grammar().sample("en", language, 20_000, np.random.default_rng(0))
    counts = collections.Counter(d.template for d in derived)
    assert len(counts) >= 150
    assert max(counts.values()) <= 0.02 * len(derived)


@pytest.mark.parametrize("language", ["fr", "zh"])
def test_vocabulary_and_length(pairs, language):
    targets = [pair.target.lower() for pair in pairs[language]]
    counts = collections.Counter(
        word for text in targets for word in re.findall(r"\w+" if language == "fr" else ".", text)
    )
    assert 300 <= len(counts) <= 1500
    assert sum(count >= 10 for count in counts.values()) >= 0.95 * len(counts)  # a word occurs in many combinations
    lengths = [len(pair.source.rstrip(".?!").split()) for pair in pairs[language]]
    assert np.mean([4 <= n <= 12 for n in lengths]) >= 0.95


@pytest.mark.parametrize("language", ["fr", "zh"])
def test_nothing_of_the_grammar_is_left(pairs, language):
    left = re.compile(r"[{}\[\]*~|_;:]|  |^\s|\s$")
    for pair in pairs[language]:
        assert not left.search(pair.source), pair
        assert not left.search(pair.target), pair


def test_english(pairs):
    wrong = re.compile(
        r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]|\bI (is|are|am )\b|\b(he|she|it) (are|am|is)\b|\b(you|we|they) (is|am|are)\b"
        r"|^(he|she) (do|have|don't|want|like|eat|go)\b|^(we|they|I|you) (does|has|doesn't|wants|likes|eats|goes)\b"
        r"|\b(can't|going to|wants? to|has to|have to) ([a-z]+s|[a-z]+ed|went|bought)\b|\s[.,?!]"
    )
    for pair in pairs["fr"] + pairs["zh"]:
        assert not wrong.search(pair.source[0].lower() + pair.source[1:]), pair
        assert pair.source[-1] in ".?!"


def test_french_elision_and_contraction(pairs):
    wrong = re.compile(
        rf"\b(je|le|la|de|ne|que|me|te|se|jusque) {VOWEL}|\b(ma|ta|sa|ce) {VOWEL}|\bsi ils?\b|\b[àÀ] les?\b|\bde les?\b"
        rf"|'(?!{VOWEL})|\b(beau|nouveau|vieux) ordinateur\b|\b(bel|nouvel|vieil|cet) (?!{VOWEL})|\b[ldnjmt] "
    )
    for pair in pairs["fr"]:
        assert not wrong.search(pair.target.replace("y a", "il-y-a")), pair


def test_french_punctuation(pairs):
    wrong = re.compile(r"\S[?!]|\s[.,]|[?!.].")
    assert not [pair for pair in pairs["fr"] if wrong.search(pair.target)]


def test_french_negation(pairs):
    for pair in pairs["fr"]:
        negated = re.search(r"\b([nN]e )|\b[nN]'", pair.target)
        assert bool(negated) == bool(re.search(r"\b(pas|jamais)\b", pair.target)), pair


def test_chinese_measure_words(pairs):
    number = "(?:一|两|三|四|五|六|七|八|九|十|几|哪|这|那)"
    for noun, measure in MEASURES.items():
        wrong = re.compile(rf"{number}(?!{measure})[本辆条件只把张匹个部块支顶份封首栋台盏根]{noun}")
        assert not [pair for pair in pairs["zh"] if wrong.search(pair.target)]


def test_chinese_writing(pairs):
    wrong = re.compile(
        r"[A-Za-z\s,.?!]|的的|在在(?!图|办|学|公|海|花|客|卧|家|餐|酒|厨|游)|二[个本辆条件只把张匹点]|了了"
    )
    for pair in pairs["zh"]:
        assert not wrong.search(pair.target.replace("现在在", "")), pair
        assert pair.target[-1] in "。？！"


def test_unknown_language():
    with pytest.raises(DataError, match="no language 'de'; it has en, fr, zh"):
        phrases.generate("de", 10)
