"""The checker takes functions written for channels first, and shows their arrays as they are."""

import numpy as np
import pytest

import companion
from companion.diagnose import diagnose
from companion.probes import targets

OF_IMAGES = [name for name in targets() if targets()[name].has_other_layout]


def test_what_has_images():
    assert len(OF_IMAGES) == 8


@pytest.mark.parametrize("name", targets())
def test_right_is_right_and_told_from_the_other_layout(name):
    if name in ("im2col", "col2im"):
        assert not targets()[name].has_other_layout
        assert "channels_first=True" not in diagnose(lambda *_: np.zeros(3), name).finding
        with pytest.raises(ValueError, match="says nothing of the columns"):
            diagnose(targets()[name].function, name, channels_first=True)
        return
    mine = targets()[name].with_channels_first().function
    assert str(diagnose(mine, name, channels_first=True)).endswith(" probes")
    other = diagnose(mine, name)
    assert other.ok == (name not in OF_IMAGES)
    assert other.ok or other.finding.startswith("it seems to take channels first: say channels_fir")


def test_a_function_that_is_wrong_in_shape_too_is_not_told_of_the_other_layout():
    found = diagnose(lambda x, w: companion.conv2d(x, w)[:, 1:], companion.conv2d)
    assert "channels first" not in found.finding
    nothing = diagnose(lambda *_: 0.0, companion.conv2d)
    assert "channels first" not in nothing.finding


@pytest.mark.parametrize("layout", [1, "yes", None])
def test_the_layout_is_yes_or_no(layout):
    with pytest.raises(TypeError, match="channels_first must be"):
        diagnose(companion.relu, companion.relu, channels_first=layout)


def test_pytorch_is_right(torch):
    """Its layout is what channels_first means; what it refuses is said, and not called wrong."""
    F = torch.nn.functional

    def conv2d(x, w, b=None, stride=1, padding=0, dilation=1):
        x, w = torch.tensor(x), torch.tensor(w)
        b = None if b is None else torch.tensor(b)
        return F.conv2d(x, w, b, stride, padding, dilation).numpy()

    def conv2d_backward(dz, x, w, stride=1, padding=0, dilation=1):
        x, w = (torch.tensor(each, requires_grad=True) for each in (x, w))
        b = torch.zeros(len(w), dtype=x.dtype, requires_grad=True)
        F.conv2d(x, w, b, stride, padding, dilation).backward(torch.tensor(dz))
        return x.grad.numpy(), w.grad.numpy(), b.grad.numpy()

    def conv_transpose2d(x, w, b=None, stride=1, padding=0, output_padding=0, dilation=1):
        x, w = torch.tensor(x), torch.tensor(w)
        b = None if b is None else torch.tensor(b)
        return F.conv_transpose2d(x, w, b, stride, padding, output_padding, 1, dilation).numpy()

    def max_pool2d(x, kernel_size, stride=None, padding=0):
        return F.max_pool2d(torch.tensor(x), kernel_size, stride, padding).numpy()

    for function in (conv2d, conv2d_backward, conv_transpose2d, max_pool2d):
        found = diagnose(function, function.__name__, channels_first=True)
        assert found.ok, found
        assert any(skipped.startswith("padding of four sides") for skipped in found.skipped)
    strided = "padding='same' and a stride (it raised RuntimeError)"
    assert strided in diagnose(conv2d, "conv2d", channels_first=True).skipped


def columns_of(x, w, stride, padding):
    """Patches as columns, the batch last: (C*kh*kw, Ho*Wo*N)."""
    (N, C, H, W), (kh, kw) = x.shape, w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    Ho, Wo = (H + 2 * padding - kh) // stride + 1, (W + 2 * padding - kw) // stride + 1
    columns = np.empty((C, kh, kw, Ho, Wo, N))
    for u, v in np.ndindex(kh, kw):
        rows = slice(u, u + stride * (Ho - 1) + 1, stride)
        columns[:, u, v] = padded[:, :, rows, v : v + stride * (Wo - 1) + 1 : stride].transpose(
            1, 2, 3, 0
        )
    return columns.reshape(C * kh * kw, -1), (Ho, Wo)


