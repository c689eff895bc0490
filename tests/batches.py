"""Small ragged batches of random sentences."""

import numpy as np

from minis2s.data.batching import collate


def random_batch(rng, source_lengths, target_lengths, vocabulary):
    """Sentences of these lengths, </s> not counted; ids from 4 to below `vocabulary`."""

    def sentences(lengths):
        return [rng.integers(4, vocabulary, size=n).tolist() for n in lengths]

    return collate(sentences(source_lengths), sentences(target_lengths), np.arange(len(source_lengths)))
