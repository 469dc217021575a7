"""`python -m archive.training`: one command for each part, in this order, or `all` of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from archive.observation import Observer
from archive.pairs.registry import find
from archive.pairs.shipped import SHIPPED
from archive.training import calibration, figures, image, joint, labels, package, regions, segmenter, teachers, text
from archive.training.photographs import photographs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from archive import verdicts
    from archive.training.photographs import Photograph

    Floats = NDArray[np.float32]

WORDS_OF_A_TRY = 200
CALIBRATED_ON = 450
"""Photographs of scenes on which scores are calibrated."""

SHIPS_IN = Path(__file__).resolve().parents[1] / "pairs" / "pocket"


@click.group(
    epilog="""
\b
Example, about two hours on two cores, less with more; whatever was interrupted goes on where it stopped:
  python -m archive.training all --out /tmp/pocket

Teachers and photographs are looked for in $ARCHIVE_SHARED, else in ../shared beside the checkout.
"""
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where work is kept.")
@click.option("--photos", type=click.IntRange(1), help="Use only so many photographs: for a try.")
@click.option("--steps", type=click.IntRange(1), help="Take so many steps of each training, with few words: for a try.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of torch.")
@click.pass_context
def main(context: click.Context, out: Path, photos: int | None, steps: int | None, threads: int) -> None:
    """Make the pocket pair anew, from its teachers and photographs."""
    import torch

    torch.set_num_threads(threads)
    for part in ("", "labels", "crops", "text"):
        (out / part).mkdir(parents=True, exist_ok=True)
    context.obj = Workshop(out, photographs()[:photos], steps)


class Workshop:
    """The folder in which the parts come to be, and what each command leaves for the next."""

    def __init__(self, out: Path, photos: Sequence[Photograph], steps: int | None) -> None:
        self.out = out
        self.photos = photos
        self.steps: dict[str, Any] = {} if steps is None else {"steps": steps}
        self.labels = out / "labels"
        self.crops = out / "crops"
        self.vocabulary = out / "text"

    def label(self) -> None:
        """What the teachers see in each photograph, and what the classifier makes of it."""
        detector_graph, classifier_graph = self.out / "detector.onnx", self.out / "classifier.onnx"
        if not detector_graph.is_file():
            teachers.export_detector(teachers.yolo(teachers.shared() / teachers.DETECTOR), detector_graph)
        if not classifier_graph.is_file():
            teachers.export_classifier(classifier_graph)
        detector, classifier = teachers.Detector(detector_graph), teachers.Classifier(classifier_graph)
        with click.progressbar(self.photos, label="labels") as bar:
            for photo in bar:
                marks, crops = self.labels / f"{photo.key}.npz", self.crops / f"{photo.key}.npz"
                if marks.is_file() and crops.is_file():
                    continue
                pixels = photo.pixels()
                found = labels.label(pixels, detector, classifier, tiled=not photo.names)
                found.save(marks)
                image.describe_crops(pixels, found, classifier).save(crops)

    def train_segmenter(self) -> None:
        """The network that finds things."""
        segmenter.train(self.photos, self.labels, self.out, segmenter.Plan(**self.steps))

    def train_text(self) -> None:
        """The tower that reads."""
        plan = text.Plan(**self.steps, most_names=WORDS_OF_A_TRY) if self.steps else text.Plan()
        _, meaning = text.train(self.embed, self.vocabulary, plan)
        np.save(self.out / "meaning.npy", meaning.matrix)

    def train_image(self) -> None:
        """The tower that sees crops."""
        import torch

        names = image.class_names(self.embed, self.meaning)
        tower = image.train(self.photos, self.labels, self.crops, names, image.Plan(**self.steps))
        torch.save(tower.state_dict(), self.out / "image.pt")

    def fit_regions(self) -> None:
        """The head that reads meanings from a look."""
        from archive.segmenters.one_look import OneLookNetwork

        graph = self.out / "segmenter.onnx"
        teachers.export_detector(self.segmenter(), graph)
        network = OneLookNetwork(graph)
        features, wanted = regions.examples(self.photos, self.labels, self.crops, network.see, self.embed, self.meaning)
        head = regions.fit(features, wanted)
        np.savez(self.out / "regions.npz", matrix=head["matrix"], constant=head["constant"])

    def pack(self, folder: Path) -> None:
        """Everything that ships, into one folder."""
        import torch

        seeing, reading = image.image_tower(), text.text_transformer()
        seeing.load_state_dict(torch.load(self.out / "image.pt", weights_only=True))
        reading.load_state_dict(torch.load(self.vocabulary / "text.checkpoint.pt", weights_only=True)["tower"])
        with np.load(self.out / "regions.npz") as head:
            parts = dict(head)
        package.package(self.segmenter(), seeing.eval(), reading.eval(), parts, self.vocabulary, folder)

    def calibrate(self, folder: Path, name: str) -> verdicts.Calibration:
        """What the scores of a packaged pair mean, written beside what ships."""
        seeing = shipped(folder, name)
        scenes = [photo for photo in self.photos if not photo.names][:CALIBRATED_ON]
        packs = calibration.observed(scenes, seeing)
        found = calibration.measure(scenes, packs, self.labels, seeing)
        (folder / SHIPPED[name].calibration).write_text(json.dumps(found._asdict(), indent=1) + "\n")
        return found

    def segmenter(self) -> Any:  # noqa: ANN401  (ultralytics' networks share no base worth the name)
        """The trained network, its weights the averaged ones."""
        import torch

        network = segmenter.everything_network()
        state = torch.load(self.out / "segmenter.checkpoint.pt", weights_only=True)
        network.load_state_dict(state["averaged"])
        return network.eval()

    @property
    def embed(self) -> Callable[[Sequence[str]], Floats]:
        """The sentence encoder."""
        return teachers.sentences().embed

    @property
    def meaning(self) -> joint.Meaning:
        """The map from its rows into the space."""
        return joint.Meaning(np.load(self.out / "meaning.npy"))


def shipped(folder: Path, name: str = "pocket") -> Observer:
    """A packaged pair at work."""
    from archive.embedders.pooled import PooledEmbedder
    from archive.segmenters.one_look import OneLookNetwork, OneLookSegmenter

    spec = find(name)
    network = OneLookNetwork(folder / package.SEGMENTER, size=spec.segmenter.size, closer=spec.segmenter.closer)
    segmenter = OneLookSegmenter(network, confidence=spec.segmenter.confidence)
    return Observer(segmenter, PooledEmbedder(folder, network.see), spec.cleanup, spec.crop_context)


@main.command("labels")
@click.pass_obj
def labels_command(workshop: Workshop) -> None:
    """Label the photographs with what the teachers see in them."""
    workshop.label()


@main.command("segmenter")
@click.pass_obj
def segmenter_command(workshop: Workshop) -> None:
    """Train the network that finds things."""
    workshop.train_segmenter()


@main.command("text")
@click.pass_obj
def text_command(workshop: Workshop) -> None:
    """Train the text tower."""
    workshop.train_text()


@main.command("image")
@click.pass_obj
def image_command(workshop: Workshop) -> None:
    """Train the image tower."""
    workshop.train_image()


@main.command("regions")
@click.pass_obj
def regions_command(workshop: Workshop) -> None:
    """Fit the head that reads meanings from one look at a photo."""
    workshop.fit_regions()


@main.command("package")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), default=SHIPS_IN, help="Where it ships from.")
@click.pass_obj
def package_command(workshop: Workshop, into: Path) -> None:
    """Put what ships into one folder."""
    workshop.pack(into)


@main.command("calibrate")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), default=SHIPS_IN, help="Where it ships from.")
@click.pass_obj
def calibrate_command(workshop: Workshop, into: Path) -> None:
    """Measure what the scores of the packaged pairs mean."""
    for name in SHIPPED:
        click.echo(f"{name}: {workshop.calibrate(into, name)}")


@main.command("figures")
@click.argument("labelled", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--home", type=click.Path(path_type=Path, file_okay=False, exists=True), required=True)
def figures_command(labelled: Path, home: Path) -> None:
    """Print what the card says besides the scorer's figures, of an archive made of a LABELLED set's photos."""
    from archive.catalog.reader import CatalogReader
    from archive.embedders.text_tower import OnnxTextTower

    with CatalogReader.open(home / "catalog.sqlite") as reader:
        answering = reader.answering()
        if answering is None:
            raise click.UsageError(f"{home} has no photos; run `archive ingest {labelled}/images --home {home}`")
        packs = {pack.photo_id: pack for _, pack in reader.packs(answering[0])}
        named = {reader.photos([number])[number].name: pack for number, pack in packs.items()}
    truth, words = figures.Labelled.read(labelled), OnnxTextTower(SHIPS_IN)
    found = {
        "recall": figures.recall(named, truth),
        "mAP": figures.mean_precision(named, truth, words, left_out=False),
        "mAP of left-out words": figures.mean_precision(named, truth, words, left_out=True),
    }
    click.echo(json.dumps(found, indent=1))


@main.command("all")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), default=SHIPS_IN, help="Where it ships from.")
@click.pass_obj
def all_command(workshop: Workshop, into: Path) -> None:
    """Do everything, in order."""
    for step in (
        workshop.label,
        workshop.train_segmenter,
        workshop.train_text,
        workshop.train_image,
        workshop.fit_regions,
    ):
        step()
    workshop.pack(into)
    for name in SHIPPED:
        workshop.calibrate(into, name)


if __name__ == "__main__":
    main()