def forward(output):
    def mine(x, w, b, stride=1, padding=0):
        (K, *_), (columns, (Ho, Wo)) = w.shape, columns_of(x, w, stride, padding)
        return output(w.reshape(K, -1) @ columns + b[:, np.newaxis], (len(x), K, Ho, Wo))

    return mine


def right_output(z, shape):
    N, K, Ho, Wo = shape
    return z.reshape(K, Ho, Wo, N).transpose(3, 0, 1, 2)


def right_columns(dz):
    return dz.transpose(1, 2, 3, 0).reshape(dz.shape[1], -1)


def right_patches(columns, shape):
    *patch, N, Ho, Wo = shape
    return columns.reshape(*patch, Ho, Wo, N).transpose(5, 0, 1, 2, 3, 4)


def backward(columns_of_dz=right_columns, patches=right_patches, add=True):
    def mine(dz, x, w, stride=1, padding=0):
        (K, C, kh, kw), (columns, (Ho, Wo)) = w.shape, columns_of(x, w, stride, padding)
        dZ = columns_of_dz(dz)
        dX = patches(w.reshape(K, -1).T @ dZ, (C, kh, kw, len(x), Ho, Wo))
        dx = np.zeros(np.add(x.shape, (0, 0, 2 * padding, 2 * padding)))
        for u, v in np.ndindex(kh, kw):
            rows = slice(u, u + stride * (Ho - 1) + 1, stride)
            place = (..., rows, slice(v, v + stride * (Wo - 1) + 1, stride))
            dx[place] = dX[:, :, u, v] + (dx[place] if add else 0)
        inside = dx[..., padding : padding + x.shape[2], padding : padding + x.shape[3]]
        return inside, (dZ @ columns.T).reshape(w.shape), dz.sum(axis=(0, 2, 3))

    return mine


SETTINGS = {"channels_first": True, "simple": True, "check_dtype": False}


def test_a_learners_functions_are_right():
    assert diagnose(forward(right_output), "conv2d", **SETTINGS).ok
    assert diagnose(backward(), "conv2d_backward", **SETTINGS).ok


@pytest.mark.parametrize(
    "output",
    [
        lambda z, shape: z.reshape(shape),
        lambda z, shape: z.reshape(shape[1], shape[0], *shape[2:]).swapaxes(0, 1),
    ],
)
def test_a_reshape_going_forward_is_named(output):
    found = diagnose(forward(output), "conv2d", **SETTINGS)
    assert [m.name for m in found.mistakes] == ["reshaped where a transpose was needed"]


@pytest.mark.parametrize(
    ("mine", "named", "where"),
    [
        (
            backward(lambda dz: dz.reshape(dz.shape[1], -1)),
            "reshaped where a transpose was needed",
            (("dx", "dw"),),
        ),
        (
            backward(lambda dz: dz.swapaxes(0, 1).reshape(dz.shape[1], -1)),
            "reshaped where a transpose was needed",
            (),
        ),
        (
            backward(patches=lambda columns, shape: np.moveaxis(columns.reshape(shape), 3, 0)),
            "reshaped where a transpose was needed",
            (("dx",),),
        ),
        (backward(add=False), "overlaps assigned instead of added", ()),
    ],
)
def test_a_mistake_going_back_is_named(mine, named, where):
    found = diagnose(mine, "conv2d_backward", **SETTINGS)
    assert [m.name for m in found.mistakes] == [named]
    assert found.outputs == where
    assert "x float64 (2, 2, 5, 6), w float64 (3, 2, 3, 3)" in found.finding  # as it was given them


