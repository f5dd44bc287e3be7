"""DATASETS: name -> a function of the config's data keys that returns a Dataset."""

from train.data.elman1990 import elman_letters, elman_sentences, elman_words, temporal_xor
from train.data.images import cifar10, cifar100, fashion_mnist, tfds_images
from train.data.lstm1997 import (
    lstm_adding,
    lstm_multiplication,
    lstm_temporal_order,
    noise_free_long_lag,
    two_sequence,
)
from train.data.photographs import imagenet2012, tfds_photographs
from train.data.pixels import sequential_fashion_mnist
from train.data.reber import continual_reber, embedded_reber
from train.data.sequences import japanese_vowels
from train.data.synthetic import (
    adding,
    addition,
    copy_memory,
    memorisation,
    multiplication,
    random_permutation,
    temporal_order,
)
from train.data.text import brown, brown_tags, cmudict, kjv, kjv_reina_valera
from train.data.tfds_text import (
    imdb_reviews,
    lm1b,
    tfds_labelled,
    tfds_stream,
    tiny_shakespeare,
    wmt14_translate,
)

DATASETS = dict(
    adding=adding,
    addition=addition,
    brown=brown,
    brown_tags=brown_tags,
    cifar10=cifar10,
    cifar100=cifar100,
    cmudict=cmudict,
    continual_reber=continual_reber,
    copy_memory=copy_memory,
    elman_letters=elman_letters,
    elman_sentences=elman_sentences,
    elman_words=elman_words,
    embedded_reber=embedded_reber,
    fashion_mnist=fashion_mnist,
    imagenet2012=imagenet2012,
    imdb_reviews=imdb_reviews,
    japanese_vowels=japanese_vowels,
    kjv=kjv,
    kjv_reina_valera=kjv_reina_valera,
    lm1b=lm1b,
    lstm_adding=lstm_adding,
    lstm_multiplication=lstm_multiplication,
    lstm_temporal_order=lstm_temporal_order,
    memorisation=memorisation,
    multiplication=multiplication,
    noise_free_long_lag=noise_free_long_lag,
    random_permutation=random_permutation,
    sequential_fashion_mnist=sequential_fashion_mnist,
    temporal_order=temporal_order,
    temporal_xor=temporal_xor,
    tfds_images=tfds_images,
    tfds_photographs=tfds_photographs,
    tfds_stream=tfds_stream,
    tfds_text=tfds_labelled,
    tiny_shakespeare=tiny_shakespeare,
    two_sequence=two_sequence,
    wmt14_translate=wmt14_translate,
)
