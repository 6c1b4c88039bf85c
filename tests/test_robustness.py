"""medcls robustness: the run's own numbers on unedited images, edits as other libraries make them, paired tests."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from conftest import TINY
from scipy import ndimage

from medcls.composition.compose import checked
from medcls.evaluation.compare import compare
from medcls.evaluation.interval import Interval
from medcls.evaluation.metrics import METRICS
from medcls.predict.nets import find_nets
from medcls.robustness.edits import CLEAN, Grade, edited, key_of
from medcls.robustness.judged import judge
from medcls.robustness.page import answer_of
from medcls.robustness.points import Point, points_of
from medcls.robustness.schema import ConfigWithRobustness
from medcls.runs.predictions import read_predictions
from medcls.sweep_report.over_seeds import Spread

RUN = [*TINY, "data=folder", "audit=none", "logger=none", "threshold.value=0.4", "lr=1e-2", "epochs=3"]
GRADES = ["robustness.noise=[40]", "robustness.blur=[]", "robustness.contrast=[]", "robustness.rotation=[]"]


def picture(channels, side=48):
    """Smooth, so that interpolation of other libraries is the same, with an edge."""
    y, x = np.mgrid[:side, :side]
    planes = [128 + 90 * np.sin(x / (7 + k)) * np.cos(y / 9) + 20 * (x > side // 2) for k in range(channels)]
    return np.stack(planes, axis=2).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_edits_are_those_of_scipy_and_opencv(channels):
    image = picture(channels)
    exact = image.astype(float)
    blurred = ndimage.gaussian_filter(exact, (1.92, 1.92, 0), mode="reflect", truncate=4)
    np.testing.assert_allclose(edited(image, Grade("blur", 0.04), (0,)), blurred, atol=0.51)
    turned = ndimage.rotate(exact, 20, axes=(0, 1), reshape=False, order=1, mode="nearest")
    assert np.abs(edited(image, Grade("rotation", 20.0), (0,)) - turned).max() <= 3  # OpenCV's 1/32 of a pixel
    weaker = edited(image, Grade("contrast", 0.4), (0,)).astype(float)
    np.testing.assert_allclose([weaker.mean(), weaker.std()], [exact.mean(), 0.4 * exact.std()], atol=0.3)
    content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 25])[1]
    compressed = cv2.imdecode(content, cv2.IMREAD_UNCHANGED).reshape(image.shape)[..., ::-1]
    np.testing.assert_array_equal(edited(image, Grade("jpeg", 25.0), (0,)), compressed)
    np.testing.assert_array_equal(edited(image, CLEAN, (0,)), image)


def test_noise_has_its_standard_deviation_and_follows_from_seed_and_name_alone():
    image, grade = np.full((200, 200, 1), 128, np.uint8), Grade("noise", 10.0)
    noise = edited(image, grade, key_of(0, "a.png")).astype(float) - 128
    assert noise.std() == pytest.approx(10, rel=0.02)
    assert abs(noise.mean()) < 0.2
    np.testing.assert_array_equal(noise, edited(image, grade, key_of(0, "a.png")).astype(float) - 128)
    stronger = edited(image, Grade("noise", 20.0), key_of(0, "a.png")).astype(float) - 128
    assert np.corrcoef(noise.ravel(), stronger.ravel())[0, 1] > 0.99  # a curve is of one draw
    for other in (key_of(1, "a.png"), key_of(0, "b.png")):
        assert abs(np.corrcoef(noise.ravel(), edited(image, grade, other).ravel())[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ({"noise": {8}}, "fall at noise 8."),
        ({"noise": {8, 16, 32}}, "fall from noise 8 on."),
        ({"noise": {8, 32}, "contrast": {0.8}}, "fall at noise 8 and 32, at contrast 0.8."),
        ({"contrast": {0.5, 0.8, 2.0}, "jpeg": {25, 10}}, "fall from contrast 0.8 on, at contrast 2, from jpeg 25 on."),
        ({"rotation": {-20, 20, 10, -10}}, "fall from rotation -10 on, from rotation 10 on."),
    ],
)
def test_metric_is_said_to_fall_from_a_grade_on_only_where_it_is_shown_to_at_all_stronger_ones(shown, told):
    grades = {
        "noise": (8, 16, 32),
        "contrast": (0.5, 0.8, 1.2, 2),
        "jpeg": (50, 25, 10),
        "rotation": (-20, -10, 10, 20),
    }
    spread, points = Spread(0.8, float("nan"), 1), []
    for grade in (CLEAN, *(Grade(edit, float(value)) for edit, values in grades.items() for value in values)):
        change = SimpleNamespace(shown=grade.value in shown.get(grade.edit, ()), difference=-0.03)
        of_clean = None if grade == CLEAN else change
        points.append(Point(grade, METRICS["auroc"], Interval(0.8, 0.7, 0.9), spread, of_clean, spread))
    assert answer_of(points, SimpleNamespace(n=200, called="test images")).endswith(f"; AUROC is shown to {told}")


def judged_by(folder, *words):
    """What ``judge`` gives for a run with these keys, its nets and its grades."""
    overrides = [f"run=[{folder}]", "trainer.accelerator=cpu", *words]
    config = checked(ConfigWithRobustness, "test", overrides, "robustness")
    ensemble, keys = find_nets(config.run, None, set()), {word.partition("=")[0] for word in words}
    return ensemble, judge(config, ensemble, [Grade("noise", 40.0), Grade("jpeg", 10.0)], keys, set())


def test_unedited_images_give_the_predictions_of_the_run_wherever_they_lie_and_however_many_at_a_time(
    train, make_folder, command
):
    images = make_folder(counts={"train": 12, "val": 6, "test": 14})
    result = train(*RUN, f"data.root={images}")
    assert result.status == 0, result.err
    moved = images.rename(images.with_name("moved"))
    done = command("medcls", "robustness", f"run={result.folder}", f"data.root={moved}", "output=edited", *GRADES)
    assert done.status == 0, done.err
    found = json.loads((done.folder / "edited/robustness.json").read_text())
    metrics = json.loads((result.folder / "metrics.json").read_text())
    clean = {point["metric"]: point for point in found["points"] if point["edit"] == "clean"}
    assert (found["images"], found["n"]) == ("test images", 28)
    assert clean["auroc"]["value"] == pytest.approx(metrics["test"]["auroc"]["value"], abs=1e-6)
    assert clean["auroc"]["low"] == pytest.approx(metrics["test"]["auroc"]["low"], abs=1e-6)
    fixed = json.loads((result.folder / "decision.json").read_text())["at_threshold"]["test"]
    for name in ("sensitivity", "specificity"):
        assert clean[name]["value"] == pytest.approx(fixed[name]["value"], abs=1e-6)

    ensemble, judged = judged_by(result.folder, f"data.root={moved}")
    (by_grade,) = judged.by_net
    of_run = read_predictions(result.folder / "predictions.csv", metrics)["test"]
    assert by_grade[CLEAN].names == of_run.names
    np.testing.assert_allclose(by_grade[CLEAN].probabilities, of_run.probabilities, atol=1e-6)
    _, other = judged_by(result.folder, f"data.root={moved}", "batch_size=1")
    for grade, predictions in by_grade.items():
        np.testing.assert_allclose(other.by_net[0][grade].probabilities, predictions.probabilities, atol=1e-6)
    assert np.abs(by_grade[Grade("noise", 40.0)].probabilities - of_run.probabilities).max() > 1e-3

    # Paired on the same images, as the house compares two nets.
    expected = compare({0: of_run}, {0: by_grade[Grade("noise", 40.0)]}, [METRICS["auroc"]])[0]
    point = next(one for one in points_of(ensemble, judged, "auroc") if one.grade.edit == "noise")
    np.testing.assert_allclose(
        [point.change.difference, point.change.low, point.change.high],
        [expected.difference, expected.low, expected.high],
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["robustness.nois=[1]"], "Did you mean robustness.noise?"),
        (["robustness.rotation=[0]"], "expected grades that change the images, as 0 does not"),
    ],
)
def test_wrong_key_or_grade_is_refused_before_anything_is_read(command, words, told):
    result = command("medcls", "robustness", "run=nowhere", *words)
    assert (result.status, told in result.err, "Traceback" in result.err) == (2, True, False), result.err
    assert not any(result.folder.iterdir())


@pytest.mark.slow
def test_training_images_elsewhere_are_refused_and_others_are_judged(train, make_folder, command):
    images, others = make_folder(counts={"train": 12, "val": 6}), make_folder(counts={"": 8}, size=50)
    result = train(*RUN, f"data.root={images}")
    refused = command("medcls", "robustness", f"run={result.folder}", f"data.root={images / 'train'}", *GRADES)
    assert (refused.status, "among the images that the nets were trained on" in refused.err) == (2, True), refused.err
    done = command("medcls", "robustness", f"run={result.folder}", f"data.root={others}", "output=others", *GRADES)
    assert done.status == 0, done.err
    found = json.loads((done.folder / "others/robustness.json").read_text())
    assert (found["images"], found["n"]) == ("labelled images of images2", 16)


@pytest.mark.slow
def test_folds_and_seeds_are_judged_on_what_each_fold_held_out(sweep, make_folder, command):
    images = make_folder(counts={"train": 15})
    result = sweep(*RUN, f"data.root={images}", "data.split.folds=3", "seed=0,1")
    assert result.status == 0, result.err
    done = command("medcls", "robustness", f"run={result.folder}", "output=edited", *GRADES)
    assert done.status == 0, done.err
    found = json.loads((done.folder / "edited/robustness.json").read_text())
    assert (found["images"], found["n"], len(found["nets"])) == ("held out by a fold", 30, 6)
    assert "over seeds" in (done.folder / "edited/robustness.html").read_text()
