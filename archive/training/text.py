"""Trains the text tower: a small open_clip transformer that learns to read as MiniLM does, into the joint space."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from archive.embedders.joint_space import CLASSES, DIM, HUES, unit
from archive.training import joint
from archive.training.words import Phrase, all_nouns, class_names, definitions, everyday_names, phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Embed = Callable[[Sequence[str]], Floats]

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[START]", "[END]"
SPECIAL = (PAD, UNKNOWN, START, END)
TEXT_CFG: dict[str, Any] = {
    "context_length": 24,
    "vocab_size": 12000,
    "hf_tokenizer_name": "pocket",
    "width": 160,
    "heads": 4,
    "layers": 3,
    "mlp_ratio": 4.0,
    "pool_type": "eos",
    "pad_id": SPECIAL.index(PAD),
    "eos_id": SPECIAL.index(END),
}
"""open_clip's settings of the tower."""


SHARES = (0.15, 0.15, 0.35, 0.25, 0.10)
"""How often a lesson draws an everyday name, a rare one, a phrase, one about the detector's classes, a definition."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to learn; `most_names` cuts every list of names short, for a try."""

    steps: int = 2400
    batch: int = 256
    rate: float = 1.5e-3
    warm: int = 100
    phrases_each: int = 10
    phrases_of_classes: int = 30
    rare_phrases: int = 12_000
    most_names: int | None = None
    seed: int = 20261124
    save_every: int = 200


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """Texts, their target rows float32 (n, 256), and how often each kind is drawn."""

    texts: list[str]
    rows: Floats
    weights: NDArray[np.float64]


