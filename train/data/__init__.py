"""DATASETS: name -> a function of the config's data keys that returns a Dataset."""

from train.data.images import cifar10, cifar100, fashion_mnist
from train.data.sequences import japanese_vowels
from train.data.synthetic import adding

DATASETS = dict(adding=adding, cifar10=cifar10, cifar100=cifar100, fashion_mnist=fashion_mnist, japanese_vowels=japanese_vowels)
