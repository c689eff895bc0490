# %% [markdown]
# # 3. From a bottleneck to attention
#
# **The question.** One network reads a sentence, a second one writes another sentence. What must pass between the
# two?
#
# **The answer, in one picture.** Figure 1 shows two models that were trained alike to write a row of digits
# backwards. In the first, all that the reader hands over is one *vector*, a list of numbers of fixed size. The longer
# the row, the fewer come out right. In the second, the writer may look back at every digit that was read, before it
# writes the next one. That is *attention*.

# %% tags=["hide-input"]
import datetime
import inspect

import numpy as np
from matplotlib.figure import Figure

from minis2s import functional as F
from minis2s import optim
from minis2s.data import dates
from minis2s.data.batching import bucket_batches, collate
from minis2s.data.vocabulary import Vocabulary
from minis2s.decoding import greedy
from minis2s.gradcheck import check
from minis2s.lessons import load_exercises, show
from minis2s.models import Seq2Seq, Seq2SeqConfig
from minis2s.plots import attention_map

exercise = load_exercises("03_attention")
BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#8a8a8a"
np.set_printoptions(precision=3, suppress=True)
LONGEST = 12


def digit_pairs(count, rng):
    """Distinct rows of 2 to 12 digits, each with the same row backwards."""
    found = {}
    while len(found) < count:
        row = tuple("0123456789"[d] for d in rng.integers(0, 10, rng.integers(2, LONGEST + 1)))
        found[row] = row[::-1]
    return list(found.items())


def make_batch(pairs, vocabulary, target_vocabulary, indices):
    """The pairs at these places as a batch of numbers."""
    sources = [vocabulary.encode(pairs[k][0]) for k in indices]
    targets = [target_vocabulary.encode(pairs[k][1]) for k in indices]
    return collate(sources, targets, indices)


def train(model, pairs, vocabularies, steps, lr=4e-3):
    """Train on batches of 64 pairs of similar length."""
    rng = np.random.default_rng(1)
    optimizer, schedule = optim.Adam(model.buffer), optim.Linear(lr, steps, warmup=50)
    lengths = np.array([[len(source), len(target)] for source, target in pairs])
    step = 0
    while step < steps:
        for indices in bucket_batches(lengths, 64, rng)[: steps - step]:
            model.zero_grad()
            model.loss_and_backward(make_batch(pairs, *vocabularies, indices))
            optim.clip_global_norm(model.buffer, 1.0)
            optimizer.lr = schedule(step)
            optimizer.step()
            step += 1
    return model


def answers(model, pairs, vocabularies):
    """What the model writes, token by token, for all pairs in one batch; and the batch."""
    batch = make_batch(pairs, *vocabularies, range(len(pairs)))
    return greedy(model, batch.source, batch.source_mask, max_length=20), batch


def exact(model, pairs, vocabularies):
    """For each pair: is the answer right from the first token to the last?"""
    found, _ = answers(model, pairs, vocabularies)
    return np.array(
        [vocabularies[1].decode(h[0].tokens) == list(target) for h, (_, target) in zip(found, pairs, strict=True)]
    )


def new_model(vocabularies, seed=1, kind=Seq2Seq, bidirectional=False, **options):
    """A small encoder-decoder."""
    sizes = [len(vocabulary) for vocabulary in vocabularies]
    config = Seq2SeqConfig(*sizes, embedding=32, hidden=64, bidirectional=bidirectional, **options)
    return kind(config, np.random.default_rng(seed))


digits = digit_pairs(11000, np.random.default_rng(0))
digits_train, digits_test = digits[1000:], digits[:1000]
digit_vocabulary = Vocabulary.build([source for source, _ in digits_train])
both = digit_vocabulary, digit_vocabulary
models = {
    "one vector": train(new_model(both, context="last"), digits_train, both, 600),
    "attention": train(new_model(both, context="attention", score="general"), digits_train, both, 600),
}
right = {name: exact(model, digits_test, both) for name, model in models.items()}
test_lengths = np.array([len(source) for source, _ in digits_test])

