"""Real sequences of unequal length, padded at the end and masked, on the device."""

import numpy as np

from train.data import files
from train.data.source import Dataset, Source, hold_out


def japanese_vowels(*, validation: int = 0) -> Dataset:
    """JapaneseVowels, Kudo et al. 1999: 270/370 utterances of 9 speakers.

    An utterance is 7 to 29 frames of 12 cepstral coefficients. The coefficients are standardised by
    the means and deviations of the training frames.
    validation: training utterances held out as a split of that name. Raises ValueError, one line.
    """
    arrays, origin = files.load("japanese_vowels", "embedded")
    sequence, length = arrays["train_sequence"], arrays["train_length"]
    train, held_out = hold_out(len(sequence), validation)
    frames = sequence[train][np.arange(sequence.shape[1]) < length[train, None]]  # [frames, 12]
    mean, deviation = frames.mean(0), frames.std(0)

    def make(arrays, index, keys):
        length = arrays["length"][index]
        mask = np.arange(sequence.shape[1]) < length[:, None]  # [B, T]
        return dict(input=arrays["sequence"][index], mask=mask, target=arrays["label"][index])

    def split(name, rows):
        sequence, length = arrays[f"{name}_sequence"][rows], arrays[f"{name}_length"][rows]
        scaled = ((sequence - mean) / deviation).astype(np.float32)
        label = arrays[f"{name}_label"][rows].astype(np.int32)
        return Source(len(scaled), dict(sequence=scaled, length=length, label=label), make)

    evals = {"validation": split("train", held_out)} if validation else {}
    return Dataset(
        inputs="sequence",
        targets="class",
        outputs=9,
        train=split("train", train),
        evals=evals | {"test": split("test", slice(None))},
        about=f"japanese_vowels, {origin.source} ({origin.note})",
        metadata=origin.metadata,
    )
