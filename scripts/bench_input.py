"""Streamed photographs against a bare loop that decodes, cuts and rescales the same JPEGs.

Used by scripts.bench.
"""

import io
import os
import statistics
import tempfile
import time

import numpy as np

from train.data import crops

PHOTOGRAPHS = 256
SIZE = (375, 500)  # height and width; about 135 kB each, ImageNet's have 110 kB
BATCH, BATCHES = 128, 4  # a round reads this much
SIDE, AREA, ASPECT = 224, (0.08, 1.0), (3 / 4, 4 / 3)


def photograph(rng: np.random.Generator) -> np.ndarray:
    """Noise with the spectrum of photographs, 1 / frequency, uint8 [*SIZE, 3]."""
    frequency = np.hypot(np.fft.fftfreq(SIZE[0])[:, None], np.fft.rfftfreq(SIZE[1])[None])
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.normal(size=(3, *SIZE))) / frequency
    image = np.fft.irfft2(spectrum, SIZE).transpose(1, 2, 0)
    return np.clip(128 + 50 * image / image.std(), 0, 255).astype(np.uint8)


def jpegs() -> list[bytes]:
    import PIL.Image

    files = []
    for number in range(PHOTOGRAPHS):
        file = io.BytesIO()
        PIL.Image.fromarray(photograph(np.random.default_rng(number))).save(
            file, "JPEG", quality=92
        )
        files.append(file.getvalue())
    return files


def prepare(photographs: list[bytes]) -> None:
    """A folder with the name and the features of TFDS's imagenet2012, in TFDS_DATA_DIR."""
    import types

    import tensorflow_datasets as tfds

    class Imagenet2012(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        __module__ = "scripts.bench_input"
        VERSION = tfds.core.Version("5.1.0")
        # otherwise TFDS 4.9.10 imports the undeclared importlib_resources
        url_infos = types.MappingProxyType({})

        def _info(self):
            image, label = (
                tfds.features.Image(encoding_format="jpeg"),
                tfds.features.ClassLabel(num_classes=1000),
            )
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(dict(image=image, label=label))
            )

        def _split_generators(self, _):
            return dict(
                train=self._generate_examples(PHOTOGRAPHS), validation=self._generate_examples(1)
            )

        def _generate_examples(self, count):
            for number in range(count):
                yield number, dict(image=io.BytesIO(photographs[number]), label=number)

    Imagenet2012.name = "imagenet2012"
    tfds.disable_progress_bar()
    Imagenet2012(
        data_dir=os.environ["TFDS_DATA_DIR"], file_format="array_record"
    ).download_and_prepare()


def bare(photographs: list[bytes]) -> float:
    """Photographs per second of CPU time of a bare loop.

    The photographs are in memory, and the rectangles are drawn beforehand.
    """
    import cv2

    cv2.setNumThreads(0)
    rng, count = np.random.default_rng(0), BATCH * BATCHES
    boxes = [crops.draw_rectangle(rng, *SIZE, AREA, ASPECT) for _ in range(count)]
    started = time.process_time()
    for number, (top, left, height, width) in enumerate(boxes):
        encoded = np.frombuffer(photographs[number % PHOTOGRAPHS], np.uint8)
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        shrinks = min(height, width) > SIDE
        part = image[top : top + height, left : left + width]
        cv2.resize(
            part, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    return count / (time.process_time() - started)


def streamed(workers: int):
    """A streamed.Reader, and a function that takes BATCHES more batches.

    The function returns the photographs per second of CPU time. As many batches are read ahead
    before as after: the reader is left alone until it rests.
    """
    from train.data import DATASETS
    from train.data.streamed import Reader

    source = DATASETS["imagenet2012"](
        crop=SIDE, jitter=(), area=AREA, aspect=ASPECT, decoder="cv2", workers=workers
    ).train
    reader, step = Reader(source, BATCH, (0, BATCH), training=True), [0]

    def go() -> float:
        before = at_rest()
        for _ in range(BATCHES):
            reader.take(step[0], 1, 1)
            step[0] += 1
        return BATCH * BATCHES / (at_rest() - before)

    return reader, go


def cpu_seconds() -> float:
    """CPU seconds of this process and of its worker processes that are alive."""
    import multiprocessing

    total, tick = time.process_time(), os.sysconf("SC_CLK_TCK")
    for child in multiprocessing.active_children():
        with open(f"/proc/{child.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / tick
    return total


def at_rest() -> float:
    """CPU seconds, once they hardly grow any more."""
    now, before = cpu_seconds(), 0.0
    while now - before > 0.02:
        time.sleep(0.3)
        now, before = cpu_seconds(), now
    return now


def compare(rounds: int) -> None:
    """Prints photographs per second of CPU time, and their ratio.

    Of the bare loop, and of the stream by threads and by processes.
    """
    photographs = jpegs()
    size = statistics.mean(map(len, photographs)) / 1000
    print(
        f"{PHOTOGRAPHS} JPEGs of {SIZE[1]} x {SIZE[0]}, {size:.0f} kB each, to {SIDE} x {SIDE}; "
        f"{rounds} alternating rounds"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TFDS_DATA_DIR"] = folder
        prepare(photographs)
        for workers in (0, len(os.sched_getaffinity(0))):
            reader, go = streamed(workers)
            go()  # opens the files, starts the processes
            pairs = [(bare(photographs), go()) for _ in range(rounds)]
            reader.close()
            loop, stream = (statistics.median(x) for x in zip(*pairs, strict=True))
            ratio = statistics.median(s / b for b, s in pairs)
            how = f"{workers} processes" if workers else "threads"
            print(
                f"{how}: bare loop {loop:.0f}, streamed {stream:.0f} photographs per second of "
                f"CPU, ratio {ratio:.2f}"
            )