figure = Figure(figsize=(4.4, 3.4), dpi=110, layout="constrained")
ax = figure.subplots()
lengths = np.arange(3, LONGEST + 1)
for name, color in (("one vector", ORANGE), ("attention", BLUE)):
    share = [100 * right[name][test_lengths == length].mean() for length in lengths]
    ax.plot(lengths, share, "o-", color=color, label=name)
ax.set(xlabel="length of the row (digits)", ylabel="rows that are all right (%)", ylim=(-4, 104))
ax.grid(color="0.9")
ax.legend(frameon=False, fontsize=11, loc="lower left")
ax.spines[["top", "right"]].set_visible(False)
show(
    figure, "Figure 1. Rows of digits to be written backwards: how many come out right, by their length. New rows only."
)

# %% [markdown]
# You need lesson 1 (what a backward is; softmax) and lesson 2 (recurrent networks, masks). Everything else is
# explained here.
#
# ## 3.1 One network reads, another writes
#
# A sentence becomes a list of *tokens*: here digits, elsewhere letters or words. A *vocabulary* gives each token a
# number. Four more tokens have a meaning of their own: `<pad>`, the padding of lesson 2; `<unk>`, for a token that is
# not in the list; `<s>`, the start, and `</s>`, the end of a sentence, with which every source ends, too. This is how
# two pairs of different lengths become a batch. As everywhere, time comes first: a source of $S$ tokens for $N$
# sentences is an array $(S, N)$, a target of $T$ tokens is $(T, N)$.

# %%
batch = make_batch([(("3", "1", "4"), ("4", "1", "3")), (("7", "2"), ("2", "7"))], *both, [0, 1])
print("vocabulary", digit_vocabulary.tokens)
for name in ("source", "source_mask", "target_in", "target_out"):
    array = getattr(batch, name)
    print(f"{name} {array.shape}, one column a sentence\n{array.astype(int)}")

# %% [markdown]
# The *encoder* is a recurrent network that reads the source. (Here it is a GRU; a table of learnt vectors, the
# *embedding*, turns each number into a vector first.) Its state after token $s$ is $m_s$. We call these the
# *memories*: one for each token that was read.
#
# The *decoder* is a second recurrent network. It starts from the encoder's last state. It is fed `<s>`, and says how
# likely each token is to come first; it is fed the first token, and says how likely each is to come second; and so
# on, until it says `</s>`. In training it is fed the right tokens, `target_in`, and should say `target_out`, which is
# the same one step later. (The field calls that *teacher forcing*.) The loss is the cross-entropy of lesson 1, over
# all real tokens. In use there are no right tokens; it is fed what it has just said itself.
#
# ## 3.2 The bottleneck
#
# In the first model, the decoder sees nothing of the source but the encoder's last state: 64 numbers, for 2 digits as
# for 12. There are $10^{12}$ rows of 12 digits. To tell them apart, the one vector must hold all of it. Figure 1
# shows what happens, and here are its numbers:

# %%
print("length     " + "".join(f"{length:6}" for length in lengths))
for name in models:
    print(f"{name:11}" + "".join(f"{100 * right[name][test_lengths == length].mean():6.0f}" for length in lengths))
print(f"guessing a row of 3 digits: {100 * 0.1**3:.1f} %")

# %% [markdown]
# More numbers in the vector put the fall off. They cannot prevent it: the vector has a size, and sentences have none.
#
# ## 3.3 A weighted mean
#
# The memories $m_1, m_2, \dots, m_S$ are still there. Why not hand over all of them? Because the decoder needs an
# array of fixed size in each step. So take a *mean* of them, but one in which the decoder chooses what counts: a mean
# with weights. At step $t$ of the target
#
# $$w_t = \mathrm{softmax}(score_t), \qquad c_t = \sum_s w_{ts}\, m_s. \tag{attend 6}$$
#
# Here $score_{ts}$ says how well memory $s$ suits the decoder at step $t$; section 3.4 tells where it comes from. The
# softmax makes weights of the scores: all positive, and their sum is 1. The mean $c_t$ is called the *context*. It
# has the size of one memory, however long the sentence is. In numbers, for one step and three memories of two numbers
# each:

