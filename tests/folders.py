"""Folders of TFDS that tests write: real ones, small, of images, text and photographs."""

import io
import types

import numpy as np

from train.data import files


def prepare_tfds(arrays, name="fashion_mnist", version="3.0.1", classes=None):
    """A real array_record folder of an image set, written by TFDS without TensorFlow (images come
    as PNG bytes), with the splits that `arrays` have."""
    import PIL.Image
    import tensorflow_datasets as tfds

    class Set(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        __module__ = "tests.folders"  # TFDS looks for a folder of that package
        VERSION = tfds.core.Version(version)
        # else TFDS 4.9.10 imports the undeclared importlib_resources
        url_infos = types.MappingProxyType({})

        def _info(self):
            height, width, *channels = arrays["train_image"].shape[1:]
            image = tfds.features.Image(shape=(height, width, *(channels or [1])))
            label = tfds.features.ClassLabel(num_classes=classes or files.SETS[name].classes)
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(dict(image=image, label=label))
            )

        def _split_generators(self, _):
            names = (key.removesuffix("_image") for key in arrays if key.endswith("_image"))
            return {split: self._generate_examples(split) for split in names}

        def _generate_examples(self, split):
            pairs = zip(arrays[f"{split}_image"], arrays[f"{split}_label"], strict=True)
            for i, (image, label) in enumerate(pairs):
                png = io.BytesIO()
                PIL.Image.fromarray(image).save(png, "PNG")
                png.seek(0)
                yield i, dict(image=png, label=int(label))

    Set.name = name
    Set(data_dir=str(files.tfds_folder()), file_format="array_record").download_and_prepare()
    return files.tfds_folder() / name / version


def prepare_tfds_text(name, examples, version="1.0.0"):
    """A real array_record folder of a set of text, named as in scripts.prepare_data: {split:
    [{feature: value}]}."""
    import tensorflow_datasets as tfds

    first, (name, *config) = next(iter(examples.values()))[0], name.split("/")
    label = dict(label=tfds.features.ClassLabel(names=["neg", "pos"])) if "label" in first else {}
    text = {feature: tfds.features.Text() for feature in first if feature != "label"}
    kinds = (
        tfds.features.Translation(languages=sorted(first))
        if "en" in first
        else tfds.features.FeaturesDict(text | label)
    )

    number = tfds.core.Version(version)
    configs = [tfds.core.BuilderConfig(name=c, version=number, description="small") for c in config]

    class Set(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        __module__ = "tests.folders"  # TFDS looks for a folder of that package
        VERSION, BUILDER_CONFIGS = number, configs
        # else TFDS 4.9.10 imports the undeclared importlib_resources
        url_infos = types.MappingProxyType({})

        def _info(self):
            return self.dataset_info_from_configs(features=kinds)

        def _split_generators(self, _):
            return {split: self._generate_examples(split) for split in examples}

        def _generate_examples(self, split):
            yield from enumerate(examples[split])

    Set.name = name
    Set(data_dir=str(files.tfds_folder()), file_format="array_record").download_and_prepare()
    return files.tfds_folder().joinpath(name, *config, version)


def photograph(number: int) -> np.ndarray:
    """An image of its own size with detail at every scale, as photographs have, and a hue that
    tells number % 4."""
    rng = np.random.default_rng(number)
    height, width = rng.integers([60, 60], [120, 160])
    image = np.zeros([height, width, 3])
    for octave in range(5):
        cells = rng.normal(size=(-(-height >> octave), -(-width >> octave), 3)) * 1.6**octave
        image += cells.repeat(2**octave, axis=0).repeat(2**octave, axis=1)[:height, :width]
    hue = 40 * np.array([[0, 0, 0], [1, -1, 0], [-1, 1, 1], [1, 1, -1]])[number % 4]
    return np.clip(20 * image / image.std() + 128 + hue, 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, **options) -> bytes:
    import PIL.Image

    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def prepare_photographs(splits, name="imagenet2012", version="5.1.0", file_format="array_record"):
    """A real folder as TFDS's own builder of imagenet2012 makes it: {split: [(JPEG, label),
    ...]}."""
    import tensorflow_datasets as tfds

    class Set(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        __module__ = "tests.folders"  # TFDS looks for a folder of that package
        VERSION = tfds.core.Version(version)
        # else TFDS 4.9.10 imports the undeclared importlib_resources
        url_infos = types.MappingProxyType({})

        def _info(self):
            image = tfds.features.Image(encoding_format="jpeg")
            label = tfds.features.ClassLabel(num_classes=1000)
            features = dict(image=image, label=label, file_name=tfds.features.Text())
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, _):
            return {split: self._generate_examples(split) for split in splits}

        def _generate_examples(self, split):
            for i, (image, label) in enumerate(splits[split]):
                name = f"n{i:08}.JPEG"
                yield name, dict(image=io.BytesIO(image), label=label, file_name=name)

    Set.name = name
    Set(data_dir=str(files.tfds_folder()), file_format=file_format).download_and_prepare()
    return files.tfds_folder() / name / version


def photographs(classes, train=60, test=20):
    rng, arrays = np.random.default_rng(classes), {}
    for split, n in dict(train=train, test=test).items():
        arrays[f"{split}_image"] = (rng.integers(0, 256, [n, 32, 32, 3]) * [1.0, 0.5, 0.2]).astype(
            np.uint8
        )
        arrays[f"{split}_label"] = (np.arange(n) * 7 % classes).astype(np.uint8)
    return arrays


CIFAR = {"cifar10": photographs(10), "cifar100": photographs(100)}