def lesson(embed: Embed, plan: Plan = Plan()) -> tuple[Lesson, joint.Meaning]:
    """Names, phrases and definitions with the rows that they are to have.

    A phrase means what its thing means, however it is put: "where did I leave my mug" is as much a mug as "mug".
    """
    noise = np.random.default_rng(plan.seed)
    everyday, nouns = everyday_names()[: plan.most_names], all_nouns()[: plan.most_names]
    phrases = [phrase(name, noise) for name in everyday for _ in range(plan.phrases_each)]
    phrases += [phrase(nouns[int(at)], noise) for at in noise.integers(len(nouns), size=plan.rare_phrases)]
    own = class_names()[: plan.most_names]
    of_classes = [phrase(name, noise) for name in own for _ in range(plan.phrases_of_classes)]
    of_classes += [Phrase(name, name) for name in own for _ in range(plan.phrases_of_classes // 3)]
    known = set(everyday)
    plain = [Phrase(name, name) for name in everyday] + [Phrase(name, name) for name in nouns if name not in known]
    said = [Phrase(text, text) for text in definitions()[: plan.most_names]]
    every = [*plain, *phrases, *of_classes, *said]
    groups = (len(everyday), len(plain) - len(everyday), len(phrases), len(of_classes), len(said))
    things = list(dict.fromkeys(one.thing for one in every))
    place = {thing: at for at, thing in enumerate(things)}
    thing_rows, text_means = embed(things), embed([one.text for one in every])
    meaning = joint.Meaning.of(thing_rows[[place[name] for name in everyday]])
    likeness = joint.class_likeness(thing_rows, embed)
    likeness[[place[text] for text in (one.text for one in said)]] = 0
    at = np.array([place[one.thing] for one in every])
    blended = unit(0.6 * thing_rows[at] + 0.4 * text_means)
    rows = joint.text_rows(likeness[at], [one.colour for one in every], meaning(blended))
    weights = np.repeat(np.array(SHARES) / np.maximum(1, groups), groups)
    return Lesson([one.text for one in every], rows, weights / weights.sum()), meaning


def train_tokenizer(texts: Sequence[str], path: Path) -> Any:  # noqa: ANN401
    """Learn a vocabulary of word pieces from the texts and write it in the format of `tokenizers`."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=TEXT_CFG["vocab_size"], special_tokens=list(SPECIAL), show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(name, SPECIAL.index(name)) for name in (START, END)]
    )
    tokenizer.enable_truncation(TEXT_CFG["context_length"])
    tokenizer.enable_padding(pad_id=SPECIAL.index(PAD), pad_token=PAD)
    tokenizer.save(str(path / "tokenizer.json"), pretty=False)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "unk_token": UNKNOWN,
        "bos_token": START,
        "eos_token": END,
        "model_max_length": TEXT_CFG["context_length"],
    }
    (path / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    return Tokenizer.from_file(str(path / "tokenizer.json"))


def text_transformer() -> torch.nn.Module:
    """The tower, its weights random."""
    from open_clip.transformer import TextTransformer

    settings = {name: value for name, value in TEXT_CFG.items() if name != "hf_tokenizer_name"}
    tower: torch.nn.Module = TextTransformer(output_dim=DIM, **settings)
    return tower


def train(embed: Embed, out: Path, plan: Plan = Plan()) -> tuple[torch.nn.Module, joint.Meaning]:
    """Learn, from the last checkpoint in `out` if there is one; writes the tokenizer and the checkpoint there.

    Prints the mean squared distance from the targets, and the mean cosine of everyday names with theirs, now and then.
    """
    import torch

    torch.manual_seed(plan.seed)
    taught, meaning = lesson(embed, plan)
    tokenizer = train_tokenizer(taught.texts, out)
    tower = text_transformer()
    _begin_with_words(tower, tokenizer, embed)
    optimiser = torch.optim.AdamW(tower.parameters(), lr=plan.rate, weight_decay=0.01, betas=(0.9, 0.98))
    checkpoint, step = out / "text.checkpoint.pt", 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        tower.load_state_dict(state["tower"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    emphasis = torch.ones(DIM)
    emphasis[CLASSES] = 3.0
    emphasis[HUES] = 2.0
    causal: Any = tower.attn_mask
    tower.train()
    began, recent = time.monotonic(), []
    while step < plan.steps:
        noise = np.random.default_rng([plan.seed, step])
        chosen = noise.choice(len(taught.texts), plan.batch, p=taught.weights)
        tokens = _tokens(tokenizer, [taught.texts[at] for at in chosen])
        rows = torch.nn.functional.normalize(_short(tower, causal, tokens.shape[1])(tokens), dim=1)
        loss = ((rows - torch.from_numpy(taught.rows[chosen])).square() * emphasis).sum(1).mean()
        for group in optimiser.param_groups:
            warm = min(1.0, (step + 1) / plan.warm)
            group["lr"] = plan.rate * warm * (0.02 + 0.98 * (1 + math.cos(math.pi * step / plan.steps)) / 2)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimiser.step()
        step += 1
        recent.append(float(loss.detach()))
        if step % 100 == 0:
            pace = (time.monotonic() - began) / 100
            print(f"text {step}/{plan.steps}  {np.mean(recent):.4f}  {pace:.2f} s/step", flush=True)
            began, recent = time.monotonic(), []
        if step % plan.save_every == 0 or step == plan.steps:
            state = {"tower": tower.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").rename(checkpoint)
    return _short(tower, causal, TEXT_CFG["context_length"]).eval(), meaning


def _short(tower: torch.nn.Module, causal: torch.Tensor, length: int) -> torch.nn.Module:
    """The tower for texts of that many tokens; open_clip's own mask fits those of full length only."""
    tower.attn_mask = causal[:length, :length]
    return tower


def _tokens(tokenizer: Any, texts: Sequence[str]) -> torch.Tensor:  # noqa: ANN401
    import torch

    return torch.tensor([encoding.ids for encoding in tokenizer.encode_batch(list(texts))])


def _begin_with_words(tower: Any, tokenizer: Any, embed: Embed) -> None:  # noqa: ANN401
    """Give each token the direction in which MiniLM sees it, in as many dimensions as the tower is wide."""
    import torch

    names = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    rows = embed([name.removeprefix("##") for name in names])
    rows = rows - rows.mean(0)
    _, _, directions = np.linalg.svd(rows, full_matrices=False)
    table = rows @ directions[: TEXT_CFG["width"]].T
    with torch.no_grad():
        tower.token_embedding.weight[: len(table)] = torch.from_numpy(0.05 * table / table.std())
