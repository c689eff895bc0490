"""From files and generators to batches of token ids.

The way of a sentence: :func:`read_tsv` makes pairs, :func:`split_pairs` parts them so that no test source was trained
on, a tokenizer and a :class:`Vocabulary` make ids, :func:`bucket_batches` chooses sentences of similar length, and
:func:`collate` pads them. The built-in data sets are the modules `phrases`, `dates`, `addition` and `reverse`, each
with a `generate`.
"""

from minis2s.data.batching import Batch, bucket_batches, collate, padding_waste
from minis2s.data.pairs import Pair, read_parallel, read_tsv
from minis2s.data.splitting import Split, leaks, source_key, split_pairs
from minis2s.data.tokenizers import BytePairTokenizer, CharacterTokenizer, WordTokenizer, tokenizer_from_dict
from minis2s.data.vocabulary import Vocabulary

__all__ = [
    "Batch",
    "BytePairTokenizer",
    "CharacterTokenizer",
    "Pair",
    "Split",
    "Vocabulary",
    "WordTokenizer",
    "bucket_batches",
    "collate",
    "leaks",
    "padding_waste",
    "read_parallel",
    "read_tsv",
    "source_key",
    "split_pairs",
    "tokenizer_from_dict",
]
