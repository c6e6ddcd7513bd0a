"""Measures of scores against labels, and the fit of scores to labels."""

import numpy

from model import LABELS

CALIBRATION_BINS = 15


def softmax(logits, temperature=1.0):
    shifted = logits / temperature
    shifted = numpy.exp(shifted - shifted.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def macro_f1(truth, predicted):
    """The mean over the classes that occur in the labels or the answers."""
    values = []
    for name in range(len(LABELS)):
        hit = numpy.sum((truth == name) & (predicted == name))
        seen = numpy.sum(truth == name) + numpy.sum(predicted == name)
        if seen:
            values.append(2 * hit / seen)
    return float(numpy.mean(values))


def auroc(truth, scores):
    """One class against the rest, averaged over the classes."""
    values = []
    for name in range(len(LABELS)):
        inside, outside = scores[truth == name, name], scores[truth != name, name]
        if len(inside) and len(outside):
            difference = inside[:, None] - outside[None, :]
            values.append(((difference > 0) + 0.5 * (difference == 0)).mean())
    return float(numpy.mean(values))


def calibration_error(truth, scores):
    """The expected calibration error of the top score, over bins of equal width."""
    top, right = scores.max(1), scores.argmax(1) == truth
    bins = numpy.minimum((top * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return float(sum(
        abs(top[bins == one].sum() - right[bins == one].sum()) for one in range(CALIBRATION_BINS)
    ) / len(truth))


def yes_no_accuracy(truth, scores):
    """Of the rows labelled Yes or No: the share where the likelier of the two is right."""
    stated = truth != LABELS.index("NA")
    return float((scores[stated, :2].argmax(1) == truth[stated]).mean())


def measures(truth, scores):
    return {
        "accuracy": float((scores.argmax(1) == truth).mean()),
        "macro_f1": macro_f1(truth, scores.argmax(1)),
        "auroc": auroc(truth, scores),
        "yes_no_accuracy": yes_no_accuracy(truth, scores),
        "ece": calibration_error(truth, scores),
    }


def fitted_scale(truth, logits, weights, steps=3000, rate=0.2):
    """Temperature and a bias for each label, added to the logits before they are divided, at which the labels are
    likeliest: what a training whose mix of labels is not that of real texts gets wrong. Gradient descent; the loss is convex."""
    truth, weights = numpy.asarray(truth), numpy.asarray(weights) / numpy.sum(weights)
    target = numpy.eye(len(LABELS))[truth]
    sharpness, bias = 1.0, numpy.zeros(len(LABELS))
    for _ in range(steps):
        error = (softmax(sharpness * logits + bias) - target) * weights[:, None]
        sharpness -= rate * float((error * logits).sum()) / 4
        bias -= rate * error.sum(0)
    return 1 / sharpness, (bias - bias.mean()) / sharpness