@pytest.mark.parametrize(
    ("order", "hint"),
    [
        ((0, 1, 3, 2), "(2, 2, 6, 5), expected (2, 2, 5, 6): rows and columns exchanged"),
        ((0, 2, 3, 1), "(2, 5, 6, 2), expected (2, 2, 5, 6): channels come first here"),
        ((0, 2, 1, 3), "(2, 5, 2, 6), expected (2, 2, 5, 6): the same axes in another order"),
    ],
)
def test_a_shape_says_what_may_have_made_it(order, hint):
    right = targets()["conv2d_backward"].with_channels_first().function

    def mine(dz, x, w):
        dx, dw, db = right(dz, x, w)
        return dx.transpose(order), dw, db

    found = diagnose(mine, "conv2d_backward", channels_first=True)
    assert f"dx has shape {hint} (for" in found.finding


def test_a_shape_that_two_mistakes_make_says_both():
    right = targets()["conv2d"].with_channels_first().function
    found = diagnose(lambda x, w: right(x, w).swapaxes(2, 3), "conv2d", channels_first=True)
    both = "rows and columns exchanged or channels come first here"
    assert f"z has shape (2, 3, 4, 3), expected (2, 3, 3, 4): {both} (for" in found.finding


def test_axes_of_equal_lengths_in_another_order_are_told():
    def last(x, kernel_size):
        return companion.max_pool2d(x.transpose(0, 2, 3, 1), kernel_size)  # and left so

    finding = diagnose(last, "max_pool2d", channels_first=True).finding
    assert "right but for the order of its axes, which is that of transpose(0, 2, 3, 1)" in finding
    square = diagnose(lambda dz, x, w: (dz @ w.T, dz.T @ x, dz.sum(axis=0)), "dense_backward")
    assert "order of its axes" not in square.finding  # the first probe has other lengths


@pytest.mark.parametrize("name", OF_IMAGES)
def test_channels_last_are_told_where_they_are_not_expected(name):
    finding = diagnose(targets()[name].function, name, channels_first=True).finding
    assert finding.startswith("it seems to take channels last: leave channels_first out; ")


def test_a_wrong_function_of_the_right_shape_is_not_told_of_the_other_layout():
    found = diagnose(lambda _, x, *__: 0 * x, "max_pool2d_backward")
    assert "channels first" not in found.finding


@pytest.mark.parametrize("order", [(1, 2, 0), (1, 0, 2), (0, 2, 1), (2, 1, 0), (2, 0, 1)])
def test_results_in_another_order_are_named(order):
    right = targets()["conv2d_backward"].with_channels_first().function

    def mine(*arguments, **settings):
        gradients = right(*arguments, **settings)
        return tuple(gradients[i] for i in order)

    found = diagnose(mine, "conv2d_backward", channels_first=True)
    assert [mistake.name for mistake in found.mistakes] == ["results in another order"]
    assert found.outputs == ()


def test_positions_that_are_not_summed_are_named():
    right = targets()["conv2d_backward"].with_channels_first().function

    def mine(dz, x, w, **settings):
        dx, dw, _ = right(dz, x, w, **settings)
        return dx, dw, dz.sum(axis=0)

    found = diagnose(mine, "conv2d_backward", channels_first=True)
    assert [mistake.name for mistake in found.mistakes] == ["positions not summed"]


def test_a_pair_that_is_read_the_wrong_way_is_no_refusal_of_pairs():
    """Code that fails for one pair, and not for another, takes pairs."""

    def pair(value):
        return value if isinstance(value, tuple) else (value, value)

    def mine(dz, x, w, stride=1, padding=0, output_padding=0, dilation=1):
        (sh, sw), (dh, dw_), (pw, ph) = pair(stride), pair(dilation), pair(padding)
        (kh, kw), (_, H, W, _) = w.shape[:2], x.shape
        padded = np.pad(dz, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i, j in np.ndindex(H, W):
            rows = slice(i * sh, i * sh + (kh - 1) * dh + 1, dh)
            window = padded[:, rows, j * sw : j * sw + (kw - 1) * dw_ + 1 : dw_]
            dx[:, i, j] = np.einsum("nuvc,uvck->nk", window, w)
            dw += np.einsum("nuvc,nk->uvck", window, x[:, i, j])
        return dx, dw, dz.sum(axis=(0, 1, 2))

    found = diagnose(mine, "conv_transpose2d_backward")
    assert not found.ok
    assert "padding as a pair" not in str(found.skipped)
