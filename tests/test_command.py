"""``python -m companion``: what it says, what it leaves on disk, and its exit codes."""

import contextlib
import errno
import io
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
from mnist_files import write_part

import companion
import companion.__main__
from companion import (
    Dataset,
    evaluate,
    load_digits,
    load_mnist,
    softmax,
)
from companion.__main__ import main
from companion.digits import digits_network, read_picture


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A folder with 200 digits to train on and 50 to test with."""
    return write_part(tmp_path_factory.mktemp("mnist"), load_digits(), train=200, test=50)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder as the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def trained(few, here, capsys):
    """A model of two epochs, saved under the default name."""
    assert main(["train", "--mnist", str(few), "--epochs", "2"]) == 0
    return capsys.readouterr().out


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def parameters(path):
    with np.load(path, allow_pickle=False) as saved:
        return {name: saved[name] for name in saved.files}


def assert_same(one, other):
    one, other = parameters(one), parameters(other)
    assert one.keys() == other.keys()
    for name, p in one.items():
        np.testing.assert_array_equal(p, other[name])


def failure(capsys, *arguments):
    """The one line that a refused command says, on the stream for errors."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("python -m companion: error: ")
    return line


# --- train ----------------------------------------------------------------------------------------


def test_train_says_each_epoch_and_saves_what_it_says(few, here, trained):
    lines = trained.splitlines()
    for epoch, line in enumerate(lines[:2], start=1):
        assert re.fullmatch(
            rf"epoch {epoch} of 2: loss \d\.\d{{3}}, read correctly [\d.]+%, "
            r"of those set aside [\d.]+%, \d+ s",
            line,
        )
    data = load_mnist(few)
    result = evaluate(digits_network().load("model.npz"), data.x_test, data.y_test)
    right = round(result.accuracy * 50)
    assert lines[2] == (
        f"test images: loss {result.loss:.3f}, {right} of 50 read correctly ({right / 50:.2%})"
    )
    assert lines[3:] == ["saved: model.npz"]
    assert names(here) == ["model.npz"]


def test_the_seed_decides_all(few, here):
    for out, seed in [("a.npz", "3"), ("b.npz", "3"), ("c.npz", "4")]:
        options = ["--epochs", "1", "--seed", seed, "--out", out]
        assert main(["train", "--mnist", str(few), *options]) == 0
    assert_same("a.npz", "b.npz")
    with pytest.raises(AssertionError):
        assert_same("a.npz", "c.npz")


def test_no_epoch_saves_the_untrained_network(few, here):
    assert main(["train", "--mnist", str(few), "--epochs", "0"]) == 0
    untrained = digits_network(np.random.default_rng(0))
    untrained.save("untrained.npz")
    assert_same("model.npz", "untrained.npz")


def test_a_model_is_not_written_over_unasked(few, here, trained, capsys):
    before = (here / "model.npz").read_bytes()
    line = failure(capsys, "train", "--mnist", few)
    assert "there is a file model.npz: name another with --out, or add --force" in line
    assert (here / "model.npz").read_bytes() == before
    assert main(["train", "--mnist", str(few), "--epochs", "0", "--force"]) == 0
    assert (here / "model.npz").read_bytes() != before


def test_train_refuses_before_it_trains(few, here, capsys):
    assert "there is no folder no" in failure(capsys, "train", "--out", "no/model.npz")
    assert "--resume needs --checkpoint" in failure(capsys, "train", "--resume")
    assert "epochs must be at least 0, got -1" in failure(capsys, "train", "--epochs", "-1")
    assert "train-images-idx3-ubyte is missing from" in failure(capsys, "train", "--mnist", here)
    assert "--seed must be at least 0, got -1" in failure(capsys, "train", "--seed", "-1")
    assert "--download needs --mnist" in failure(capsys, "train", "--download")
    assert "cannot save ..: it is a folder" in failure(capsys, "train", "--out", "..", "--force")
    line = failure(capsys, "train", "--checkpoint", "..", "--resume")
    assert "cannot save ..: it is a folder" in line
    line = failure(capsys, "train", "--checkpoint", "./a.npz", "--out", "a.npz")
    assert "--checkpoint and --out must be two files" in line
    (here / "run.npz").write_bytes(b"mine")
    line = failure(capsys, "train", "--out", "run.npz", "--checkpoint", "typo.npz", "--resume")
    assert "there is a file run.npz" in line
    line = failure(capsys, "train", "--mnist", few, "--checkpoint", "run.npz")
    assert "go on from it with resume=True" in line
    assert names(here) == ["run.npz"]
    assert (here / "run.npz").read_bytes() == b"mine"