# %%
memory = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
for scores in ([0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [9.0, 0.0, 0.0]):
    (context, weights), _ = F.attend(np.array([[scores]]), memory[:, None])
    print(f"scores {np.array(scores)}  weights {weights[0, 0]}  context {context[0, 0]}")
print(
    "shapes in the library: scores", (1, 1, 3), "memory", (3, 1, 2), "weights", weights.shape, "context", context.shape
)

# %% [markdown]
# Equal scores give the plain mean. One large score picks one memory, and everything between is possible. This is the
# whole idea. To look something up in a list, a program uses an index, and an index has no slope. A weighted mean has:
# nudge a score, and the context moves a little. **Attention is a look-up that can be differentiated.**
#
# The decoder puts context and own state side by side, $[c_t; h_t]$, maps them to a vector with one more `linear` and
# `tanh`, and answers from that. (This is Luong's form; Bahdanau's, a year older, feeds the context to the next step
# of the recurrent network.)
#
# ## 3.4 Three ways to score
#
# What suits what? Call the decoder's state at step $t$ the *query* $q_t$. The simplest score is large where query and
# memory point the same way:
#
# $$score_{ts} = q_t \cdot m_s. \tag{dot_scores 1}$$
#
# It has no weights of its own. But why should the states of two networks live in the same directions? A matrix $W$
# can translate between them, and the sizes may then differ as well:
#
# $$score_{ts} = q_t \cdot W m_s. \tag{general_scores 3}$$
#
# The third score, the first in history, is a small network of two layers. Query and memory are mapped to the
# same size $A$, added, squashed, and weighed with a learnt vector $v$:
#
# $$score_{ts} = v \cdot a_{ts}, \qquad a_{ts} = \tanh(q_t + k_s), \tag{additive_scores 4}$$
#
# where $q_t$ and $k_s$ stand for the mapped query and the mapped memory, which is called a *key*. **Predict:** which
# of the three will do best at digits backwards? Which worst?

# %%
table = {"one vector": models["one vector"], "general": models["attention"]}
for score in ("dot", "additive"):
    table[score] = train(new_model(both, context="attention", score=score), digits_train, both, 600)
for name, model in table.items():
    share = exact(model, digits_test, both)
    longest = share[test_lengths == LONGEST].mean()
    print(f"{name:11} {100 * share.mean():5.1f} % right, of rows of 12 digits {100 * longest:5.1f} %")

# %% [markdown]
# All three leave the one vector far behind. Between them the differences are smaller, and another seed may change the
# order. What matters is that there is a way back to each memory.
#
# ## 3.5 The gradient through attention
#
# Suppose that the decoder has sent us $dc_t$: how the context of step $t$ moves the loss. The context is a sum of
# products $w_{ts} m_s$. So, as for every product,
#
# $$dw_{ts} = dc_t \cdot m_s, \qquad dm_s = \sum_t w_{ts}\, dc_t. \tag{attend 6'}$$
#
# The weights are a softmax of the scores, and lesson 1 has its backward (softmax 3'):
#
# $$dscore_{ts} = w_{ts} \Big( dw_{ts} - \sum_r w_{tr}\, dw_{tr} \Big).$$
#
# Here $r$ runs over the memories, as $s$ does. Read it as a sentence. $dw_{ts}$ says how much it would *cost* to look
# more at memory $s$. The sum is the cost of what the decoder looks at now, on average. A memory that costs less than
# average has a negative gradient: its score will be raised. One that costs more will be looked at less. In numbers:

# %%
scores, memory = np.array([[[0.5, 0.0, -0.5]]]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])[:, None]
(context, weights), backward = F.attend(scores, memory)
dcontext = np.array([[[1.0, -2.0]]])
dscores, dmemory, _ = backward(dcontext)
dweights = dcontext[0] @ memory[:, 0].T
print("weights w  ", weights[0, 0])
print("dw         ", dweights[0], " average", (weights[0, 0] * dweights[0]).sum().round(3))
print("dscore     ", dscores[0, 0], " they sum to", abs(dscores.sum().round(9)))
print("dmemory\n", dmemory[:, 0])

