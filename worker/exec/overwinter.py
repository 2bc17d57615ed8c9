"""What a training script tells Overwinter and asks of it. Standard Python, one file, no effect elsewhere.

    import overwinter
    for step in range(start, steps):
        ...
        overwinter.report(step=step, loss=loss)
        if overwinter.should_stop():
            save(os.path.join(overwinter.checkpoint_dir() or ".", "last.pt"))
            break

Each process may call these; a script that runs without Overwinter reports nothing and is never stopped.
"""
import os
import sys

__all__ = ["checkpoint_dir", "in_job", "report", "should_stop"]


def in_job():
    """Whether this process was started by Overwinter."""
    return "OVERWINTER_JOB" in os.environ


def checkpoint_dir():
    """The job's checkpoint folder, made if it is missing; None outside of a job or without one.

    At the start of an attempt it holds the last whole checkpoint, if there was one.
    """
    folder = os.environ.get("OVERWINTER_CHECKPOINT_DIR") or None
    if folder is not None:
        os.makedirs(folder, exist_ok=True)
    return folder


def report(step=None, loss=None, **metrics):
    """Tells the step, the loss and any other numbers: shown by `jobs watch` and drawn as curves."""
    if not in_job():
        return
    values = dict(step=step, loss=loss, **metrics)
    words = []
    for name, value in values.items():
        if value is None:
            continue
        # Tensors and NumPy's numbers become plain ones.
        number = int(value) if name == "step" else float(value)
        words.append("%s=%r" % (name, number))
    if words:
        sys.stdout.write("overwinter: " + " ".join(words) + "\n")
        sys.stdout.flush()


def should_stop():
    """Whether the job was told to stop: save a checkpoint and end soon. Cheap enough for every step."""
    path = os.environ.get("OVERWINTER_STOP_FILE")
    return bool(path) and os.path.exists(path)