def test_ctrl_c_keeps_the_network_and_a_resumed_run_ends_as_one_that_was_not(few, here, capsys):
    """With the real signal, in a process of its own."""
    train = ["train", "--mnist", str(few), "--epochs", "15"]
    options = ["--checkpoint", "run.npz", "--out", "resumed.npz"]
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-u", "-m", "companion", *train, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background of a shell, Ctrl-C is ignored, and inherited so.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        next(line for line in process.stdout if line.startswith("epoch 2 "))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err == "interrupted: the best network so far is in resumed.npz\n"
    digits_network().load("resumed.npz")
    assert names(here) == ["resumed.npz", "run.npz"]

    assert main([*train, *options, "--resume"]) == 0
    first = int(re.match(r"epoch (\d+) of 15", capsys.readouterr().out)[1])
    assert 3 <= first <= 15  # it went on, and did not start anew
    assert main([*train, "--out", "whole.npz"]) == 0
    assert_same("resumed.npz", "whole.npz")


# --- evaluate -------------------------------------------------------------------------------------


def test_evaluate_counts_what_is_taken_for_what(few, trained, capsys):
    assert main(["evaluate", "--mnist", str(few)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == trained.splitlines()[2]
    data = load_mnist(few)
    said = digits_network().load("model.npz").predict(data.x_test)
    table = [[0 if n == "." else int(n) for n in line.split()[1:]] for line in lines[-10:]]
    for label in range(10):
        for other in range(10):
            count = int(((data.y_test == label) & (said == other)).sum())
            assert table[label][other] == count


def test_evaluate_on_the_digits_of_the_package(few, trained, capsys):
    assert main(["evaluate"]) == 0
    assert " of 1,000 read correctly" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_mnist_is_fetched_where_that_is_asked_for(trained, monkeypatch, capsys, command):
    def asked(folder, *, download, progress):
        raise ValueError(f"{folder} {download}")

    monkeypatch.setattr("companion.__main__.load_mnist", asked)
    out = ["--out", "other.npz"] if command == "train" else []
    assert failure(capsys, command, "--mnist", "here", *out).endswith("here False")
    assert failure(capsys, command, "--mnist", "here", "--download", *out).endswith("here True")


def test_ctrl_c_is_no_traceback(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("companion.__main__.load_digits", lambda: interrupted(None))
    assert main(["train", "--out", "never.npz"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_ctrl_c_before_a_resumed_run_begins_keeps_the_model(few, here, trained, monkeypatch):
    options = ["--mnist", str(few), "--checkpoint", "run.npz", "--resume"]
    assert main(["train", *options, "--epochs", "1", "--force"]) == 0
    before = (here / "model.npz").read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("companion.train.load_checkpoint", interrupted)
    assert main(["train", *options, "--epochs", "2"]) == 130
    assert (here / "model.npz").read_bytes() == before


def test_evaluate_says_which_file_is_no_model(here, capsys):
    np.savez(here / "ints.npz", **{n: p.astype(int) for n, p in digits_network().params.items()})
    line = failure(capsys, "evaluate", "--model", "ints.npz")
    assert "must be floating point, got int" in line
    assert "model.npz" in failure(capsys, "evaluate")
    (here / "text.npz").write_text("text")
    line = failure(capsys, "evaluate", "--model", "text.npz")
    assert "text.npz is not a file of parameters" in line
    np.savez(here / "other.npz", w=np.ones(3))
    assert "other.npz lacks the parameters" in failure(capsys, "evaluate", "--model", "other.npz")


# --- predict --------------------------------------------------------------------------------------


def picture(path, ink, *, light=False, mode="L"):
    """Save ink from 0 to 1 as a picture: dark on white, or light on black."""
    image = pytest.importorskip("PIL.Image")
    shade = ink if light else 1 - ink
    image.fromarray(np.rint(255 * shade).astype(np.uint8)).convert(mode).save(path)
    return path


@pytest.mark.parametrize("light", [True, False])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1"])
def test_a_picture_of_mnists_size_is_taken_as_it_is(tmp_path, light, mode):
    x = load_digits().x_test[0]
    got = read_picture(picture(tmp_path / "x.png", x[:, :, 0], light=light, mode=mode))
    assert got.shape == (1, 28, 28, 1)
    assert got.dtype == np.float32
    if mode == "1":  # black and white alone
        np.testing.assert_array_equal(np.unique(got), [0, 1])
    else:
        np.testing.assert_allclose(got[0], x, atol=1e-6)


def test_a_damaged_picture_is_an_error_that_names_it(tmp_path):
    path = picture(tmp_path / "x.png", load_digits().x_test[0, :, :, 0])
    png = bytearray(path.read_bytes())
    png[png.index(b"IDAT") - 1] = 0  # the length of the data
    path.write_bytes(png)
    with pytest.raises(OSError, match=r"x\.png: broken PNG file"):
        read_picture(path)


def test_ink_on_a_transparent_ground_is_seen(tmp_path):
    image = pytest.importorskip("PIL.Image")
    x = load_digits().x_test[0, :, :, 0]
    drawn = np.zeros((28, 28, 4), np.uint8)  # black, and of no opacity where there is no ink
    drawn[:, :, 3] = np.rint(255 * x)
    image.fromarray(drawn, "RGBA").save(tmp_path / "x.png")
    np.testing.assert_allclose(read_picture(tmp_path / "x.png")[0, :, :, 0], x, atol=0.01)


@pytest.mark.parametrize("hidden", [0, 255])
def test_white_ink_on_a_transparent_ground_is_seen(tmp_path, hidden):
    image = pytest.importorskip("PIL.Image")
    x = load_digits().x_test[0, :, :, 0]
    drawn = np.full((28, 28, 4), 255, np.uint8)
    drawn[x == 0, :3] = hidden  # colour of what nobody sees
    drawn[:, :, 3] = np.rint(255 * x)
    image.fromarray(drawn, "RGBA").save(tmp_path / "x.png")
    np.testing.assert_allclose(read_picture(tmp_path / "x.png")[0, :, :, 0], x, atol=0.01)


@pytest.mark.parametrize("light", [True, False])
def test_a_large_picture_is_fitted_and_centred_as_mnist_was(tmp_path, light):
    ink = np.zeros((300, 200))
    ink[40:240, 150:180] = 0.8  # an upright stroke, 200 by 30, far from the middle
    got = read_picture(picture(tmp_path / "x.png", ink, light=light))[0, :, :, 0]
    rows, columns = np.flatnonzero(got.any(axis=1)), np.flatnonzero(got.any(axis=0))
    assert (rows[0], rows[-1], len(rows)) == (4, 23, 20)
    assert (columns[0], columns[-1]) in [(12, 14), (13, 15)]  # three columns, about the middle
    assert got.max() == 1.0


def test_the_centre_of_mass_is_in_the_middle(tmp_path):
    ink = np.zeros((100, 100))
    ink[10:90, 10:20] = ink[80:90, 10:90] = 1  # an L: its mass is to the lower left
    got = read_picture(picture(tmp_path / "x.png", ink))[0, :, :, 0]
    rows, columns = np.indices(got.shape)
    assert (rows * got).sum() / got.sum() == pytest.approx(13.5, abs=0.5)
    assert (columns * got).sum() / got.sum() == pytest.approx(13.5, abs=0.5)


def test_a_picture_of_sixteen_bits_is_read_as_one_of_eight(tmp_path):
    image = pytest.importorskip("PIL.Image")
    x = load_digits().x_test[0, :, :, 0]
    shades = np.rint(65535 * (1 - x)).astype(np.uint16)
    image.fromarray(shades).save(tmp_path / "x.png")
    np.testing.assert_allclose(read_picture(tmp_path / "x.png")[0, :, :, 0], x, atol=0.01)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
@pytest.mark.parametrize("white", [1, 255, 65535, 1e6])
def test_a_picture_of_wide_numbers_is_read_by_its_scale(tmp_path, kind, white):
    image = pytest.importorskip("PIL.Image")
    x = load_digits().x_test[0, :, :, 0]
    if white == 1 and kind is np.int32:
        x = (x > 0.5).astype(x.dtype)
    image.fromarray((white * (1 - x)).round(6).astype(kind)).save(tmp_path / "x.tiff")
    np.testing.assert_allclose(read_picture(tmp_path / "x.tiff")[0, :, :, 0], x, atol=0.01)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_picture_of_what_is_no_number_is_refused(tmp_path, odd):
    image = pytest.importorskip("PIL.Image")
    values = np.ones((28, 28), np.float32)
    values[3, 4] = odd
    image.fromarray(values).save(tmp_path / "x.tiff")
    with pytest.raises(ValueError, match=r"x\.tiff has pixels that are no numbers"):
        read_picture(tmp_path / "x.tiff")


def test_a_photograph_is_read_upright(tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = picture(tmp_path / "x.png", load_digits().x_test[0, :, :, 0])
    lying = image.open(path).rotate(90)
    turned = image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter, to the right
    lying.save(tmp_path / "lying.png", exif=turned)
    np.testing.assert_array_equal(read_picture(tmp_path / "lying.png"), read_picture(path))


def test_a_picture_too_large_to_be_one_is_refused(tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    path = picture(tmp_path / "x.png", np.zeros((50, 60)))
    monkeypatch.setattr(image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"x\.png is too large: .*3000 pixels"):
        read_picture(path)


def test_a_stroke_as_thin_as_a_hair_and_ink_in_a_corner(tmp_path):
    ink = np.zeros((300, 200))
    ink[20:280, 100] = 1
    got = read_picture(picture(tmp_path / "hair.png", ink))[0, :, :, 0]
    assert np.flatnonzero(got.any(axis=1)).tolist() == list(range(4, 24))
    assert np.flatnonzero(got.any(axis=0)).size == 1
    ink = np.zeros((100, 100))
    ink[10:20, 10:90] = ink[10:90, 10:20] = 1
    ink[10:30, 10:30] = 1
    ink[89, 89] = 0.3
    got = read_picture(picture(tmp_path / "corner.png", ink))[0, :, :, 0]
    assert got.sum() > 50
    assert (got.argmax(axis=1) >= 0).all()


def test_the_border_says_what_is_paper(tmp_path):
    """Its middle shade: a mark that crosses it at one side does not turn ink and paper round."""
    ink = np.zeros((60, 50))
    ink[20:40, 0:30] = 1  # begins at the border
    got = read_picture(picture(tmp_path / "x.png", ink))[0, :, :, 0]
    assert 150 < (got > 0.5).sum() < 350  # the block, 20 by 13 or so, and not what is around it


@pytest.mark.parametrize("shade", [0.0, 0.4, 1.0])
def test_a_blank_picture_is_an_error(tmp_path, shade):
    path = picture(tmp_path / "x.png", np.full((50, 60), shade))
    with pytest.raises(ValueError, match=r"x\.png is blank"):
        read_picture(path)


def test_predict_reads_what_the_network_reads(trained, here, tmp_path, capsys):
    x = load_digits().x_test
    paths = [picture(tmp_path / f"{n}.png", x[n, :, :, 0]) for n in range(3)]
    assert main(["predict", *map(str, paths)]) == 0
    lines = capsys.readouterr().out.splitlines()
    network = digits_network().load("model.npz")
    for path, n, p, line in zip(
        paths, network.predict(x[:3]), softmax(network.forward(x[:3])), lines, strict=True
    ):
        found = re.fullmatch(
            rf"{re.escape(str(path))}: {n} \(([\d.]+)%\), else (\d) \(([\d.]+)%\)", line
        )
        assert found
        first, second = np.sort(p)[:-3:-1]
        assert float(found[1]) == pytest.approx(100 * first, abs=0.2)
        assert float(found[3]) == pytest.approx(100 * second, abs=0.2)
        assert int(found[2]) == np.argsort(p)[-2]


def test_predict_says_what_is_no_picture(trained, here, capsys):
    pytest.importorskip("PIL")
    (here / "text.png").write_text("text")
    assert "text.png" in failure(capsys, "predict", "text.png")
    assert "nowhere.png" in failure(capsys, "predict", "nowhere.png")


def test_predict_reads_the_pictures_beside_one_that_is_none(trained, here, tmp_path, capsys):
    x = load_digits().x_test
    good = [picture(tmp_path / f"{n}.png", x[n, :, :, 0]) for n in range(2)]
    assert main(["predict", str(good[0]), "nowhere.png", str(good[1])]) == 2
    out, err = capsys.readouterr()
    assert [line.partition(": ")[0] for line in out.splitlines()] == list(map(str, good))
    assert "error: " in err
    assert "nowhere.png" in err


def test_a_network_whose_logits_overflow_is_told(here, capsys):
    network = digits_network(np.random.default_rng(0))
    network.params = {name: 1e30 * p for name, p in network.params.items()}
    network.save("huge.npz")
    line = failure(capsys, "evaluate", "--model", "huge.npz")
    assert "has a logit that is NaN" in line
    assert "numbers too large" in line


def test_a_network_that_is_not_there_is_one_to_train(here, capsys):
    for command in (("evaluate",), ("predict", "x.png")):
        line = failure(capsys, *command, "--model", "none.npz")
        assert (
            "there is no file none.npz: `python -m companion train --out none.npz` writes it"
            in line
        )


def test_predict_without_pillow_says_how_to_get_it(trained, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL", None)
    line = failure(capsys, "predict", "x.png")
    assert 'pip install "convnet-companion[images]"' in line


# --- gradcheck ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checked():
    """What gradcheck prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["gradcheck"]) == 0
    return out.getvalue()


def test_gradcheck_prints_a_row_for_every_gradient(checked):
    layers = "Conv2D ConvTranspose2D ReLU MaxPool2D AvgPool2D Flatten Dense softmax cross_entropy"
    for layer in [*layers.split(), "digits_network"]:
        assert re.search(rf"^{layer}\b.*\n    d.* \d\.\de[-+]\d\d$", checked, re.MULTILINE), layer
    assert len(re.findall(r"\d\.\de[-+]\d\d$", checked, re.MULTILINE)) > 25
    assert checked.endswith("every gradient agrees\n")


def test_gradcheck_tells_a_wrong_gradient(monkeypatch, capsys):
    right = companion.conv.conv2d_backward

    def wrong(dz, x, w, **settings):
        dx, dw, db = right(dz, x, w, **settings)
        return dx, 1.001 * dw, db

    monkeypatch.setattr(companion.conv, "conv2d_backward", wrong)
    assert main(["gradcheck"]) == 1
    out = capsys.readouterr().out
    assert len(re.findall(r"WRONG$", out, re.MULTILINE)) == 3 + 2  # 3 layers, 2 in the network
    assert out.endswith("4 of them wrong\n")


@pytest.mark.parametrize("unbuffered", [["-u"], []])
def test_a_reader_that_has_read_enough_is_no_error(tmp_path, unbuffered):
    """Whether what is printed is kept until the end, as it is unless somebody asks, or not."""
    with subprocess.Popen(  # noqa: S603
        [sys.executable, *unbuffered, "-m", "companion", "gradcheck"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if unbuffered:
            process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_gradcheck_takes_a_seed(checked, monkeypatch, capsys):
    main(["gradcheck", "--seed", "0"])
    assert capsys.readouterr().out == checked
    checks = companion.__main__._checks
    monkeypatch.setattr(companion.__main__, "_checks", lambda rng: itertools.islice(checks(rng), 1))
    main(["gradcheck", "--seed", "5"])
    other, rows = capsys.readouterr().out.splitlines(), checked.splitlines()
    assert other[2] == rows[2]
    assert other[3:6] != rows[3:6]


# --- the command itself ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "usage: python -m companion"),
        (["nonsense"], 2, "invalid choice: 'nonsense'"),
        (["train", "--epochs", "many"], 2, "argument --epochs: invalid int value: 'many'"),
        (["predict"], 2, "the following arguments are required: IMAGE"),
        (["--version"], 0, f"companion {companion.__version__}"),
        (["--help"], 0, "gradcheck"),
        (["train", "--help"], 0, "--checkpoint FILE"),
    ],
)
def test_usage(arguments, code, says, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == code
    out, err = capsys.readouterr()
    assert says in (err if code else out)


def test_evaluate_has_a_row_and_a_column_for_every_digit_and_counts_whole_images(
    here, tmp_path, capsys
):
    """0.58 * 50 is 28.999999999999996."""
    network = digits_network()
    network.params = {name: np.zeros_like(p) for name, p in network.params.items()}
    network.save("model.npz")  # reads 0 from everything
    blank, labels = np.zeros((50, 28, 28, 1), np.float32), np.repeat([0, 1], [29, 21])
    write_part(tmp_path, Dataset(blank, labels, blank, labels), train=50, test=50)
    assert main(["evaluate", "--mnist", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "test images: loss 2.303, 29 of 50 read correctly (58.00%)"
    assert lines[2] == "row: what it is, column: what was read"
    assert lines[4].split() == list("0123456789")
    assert [line.split() for line in lines[5:]] == [
        ["0", "29", *"........."],
        ["1", "21", *"........."],
        *([str(label), *".........."] for label in range(2, 10)),
    ]
    assert {len(line) for line in lines[5:]} == {len(lines[4])} == {3 + 5 * 10}


def test_one_file_by_two_names_is_not_both_checkpoint_and_model(here, capsys):
    line = failure(capsys, "train", "--checkpoint", here / "a.npz", "--out", "a.npz")
    assert "--checkpoint and --out must be two files" in line


def test_where_there_is_a_checkpoint_going_on_is_offered(few, here, capsys):
    (here / "model.npz").write_bytes(b"mine")
    train = ["train", "--mnist", few, "--checkpoint", "run.npz"]
    assert failure(capsys, *train).endswith("or add --force")
    (here / "run.npz").write_bytes(b"mine")
    assert failure(capsys, *train).endswith("or add --force, or go on with --resume")


@pytest.mark.parametrize(
    ("there", "epochs", "kept"), [(True, 0, True), (True, 1, False), (False, 0, False)]
)
def test_ctrl_c_in_a_resumed_run_keeps_a_model_that_may_be_better(
    few, here, monkeypatch, capsys, there, epochs, kept
):
    def interrupted(network, _, *, after_epoch, **settings):
        history = companion.History(*(np.ones(1),) * 5)
        for _ in range(epochs):
            after_epoch(history)
        raise KeyboardInterrupt

    (here / "run.npz").write_bytes(b"a checkpoint")
    if there:
        (here / "model.npz").write_bytes(b"mine")
    monkeypatch.setattr("companion.__main__.train_digits", interrupted)
    options = ["--checkpoint", "run.npz", "--resume"]
    assert main(["train", "--mnist", str(few), *options]) == 130
    err = capsys.readouterr().err
    if kept:
        assert (here / "model.npz").read_bytes() == b"mine"
        assert err == "interrupted\n"
    else:
        digits_network().load("model.npz")
        assert err == "interrupted: the best network so far is in model.npz\n"


def test_ctrl_c_before_the_first_epoch_is_over_keeps_nothing(few, here, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("companion.__main__.train_digits", interrupted)
    assert main(["train", "--mnist", str(few)]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert not (here / "model.npz").exists()


def test_another_number_of_epochs_is_another_training(few, here, capsys):
    train = ["train", "--mnist", few, "--checkpoint", "run.npz"]
    assert main([*map(str, train), "--epochs", "1"]) == 0
    capsys.readouterr()
    line = failure(capsys, *train, "--epochs", "2", "--resume")
    assert "is of another training: its schedule" in line
    assert "the number of epochs, is 'CosineDecay" in line


def test_an_epoch_is_said_when_it_is_over(few, here, monkeypatch):
    """Into a file or a pipe too, where what is printed is kept until somebody asks."""

    class Kept(io.StringIO):
        said = ()

        def flush(self):
            self.said = (*self.said, self.getvalue().count("epoch"))

    monkeypatch.setattr(sys, "stdout", stream := Kept())
    assert main(["train", "--mnist", str(few), "--epochs", "2"]) == 0
    assert stream.said[:2] == (1, 2)


def test_the_help_says_the_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "--epochs EPOCHS default: 16" in out
    assert "--seed SEED default: 0" in out
    assert "where the network is kept; default: model.npz" in out


def test_faint_ink_is_read_and_fainter_is_none(tmp_path):
    ink = np.zeros((60, 50))
    ink[20:40, 20:30] = 0.15
    assert read_picture(picture(tmp_path / "faint.png", ink)).max() == 1
    with pytest.raises(ValueError, match=r"fainter\.png is blank"):
        read_picture(picture(tmp_path / "fainter.png", ink / 2))


def test_a_faint_smudge_does_not_make_the_digit_smaller(tmp_path):
    ink = np.zeros((100, 100))
    ink[40:80, 40:60] = 1
    ink[5, 5] = 0.15
    got = read_picture(picture(tmp_path / "x.png", ink))[0, :, :, 0]
    assert np.flatnonzero((got > 0.5).any(axis=1)).tolist() == list(range(4, 24))


def test_ink_at_the_border_leaves_the_paper_as_it_is(tmp_path):
    ink = np.zeros((28, 28))
    ink[10:14, :20] = 0.6
    got = read_picture(picture(tmp_path / "x.png", ink))[0, :, :, 0]
    np.testing.assert_allclose(got, ink, atol=1e-6)


def test_sixteen_bits_of_a_shade_are_its_eight(tmp_path):
    image = pytest.importorskip("PIL.Image")
    shades = np.full((28, 28), 255, np.uint16)
    shades[4:24, 4:24] = np.arange(200).repeat(2).reshape(20, 20)
    image.fromarray(shades.astype(np.uint8)).save(tmp_path / "8.png")
    image.fromarray(257 * shades).save(tmp_path / "16.png")
    np.testing.assert_array_equal(
        read_picture(tmp_path / "16.png"), read_picture(tmp_path / "8.png")
    )


@pytest.mark.parametrize("seed", range(8))
def test_any_digit_s_centre_of_mass_is_within_half_a_pixel_of_the_middle(tmp_path, seed):
    ink = np.zeros((60, 60))
    ink[20:40, 20:40] = np.random.default_rng(seed).random((20, 20)) ** (1 + seed)
    ink[20, 20:40] = ink[20:40, 39] = 1
    got = read_picture(picture(tmp_path / "x.png", ink))[0, :, :, 0]
    for places in np.indices(got.shape):
        assert abs((places * got).sum() / got.sum() - 13.5) < 0.51


def test_a_digit_with_its_mass_at_one_end_stays_whole(tmp_path):
    ink = np.zeros((60, 60))
    ink[20:23, 20:40] = ink[20:40, 30] = 1  # a flat T: its mass is far above its middle
    got = read_picture(picture(tmp_path / "x.png", ink))[0, :, :, 0]
    assert got.sum() == pytest.approx(3 * 20 + 17)
    assert np.flatnonzero(got.any(axis=1)).tolist() == list(range(8, 28))


def test_light_ink_on_a_ground_of_a_darker_grey_than_the_middle_is_ink(tmp_path):
    ink = np.full((28, 28), 0.55)  # its ground is 0.45 light
    ink[8:20, 12:16] = 0
    got = read_picture(picture(tmp_path / "x.png", ink))[0, :, :, 0]
    np.testing.assert_allclose(got, 0.55 - ink, atol=0.01)


def test_what_is_no_path_to_a_picture_is_named():
    pytest.importorskip("PIL")
    with pytest.raises(TypeError, match="path must be a path, got 3"):
        read_picture(3)


@pytest.mark.parametrize("option", ["--out", "--checkpoint"])
def test_where_nothing_can_be_saved_nothing_is_trained(few, here, capsys, option):
    """Not a digit is read for it."""
    (here / "loop.npz").symlink_to("loop.npz")
    said = failure(capsys, "train", "--mnist", str(few), option, "loop.npz", "--force")
    assert "cannot save loop.npz" in said
    assert [path.name for path in here.iterdir()] == ["loop.npz"]


def test_ctrl_c_before_an_epoch_is_over_leaves_the_network_that_was_there(
    few, here, monkeypatch, capsys
):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    (here / "model.npz").write_bytes(b"mine")
    monkeypatch.setattr("companion.__main__.train_digits", interrupted)
    assert main(["train", "--mnist", str(few), "--force"]) == 130
    assert (here / "model.npz").read_bytes() == b"mine"


@pytest.mark.skipif(sys.platform == "win32", reason="no head")
def test_a_network_is_saved_though_nobody_reads_what_is_printed(few, here):
    python, images = shlex.quote(sys.executable), shlex.quote(str(few))
    command = f"{python} -m companion train --mnist {images} --epochs 3 | head -n 1"
    done = subprocess.run(  # noqa: S602
        command, shell=True, capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.startswith("epoch 1 of 3")
    assert done.stderr == ""
    digits_network().load("model.npz")


@pytest.mark.parametrize(
    ("paper", "ink"), [(100, 0), (120, 0), (126, 0), (128, 255), (150, 255), (90, 240)]
)
def test_ink_on_grey_paper_is_what_differs_from_it(tmp_path, paper, ink):
    image = pytest.importorskip("PIL.Image")
    shade = np.full((70, 70), paper, np.uint8)
    shade[20:50, 30:36] = ink
    shade[5, 5] = 200 if ink < paper else 20  # a speck
    image.fromarray(shade).save(tmp_path / "one.png")
    read = read_picture(tmp_path / "one.png")[0, :, :, 0]
    assert (read > 0.5).sum() == pytest.approx(80, abs=20)  # a stroke, 20 high


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.ppm", b"P6 2 2 x"), ("a.qoi", b"qoif"), ("a.blp", b"BLP2" + bytes(200))],
)
def test_a_picture_that_a_decoder_chokes_on_is_named(tmp_path, name, content):
    """Each decoder of Pillow has errors of its own."""
    pytest.importorskip("PIL")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OSError, match=re.escape(name)):
        read_picture(tmp_path / name)


def test_training_with_a_closed_stderr_shows_no_progress(here, few, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)  # as Python sets it where it was closed
    assert main(["train", "--mnist", str(few), "--epochs", "1"]) == 0
    digits = load_digits()
    companion.fit(
        digits_network(),
        digits.x_train[:32],
        digits.y_train[:32],
        epochs=1,
        optimizer=companion.SGD(0.1),
        progress=True,
    )


def test_a_picture_that_ends_early_is_named(tmp_path):
    image = pytest.importorskip("PIL.Image")
    noise = np.random.default_rng(0).integers(0, 255, (99, 99), np.uint8)
    image.fromarray(noise).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:5000])
    with pytest.raises(OSError, match=r"half\.png: "):
        read_picture(tmp_path / "half.png")


def test_a_network_of_no_numbers_reads_nothing(here, capsys):
    image = pytest.importorskip("PIL.Image")
    network = digits_network()
    network.params = {name: p * np.nan for name, p in network.params.items()}
    network.save("model.npz")
    image.fromarray(np.tri(28, dtype=np.uint8) * 255).save("tri.png")
    for command in (["predict", "tri.png"], ["evaluate"]):
        line = failure(capsys, *command)
        assert "model.npz is no network: some weight is not finite" in line


def test_weights_too_large_for_probabilities(here, capsys):
    image = pytest.importorskip("PIL.Image")
    network = digits_network()
    network.params = {name: np.full(p.shape, 1e30) for name, p in network.params.items()}
    network.save("model.npz")
    image.fromarray(np.tri(28, dtype=np.uint8) * 255).save("tri.png")
    assert "gives no probabilities for tri.png" in failure(capsys, "predict", "tri.png")


def test_a_checkpoint_is_no_network(few, here, capsys):
    train = ["train", "--mnist", str(few), "--checkpoint", "run.npz", "--epochs", "1"]
    assert main(train) == 0
    capsys.readouterr()
    line = failure(capsys, "evaluate", "--model", "run.npz")
    assert "run.npz is a checkpoint, for --resume; a network is what --out keeps" in line


@pytest.mark.parametrize("kept", [(slice(None), slice(20)), (slice(0), slice(None))])
def test_images_of_another_size_or_none_are_refused(few, here, monkeypatch, capsys, kept):
    digits = load_digits()
    images, rows = kept
    odd = digits._replace(x_test=digits.x_test[images, rows], y_test=digits.y_test[images])
    monkeypatch.setattr("companion.__main__.load_mnist", lambda *_, **__: odd)
    line = failure(capsys, "train", "--mnist", few)
    assert "must hold images of 28 by 28 pixels" in line
    assert f"got some of shape {odd.x_test.shape[:3]}" in line


def test_a_file_is_no_folder_of_mnist(here, capsys):
    (here / "file").write_bytes(b"")
    line = failure(capsys, "evaluate", "--mnist", "file", "--model", "file")
    assert "file is not a file of parameters" in line
    line = failure(capsys, "train", "--mnist", "file")
    assert "directory must be a folder, got the file file" in line


def test_a_model_that_is_no_archive_is_said_to_be_none(here, capsys):
    (here / "model.npz").write_bytes(b"a text")
    said = failure(capsys, "evaluate")
    assert "model.npz is not a file of parameters: it is no .npz archive" in said
    assert "pickle" not in said


def test_a_name_that_the_console_cannot_show_is_spelled_out(few, here, monkeypatch):
    """And the command goes on: the network was saved."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["train", "--mnist", str(few), "--epochs", "1", "--out", "\u6570.npz"]) == 0
    assert "\\u6570.npz" in out.buffer.getvalue().decode("cp1252")
    assert (here / "\u6570.npz").exists()


@pytest.mark.parametrize(
    ("error", "on_windows", "elsewhere"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), True, True),
        (OSError(errno.EINVAL, "Invalid argument"), True, False),
        (OSError(errno.EINVAL, "Invalid argument", "model.npz"), False, False),
        (OSError(errno.ENOSPC, "No space left on device"), False, False),
        (ValueError("no"), False, False),
    ],
)
def test_windows_says_in_its_own_way_that_nobody_reads(error, on_windows, elsewhere):
    assert companion.__main__._has_no_reader(error, "nt") == on_windows
    assert companion.__main__._has_no_reader(error, "posix") == elsewhere


def test_what_is_no_picture_is_told_once(tmp_path):
    pytest.importorskip("PIL")
    path = tmp_path / "not.png"
    path.write_text("no picture")
    with pytest.raises(OSError) as caught:  # noqa: PT011  all of its words are compared
        read_picture(path)
    assert str(caught.value) == f"{path} is no picture of a known kind"