# %% [markdown]
# Memory 1 is the cheapest, and its score is to rise. Now look at `dmemory`: memory 0 has the largest weight and so
# the largest gradient. **A memory learns in proportion to how much it is looked at.** And the way from a late step of
# the target to an early token of the source is now one step long, not forty: no matrix, no slope, one weight. That is
# the second gift of attention, after the one of Figure 1.
#
# Last, the scores pass their gradient on. For the dot product
#
# $$dq_t = \sum_s dscore_{ts}\, m_s, \qquad dm_s = \sum_t dscore_{ts}\, q_t. \tag{dot_scores 1'}$$
#
# The memory is used twice, in the scores and in the mean. So it has two gradients, (6') and (1'), and they are added.
# Here is the library's function. It works on a batch of $N$ sentences and on all $T$ steps of the target at once:
# time first, so queries are $(T, N, H)$ and memories $(S, N, H)$; scores and weights are $(N, T, S)$, a picture for
# each sentence.

# %%
print(inspect.getsource(F.attend))

# %% [markdown]
# ### Exercise 1: the backward of dot attention
#
# One sentence only, so that all arrays are matrices: scores, weights and context in one function.


# %% exercise="dot_attention"
def dot_attention(query, memory):
    """Attend by the dot product: query (T, H), memory (S, H) -> context (T, H).

    backward(dcontext (T, H)) returns dquery (T, H), dmemory (S, H).
    """
    scores = query @ memory.T  # (T, S)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    context = weights @ memory  # (T, H)

    def backward(dcontext):
        ### BEGIN SOLUTION
        dweights = dcontext @ memory.T
        dscores = weights * (dweights - (weights * dweights).sum(axis=1, keepdims=True))
        return dscores @ memory, dscores.T @ query + weights.T @ dcontext
        ### END SOLUTION

    return context, backward


# %% check="dot_attention"
exercise.check(dot_attention)

# %% [markdown]
# ### Exercise 2: the backward of additive scores
#
# By (additive_scores 4) the score is a small network, and its backward is (linear 1') and (tanh 2) of lesson 1:
#
# $$dz_{ts} = dscore_{ts}\; v * (1 - a_{ts}^2)$$
#
# $$dq_t = \sum_s dz_{ts}, \qquad dk_s = \sum_t dz_{ts}. \tag{additive_scores 4'}$$
#
# A query takes part in the scores of all memories, and a key in those of all steps: hence the sums. The gradient of
# $v$ you will find yourself.


# %% exercise="additive_scores"
def additive_scores(query, keys, vector):
    """Score by a small network: query (T, A), keys (S, A), vector (A,) -> scores (T, S).

    backward(dscores (T, S)) returns dquery (T, A), dkeys (S, A), dvector (A,).
    """
    a = np.tanh(query[:, None] + keys[None])  # (T, S, A)
    scores = a @ vector  # (T, S)

    def backward(dscores):
        ### BEGIN SOLUTION
        dz = dscores[..., None] * vector * (1 - a**2)  # (T, S, A)
        dvector = (dscores[..., None] * a).sum(axis=(0, 1))
        return dz.sum(axis=1), dz.sum(axis=0), dvector
        ### END SOLUTION

    return scores, backward


# %% check="additive_scores"
exercise.check(additive_scores)

