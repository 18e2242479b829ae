"""A random language model of a few thousand parameters with a tokenizer of whole words, written to a folder once."""

import atexit
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from aarlab.students import Examples

GOOD = ("green", "blue", "red", "white")
BAD = ("seven", "nine", "two", "four")
PLAIN = ("sky", "grass", "stone", "house", "river", "bird", "is", "what", "colour", "number", "has", "the")
LABELS = ("A", "B", "yes", "no", "true", "false", "Yes", "No")
OTHERS = (
    *("Question", "Answer", "Which", "answer", "better", "or", "Is", "this", "correct", "True", "False", "The"),
    *("Q", "A", ":", "?", ",", "."),
)


@cache
def tiny_model() -> Path:
    """Folder of the model, made on first use and removed when the process ends."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tempfile.TemporaryDirectory(prefix="aarlab-tiny-model-")
    atexit.register(folder.cleanup)
    words = ["<unk>", "<pad>", *GOOD, *BAD, *PLAIN, *LABELS, *OTHERS]
    words = list(dict.fromkeys(words))
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>").save_pretrained(
        folder.name
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.2,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=None,
        )
        LlamaForCausalLM(config).save_pretrained(folder.name)  # leaves a progress bar on standard error
    return Path(folder.name)


def word_examples(count: int, *, pairs: bool, seed: int = 0) -> tuple[Examples, np.ndarray]:
    """Questions for a colour: an answer that names one is right, one that names a number is wrong."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    rng.shuffle(labels)
    rows = []
    for label in labels:
        thing = rng.choice(PLAIN[:6])
        right, wrong = (f"the {thing} is {rng.choice(words)} ." for words in (GOOD, BAD))
        question = f"what colour has the {thing} ?"
        candidates = ([wrong, right] if label else [right, wrong]) if pairs else [right if label else wrong]
        rows.append([question, *candidates])
    texts = np.array(rows, dtype=np.dtypes.StringDType())
    groups = np.arange(count, dtype=np.int32)
    return Examples({}, np.zeros(count, bool), pairs, groups, texts), labels.astype(np.int8)
