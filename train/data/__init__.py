"""DATASETS: name -> a function of the config's data keys that returns a Dataset."""

from train.data.images import fashion_mnist
from train.data.sequences import japanese_vowels
from train.data.synthetic import adding

DATASETS = dict(adding=adding, fashion_mnist=fashion_mnist, japanese_vowels=japanese_vowels)