# %% [markdown]
# ## 3.6 Where it looks
#
# The weights can be drawn. Our example: dates as people write them in English, French and German, letter by letter,
# to be written as 2014-03-05. The names of the months must be read, and the order changes, so a model has to know
# where to look.
#
# The encoder gets a second network, which reads from the end to the start. A memory is then two states side by side:
# what came before its letter, and what comes after. (The field says *bidirectional*.)


# %%
def written_dates(count, rng):
    """Dates in three languages, letter by letter, each with its ISO form; a date comes only once."""
    days = rng.choice(dates.DAYS, count, replace=False)
    found = []
    for day in days.tolist():
        when = dates.FIRST + datetime.timedelta(days=day)
        locale = ("en", "fr", "de")[rng.integers(3)]
        found.append((tuple(dates.write(when, locale, "long")), tuple(when.isoformat())))
    return found


pairs = written_dates(9000, np.random.default_rng(0))
dates_train, dates_test = pairs[500:], pairs[:500]
letters = Vocabulary.build([source for source, _ in dates_train])
iso = Vocabulary.build([target for _, target in dates_train])
reader = train(
    new_model((letters, iso), bidirectional=True, context="attention", score="general"),
    dates_train,
    (letters, iso),
    500,
)
print(f"{100 * exact(reader, dates_test, (letters, iso)).mean():.1f} % of 500 new dates are right to the last digit")
for source, target in dates_test[:3]:
    print("".join(source), "->", "".join(target))

# %% tags=["hide-input"]
example = next(pair for pair in dates_test if "janvier" in "".join(pair[0]))
(((hypothesis,),), _) = answers(reader, [example], (letters, iso))
written = iso.decode(hypothesis.tokens)
figure = attention_map(hypothesis.attention, [*example[0], "↵"], [*written, "↵"])
figure.axes[-1].remove()  # the scale of colours: white is 0, dark blue is 1
figure.set_size_inches(4.4, 3.3)
show(
    figure,
    f"Figure 2. Where the decoder looks while it writes {''.join(written)}: a row for each character that it writes, "
    "a column for each that was read; dark is a weight of 1; ↵ is the end, </s>.",
)

# %% [markdown]
# Read Figure 2 row by row. A row holds the weights $w_{ts}$ of one step and sums to 1. For the year the decoder looks
# at the digits of the year, for the month at or just behind its name, for the day at the day. Nobody told it where to
# look; the gradient of 3.5 did. Some rows are less plain, those of the hyphens for instance. A hyphen is always the
# same, so wherever the decoder looks, it cannot go wrong.
#
# ## 3.7 The mask
#
# Sentences of a batch differ in length, so memories of short ones are followed by padding, as in lesson 2. The
# softmax must leave it out: its weights are to be exactly 0, and the others are to sum to 1.
#
# $$w_{ts} = \frac{[s \text{ is real}]\; e^{score_{ts}}}{\sum_{r \text{ real}} e^{score_{tr}}} \tag{softmax 3}$$
#
# The bracket is 1 for a real token and 0 for padding. The backward pass is the one that you know, with these weights:
# where $w$ is 0, nothing passes.
#
# ### Exercise 3: the masked softmax
#
# One step of the decoder, for $N$ sentences of different lengths. Forward and backward are yours. Padding may hold
# any score, also the largest of all.


# %% exercise="masked_softmax"
def masked_softmax(scores, mask):
    """Softmax of each row over its real tokens: scores (N, S), mask (N, S) -> weights (N, S), 0 at padding.

    The mask is True at real tokens; each row has one. backward(dweights (N, S)) returns dscores (N, S), None.
    """
    ### BEGIN SOLUTION
    kept = np.where(mask, scores, -np.inf)
    weights = np.exp(kept - kept.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)

    def backward(dweights):
        return weights * (dweights - (weights * dweights).sum(axis=1, keepdims=True)), None

    return weights, backward
    ### END SOLUTION


# %% check="masked_softmax"
exercise.check(masked_softmax)

