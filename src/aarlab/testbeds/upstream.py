r"""Text as its publishers give it: where each data set lies, and how its prompts and answers are read from it.

A pack was made from neutral JSONL files that a converter made from these. The readers here give the very strings of
those files, so the digests in the packs match. They give all answers of a data set, whether or not a testbed uses
them, and no labels: those are in the packs.

URLs name a commit, so the files behind them do not change. They were never fetched where this was written, since that
machine reaches no such server. What was checked instead:

| source | what was checked |
|---|---|
| truthfulqa_judge_raw | the whole file: with line ends CR LF it has the SHA-256 that others published for this commit |
| chat | others published URL (at `master`) and SHA-256; of the content, the form of one row only |
| chat_pandalm | excerpts of the file at this commit gave digests of the neutral file |
| math, math_balanced | excerpts of the file (at 3ab4873, the neutral file is of this commit), likewise |
| math_pot_gsm8k | excerpts of both files (at 7a435da), likewise |
| code | excerpts of the samples, and of a copy of the prompts, likewise; others published the prompts' SHA-256 |
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from aarlab.testbeds.pack import TestbedError

#: No data set here is larger when unpacked; what is, is no data set.
LARGEST_BYTES = 256 << 20

MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, EOFError, zlib.error)

RAW = "https://raw.githubusercontent.com"
TRUTHFULQA = f"{RAW}/sylinrl/TruthfulQA/d71c110897f5d31c5d7f309e7bc316c152f6f031"
HH_RLHF = f"{RAW}/anthropics/hh-rlhf/354e5c3cb8960630860dd5774a6ac2a58313bf4d"
PANDALM = f"{RAW}/WeOpenML/PandaLM/65d7cff541edaa2d1be0f4b206c31fae42bc334b"
GSM8K = f"{RAW}/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c"
POT = f"{RAW}/TIGER-AI-Lab/Program-of-Thoughts/850399c3eff8c37458a9d642c4a98df287f50f3a"
CODET = f"{RAW}/microsoft/CodeT/47205e2aea3a6fc3993085d8d2921ac51275cf96"
HUMAN_EVAL = f"{RAW}/openai/human-eval/6d43fb980f9fee3c892a914eda09951f772ad10d"

GSM8K_RUNS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")

Texts = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class UpstreamFile:
    """One file of a data set.

    Attributes:
        url: where it is, at a fixed commit.
        sha256: of the file, all that it may have; empty if none was published.
    """

    url: str
    sha256: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])


@dataclass(frozen=True)
class Upstream:
    """A data set as its publisher gives it.

    Attributes:
        files: all that `reader` needs, in order.
        reader: gives prompt and answer of every answer in these files.
        licence: of the data, as the publisher states it.
        verified: whether the reader was checked on content of the files; the table above says how far.
    """

    files: tuple[UpstreamFile, ...]
    reader: Callable[[Sequence[Path]], Texts]
    licence: str
    verified: bool

    @property
    def url(self) -> str:
        """Of the file that holds the answers: what a manifest names."""
        return self.files[0].url

    def read(self, paths: Sequence[Path]) -> Texts:
        """Prompt and answer of every answer.

        Args:
            paths: where the files are, in the order of `files`.

        Raises:
            TestbedError: they are not in the form that the publisher gave them, or not whole.
        """
        names = ", ".join(file.name for file in self.files)
        try:
            yield from self.reader(paths)
        except (*MALFORMED, OSError) as error:
            raise TestbedError(
                f"{names} cannot be read as the data set that it should be: {type(error).__name__}: {error}.",
                f"Fetch again, or get it by hand from {self.url} and name its folder: --from FOLDER.",
            ) from error


def unpacked(path: Path) -> bytes:
    """Content of a file, unpacked if it is gzip.

    Raises:
        ValueError: it is too large.
    """
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as stream:
        content = stream.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"it is larger than {LARGEST_BYTES >> 20} MiB")
    return content


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Objects of a file with one JSON object a line, plain or gzip."""
    for number, line in enumerate(unpacked(path).decode().split("\n"), 1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise TypeError(f"line {number} is no JSON object")
            yield row


def read_truthfulqa(paths: Sequence[Path]) -> Texts:
    r"""Judge data of TruthfulQA (Lin et al. 2022): `{"prompt": "Q: ...\nA: ...\nTrue:", "completion": ...}` a line."""
    for row in json_lines(paths[0]):
        match = re.fullmatch(r"Q: (.*?)\nA: (.*)\nTrue:", row["prompt"], re.DOTALL)
        if match is None:
            raise ValueError(f"no question with an answer: {row['prompt'][:80]!r}")
        yield match[1].strip(), match[2].strip()


def read_hh_rlhf(paths: Sequence[Path]) -> Texts:
    """HH-RLHF (Bai et al. 2022): two conversations a line, whose last turn is the answer."""
    turn = "\n\nAssistant:"
    for row in json_lines(paths[0]):
        for conversation in (row["chosen"], row["rejected"]):
            prompt, found, answer = conversation.rpartition(turn)
            if not found:
                raise ValueError(f"no assistant in {conversation[:80]!r}")
            yield prompt.strip(), answer.strip()


def read_pandalm(paths: Sequence[Path]) -> Texts:
    """Test set of PandaLM (Wang et al. 2023): one JSON array; a missing input or response is NaN."""
    for row in json.loads(unpacked(paths[0])):
        parts = [row["instruction"], row["input"]]
        prompt = "Human: " + "\n\n".join(part for part in parts if isinstance(part, str) and part)
        for response in (row["response1"], row["response2"]):
            if isinstance(response, str):
                yield prompt.strip(), response


def read_gsm8k(paths: Sequence[Path]) -> Texts:
    """Example solutions of GSM8K (Cobbe et al. 2021) by four models, without their calculator annotations."""
    for row in json_lines(paths[0]):
        for run in GSM8K_RUNS:
            yield row["question"].strip(), re.sub(r"<<[^>]*>>", "", row[run]["solution"]).strip()


def read_program_of_thoughts(paths: Sequence[Path]) -> Texts:
    """Programs for GSM8K (Chen et al. 2023): without examples, where the prompt stands before each; with examples."""
    boilerplate = re.compile(r"    # (?:Let's write a Python program|Firstly, we need define).*\n")
    zero_shot, few_shot = paths
    for row in json_lines(zero_shot):
        _, found, body = row["generated"].partition("def solver():\n")
        if not found:
            raise ValueError(f"no solver() in {row['generated'][:80]!r}")
        program = boilerplate.sub("", found + body).rpartition("\nans = solver()")[0]
        yield row["question"].strip(), program.strip()
    for row in json_lines(few_shot):
        if "generated" in row:  # the first line holds the prompt
            yield row["question"].strip(), row["generated"][0].strip()


def read_codet(paths: Sequence[Path]) -> Texts:
    """CodeGen's samples for HumanEval (Chen et al. 2023, Chen et al. 2021).

    The samples were drawn for prompts whose examples had been taken out; the question is HumanEval's own prompt, and
    the answer starts with the line that both have.
    """
    samples, problems = paths
    prompts = {row["entry_point"]: row["prompt"].strip() for row in json_lines(problems)}
    for row in json_lines(samples):
        header = re.findall(r"^def .*$", row["prompt"], re.MULTILINE)[-1]
        name = re.match(r"def (\w+)", header)
        if name is None:
            raise ValueError(f"no function in {row['prompt'][:80]!r}")
        for sample in row["samples"]:
            yield prompts[name[1]], f"{header}\n{sample}".rstrip()


_GSM8K = Upstream(
    (UpstreamFile(f"{GSM8K}/grade_school_math/data/example_model_solutions.jsonl"),),
    read_gsm8k,
    "MIT",
    verified=True,
)

#: Data sets by name of the source, as manifests name it.
UPSTREAM: dict[str, Upstream] = {
    "truthfulqa_judge_raw": Upstream(
        (
            UpstreamFile(
                f"{TRUTHFULQA}/data/finetune_truth.jsonl",
                (
                    "9fd94fc943a2dc08f1dc028d2b6f353ae85fae5169a536ae6489236db2f30b64",
                    "8e81d9f0dc592e26fb0d37106126e489d39ac75099828b1f2c8142f3ede60c6b",  # with line ends LF
                ),
            ),
        ),
        read_truthfulqa,
        "Apache-2.0",
        verified=True,
    ),
    "chat": Upstream(
        (
            UpstreamFile(
                f"{HH_RLHF}/harmless-base/test.jsonl.gz",
                ("ebfaaed21162a4de120ae85366075b34425e2a6303fac59b99555002f7016f03",),
            ),
        ),
        read_hh_rlhf,
        "MIT",
        verified=False,
    ),
    "chat_pandalm": Upstream((UpstreamFile(f"{PANDALM}/data/testset-v1.json"),), read_pandalm, "Apache-2.0", True),
    "math": _GSM8K,
    "math_balanced": _GSM8K,
    "math_pot_gsm8k": Upstream(
        (
            UpstreamFile(f"{POT}/outputs/gsm8K_zs_s0_e-1_11_19_09_55.jsonl"),
            UpstreamFile(f"{POT}/outputs/gsm8K_s0_e-1_11_17_10_20.jsonl"),
        ),
        read_program_of_thoughts,
        "MIT",
        verified=True,
    ),
    "code": Upstream(
        (
            UpstreamFile(
                f"{CODET}/CodeT/data/generated_data/hmeval_codegen16B_temp0.8_topp0.95_num100_max300_code_solution.jsonl"
            ),
            UpstreamFile(
                f"{HUMAN_EVAL}/data/HumanEval.jsonl.gz",
                ("b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",),
            ),
        ),
        read_codet,
        "MIT",
        verified=True,
    ),
}

#: Sources whose text no publisher has, with the reason.
LOCAL_ONLY: dict[str, str] = {
    "code_mbpp": (
        "Most of its wrong programs are mutants of MBPP's own (amazon-science/mxeval, CC-BY-4.0), made when the data "
        "were converted, so no publisher has them; and its model samples are not those that are published today."
    ),
}