# %% [markdown]
# ## 3.8 What goes wrong
#
# ### Attention without its mask
#
# A common mistake, and one that no gradient check can find: the forward pass is wrong, and the backward pass is its
# true derivative. **Predict:** take the trained models for digits and drop the mask from their attention, nothing
# else. Test them on all 1000 rows in one batch, padded to 12 digits. Who suffers: dot, general, or additive? Short
# rows, or long ones?


# %%
class WithoutMask(Seq2Seq):
    """A model whose attention sees the padding."""

    def encode(self, ids, mask):
        (source, carry), backward = super().encode(ids, mask)
        return (source._replace(mask=None), carry), backward


def without_mask(score):
    """A model of this score with the weights of the trained one."""
    model = new_model(both, kind=WithoutMask, context="attention", score=score)
    model.load_state_dict(table[score].state_dict())
    return model


short = [pair for pair in digits_test if len(pair[0]) <= 4]
shares = {}
for score in ("dot", "general", "additive"):
    for name, model in (("with mask", table[score]), ("mask dropped", without_mask(score))):
        shares[score, name] = exact(model, digits_test, both)
        alone = np.mean([exact(model, [pair], both)[0] for pair in short])
        together = shares[score, name][test_lengths <= 4].mean()
        print(f"{score:9} {name:13} 2 to 4 digits: alone {100 * alone:5.1f} %, in the batch {100 * together:5.1f} %")

# %% tags=["hide-input"]
figure = Figure(figsize=(4.4, 3.4), dpi=110, layout="constrained")
ax = figure.subplots()
for name, color in (("with mask", BLUE), ("mask dropped", ORANGE)):
    share = [100 * shares["additive", name][test_lengths == length].mean() for length in lengths]
    ax.plot(lengths, share, "o-", color=color, label=name)
ax.set(xlabel="length of the row (digits), all padded to 12", ylabel="rows that are all right (%)", ylim=(-4, 104))
ax.grid(color="0.9")
ax.legend(frameon=False, fontsize=11, loc="lower right")
ax.spines[["top", "right"]].set_visible(False)
show(
    figure,
    "Figure 3. Additive attention with its mask and without, on rows in one batch: the shortest have most padding.",
)

# %% [markdown]
# With dot and general nothing happens, and so the mistake stays unseen. In this library the memories at padding are
# zeros, a zero scores 0, and the places that matter score more. Additive attention is another matter. A key of zeros
# scores $v \cdot \tanh(q_t)$, which may be anything. Figure 3 shows who suffers: the short rows, which have the most
# padding. Read alone, the same rows are right. **The answer depends on what else is in the batch**, and no test with
# sentences of equal length will ever show it.
#
# Does it help to train without the mask as well, so that the model can get used to it?

# %%
used_to_it = train(new_model(both, kind=WithoutMask, context="attention", score="additive"), digits_train, both, 600)
together = exact(used_to_it, digits_test, both)[test_lengths <= 4].mean()
alone = np.mean([exact(used_to_it, [pair], both)[0] for pair in short])
print(f"trained without mask: rows of 2 to 4 digits: alone {100 * alone:.1f} %, in the batch {100 * together:.1f} %")

# %% [markdown]
# No: in training it saw batches of similar length, so there was little padding to get used to. A check of the
# gradients is content all the while:

# %%
rng = np.random.default_rng(0)
scores, memory = rng.standard_normal((2, 3, 5)), rng.standard_normal((5, 2, 4))
print(check(F.attend, scores, memory, None))

# %% [markdown]
# `attend` without a mask is a right function, used wrongly. What finds that is a test of *behaviour*. Padding must
# not matter, so put something there that nobody could overlook: `nan`, which spoils every sum that it enters.

# %%
mask = np.arange(5)[:, None] < np.array([5, 3])  # the second sentence has two places of padding
memory[~mask] = np.nan
for name, given in (("with mask   ", mask), ("without mask", None)):
    (context, weights), _ = F.attend(scores, memory, given)
    print(name, "context of the second sentence, step 0:", context[0, 1])

# %% [markdown]
# ### Four wrong backward passes
#
# These the checker does find. Three are wrong answers to exercise 1, from the museum of this lesson, where `softmax`
# is the one you know; the fourth was thought up for this page. **Find the wrong line, and predict for each: which of
# the two gradients is wrong?**


# %%
def queries_in_reverse_order(query, memory):
    (context, _), attend_backward = F.attend((query @ memory.T)[None], memory[:, None])

    def backward(dcontext):
        dscores, dmemory, _ = attend_backward(dcontext[:, None])
        return dscores[0] @ memory, dscores[0].T @ query[::-1] + dmemory[:, 0]

    return context[:, 0], backward


museum = exercise.museum("dot_attention")
names = ("softmax_without_the_sum", "softmax_sums_over_the_steps", "only_through_the_scores")
for name in names:
    print(inspect.getsource(museum[name]).partition("\n")[2])  # without its label, which says what is wrong

# %%
query, memory = rng.standard_normal((3, 4)), rng.standard_normal((5, 4))
wrong = (*(museum[name] for name in names), queries_in_reverse_order)
print("\n\n".join(str(check(attention, query, memory)) for attention in wrong))

# %% [markdown]
# Three have their cause named. The fourth is nobody's usual mistake, and the checker says so: then cut the function
# in two, and check each half. `F.dot_scores` and `F.attend` are two such halves.
#
# ## 3.9 Five questions
#
# **1.** All scores of a step are equal. What are the weights, and what is the context?
#
# <details><summary>Answer</summary>
#
# Each weight is one over the number of real tokens, and the context is the plain mean of the memories. See 3.3.
#
# </details>
#
# **2.** A program adds 5 to all scores of a step. What changes?
#
# <details><summary>Answer</summary>
#
# Nothing. Every $e^{score}$ grows by the same factor $e^5$, and the factor cancels. That is also why the gradients of
# the scores sum to zero in 3.5.
#
# </details>
#
# **3.** In exercise 1 the memory's gradient has two terms. Where does each come from?
#
# <details><summary>Answer</summary>
#
# The memory is used twice: it is scored, and it is averaged. One term for each way to the loss, and ways are added.
#
# </details>
#
# **4.** A gradient check of your attention passes. Why may it still ignore the mask?
#
# <details><summary>Answer</summary>
#
# The check asks whether backward is the derivative of forward. It does not know what forward should compute. A model
# that attends to padding has perfectly consistent gradients; see 3.8.
#
# </details>
#
# **5.** The source has 12 tokens, the target 10, the batch 64 sentences. Which shape have the weights, and along
# which axis do they sum to 1?
#
# <details><summary>Answer</summary>
#
# (64, 11, 13), because `</s>` is read and written as well; along the last axis, the memories.
#
# </details>
#
# ## 3.10 Further reading
#
# - I. Sutskever, O. Vinyals and Q. Le, *Sequence to sequence learning with neural networks*, NIPS (2014). Section 2
#   has the one vector; section 3.3, why it helped to read the source backwards.
# - K. Cho and others, *On the properties of neural machine translation: encoder-decoder approaches*, SSST-8 (2014).
#   Its figures show quality falling with length, like our Figure 1.
# - D. Bahdanau, K. Cho and Y. Bengio, *Neural machine translation by jointly learning to align and translate*, ICLR
#   (2015). Section 3.1 has the decoder, appendix A.1.2 the additive score; its figure 3 is the ancestor of our Figure
#   2.
# - T. Luong, H. Pham and C. Manning, *Effective approaches to attention-based neural machine translation*, EMNLP
#   (2015). Section 3.1 has dot and general; the vector made of context and state is its equation (5).
# - A. Vaswani and others, *Attention is all you need*, NIPS (2017). Section 3.2.1: the dot product once more, and why
#   to scale it.
