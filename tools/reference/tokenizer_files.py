"""tokenizer_files.py: random small tokenizer.json files,
read by lmzoo and by huggingface/tokenizers.

    tokenizer_files.py LMZOO [--files 200] [--texts 60] [--seed 1] [--keep FOLDER]

Each file combines a trained model with random normalizers, pre-tokenizers, post-processors,
decoders and added tokens. Texts are encoded with and without special tokens and with special tokens
as plain text; random ids are decoded. A difference is printed with what caused it, and its file is
kept. A file that lmzoo refuses is counted under its sentence. Exit status 1 when anything differs.
"""

import argparse
import collections
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import tokenizers as hf
from tokenizers import trainers

Json: TypeAlias = dict[str, Any]
Texts: TypeAlias = list[str]
Lists: TypeAlias = list[list[int]]
Differs: TypeAlias = Callable[[str, str, object, object, object], None]

MARK = "\u2581"
MEMORY = resource.getrlimit(resource.RLIMIT_AS)
BEHAVIOURS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
WORDS = [
    "hello",
    "world",
    "don't",
    "it's",
    "THE",
    "the",
    "a",
    "ab",
    "abc",
    "aab",
    "I'LL",
    "naïve",
    "Straße",
    "İstanbul",
    "e\u0301te\u0301",
    "ﬁne",
    "½",
    "Ⅷ",
    "x2",
    "123",
    "4567",
    "٣٤",
    "१२",
    "𝟙𝟚",
    "日本語",
    "中文字",
    "ひらがな",
    "カタカナー",
    "한국어",
    "\u1112\u1161\u11ab",
    "мир",
    "ΣΑΣ",
    "سلام",
    "नमस्ते",
    "ไทย",
    "👍",
    "👩‍👩‍👧",
    "🇩🇪",
    "e\u0323\u0307",
    "\u07fd\u0301",
    "ǅ",
    "ſ",
    "K",
    "①",
    "Ⓐ",
    "a_b",
    "foo.bar",
    "x+y=z",
    "##ab",
    "</w>",
    "<unk>",
    "<0x41>",
    "[UNK]",
    "Ġa",
    MARK,
    MARK + "a",
]
MARKS = [
    *"!?.,;:'\"-()[]{}<>@#$%^&*+=|\\/~`_",
    "。",
    "、",
    "«",
    "—",
    "…",
    "¿",
    "€",
    "£",
    "′",
    "§",
    "„",
]
SPACES = [
    " ",
    " ",
    " ",
    " ",
    "  ",
    "   ",
    "\n",
    "\n\n",
    "\t",
    "\r\n",
    "\u00a0",
    "\u3000",
    "\u2009",
    "\u200b",
    "\u2028",
    "\x85",
    "\x1c",
    "\ufeff",
    "\u200d",
    "\u180e",
]
CONTENTS = [
    "<s>",
    "</s>",
    "<pad>",
    "<mask>",
    "[CLS]",
    "[SEP]",
    "ab",
    "é",
    "É",
    "the",
    "The",
    MARK + "a",
    "\n\n",
    "  ",
    "한",
    "日本",
    "1",
    "<|x|>",
    "<|x|>y",
    "a b",
    "hello",
    "'",
    "ﬁ",
    "\u0301",
    "👍",
]


class Maker:
    """Random parts of a file."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)

    def flag(self) -> bool:
        return self.r.random() < 0.5

    def text(self, added: Collection[str] = ()) -> str:
        r, out = self.r, []
        for _ in range(r.choice([0, 1, 2, 3, 5, 8, 13])):
            kind = r.random()
            pool = (
                WORDS if kind < 0.45 else SPACES if kind < 0.75 else MARKS if kind < 0.85 else None
            )
            if pool is None and added and kind < 0.95:
                pool = list(added)
            out.append(
                r.choice(pool)
                if pool
                else chr(
                    r.choice([r.randrange(0xD800), r.randrange(0xE000, 0x20000), r.randrange(128)])
                )
            )
        return "".join(out)

    def pattern(self, empty: bool = True) -> Json:
        """A pattern; empty: it may match nothing,
        which upsets the reference's offsets in a normalizer."""
        r = self.r
        if self.flag():
            return {"String": r.choice([" ", "a", "ab", "\n", MARK, "aa", "。", "é"])}
        return {
            "Regex": r.choice(
                [
                    r"\b",
                    r"x*",
                    r"\s+",
                    r"\d",
                    r"\p{L}+",
                    r"[^\s\w]+",
                    r"\w+|[^\w\s]+",
                    r"a|b",
                    r"\s",
                    r"\p{N}{1,3}",
                    r"(?i:'s|'t)",
                    r"[\r\n]+",
                    r"\p{P}",
                    r"[一-龥]+",
                    r" ?[^\s\p{L}\p{N}]+",
                    r"^\s+|\s+$",
                    r" {2,}",
                    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
                    r"\s+(?!\S)|\s+",
                ][0 if empty else 2 :]
            )
        }

    def normalizer(self, depth: int = 0) -> Json | None:
        r = self.r
        kinds: list[Callable[[], Json]] = [
            lambda: {
                "type": r.choice(
                    ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel"]
                )
            },
            lambda: {
                "type": "Replace",
                "pattern": self.pattern(False),
                "content": r.choice(["", " ", MARK, "b", "xy"]),
            },
            lambda: {"type": "Prepend", "prepend": r.choice([MARK, " ", "ab"])},
            lambda: {"type": "Strip", "strip_left": self.flag(), "strip_right": self.flag()},
            lambda: {
                "type": "BertNormalizer",
                "clean_text": self.flag(),
                "handle_chinese_chars": self.flag(),
                "strip_accents": r.choice([None, True, False]),
                "lowercase": self.flag(),
            },
        ]
        if depth == 0:
            if r.random() < 0.35:
                return None
            if r.random() < 0.4:
                return {
                    "type": "Sequence",
                    "normalizers": [self.normalizer(1) for _ in range(r.randrange(4))],
                }
        return r.choice(kinds)()

    def pre_tokenizer(self, depth: int = 0) -> Json | None:
        r = self.r
        kinds: list[Callable[[], Json]] = [
            lambda: {
                "type": "ByteLevel",
                "add_prefix_space": self.flag(),
                "trim_offsets": True,
                "use_regex": self.flag(),
            },
            lambda: self.metaspace(),
            lambda: {
                "type": "Split",
                "pattern": self.pattern(),
                "behavior": r.choice(BEHAVIOURS),
                "invert": self.flag(),
            },
            lambda: {"type": "Digits", "individual_digits": self.flag()},
            lambda: {"type": "Punctuation", "behavior": r.choice(BEHAVIOURS)},
            lambda: {
                "type": r.choice(
                    ["Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts"]
                )
            },
            lambda: {"type": "CharDelimiterSplit", "delimiter": r.choice([" ", "a", "。", "'"])},
            lambda: {"type": "FixedLength", "length": r.choice([1, 2, 5])},
        ]
        if depth == 0:
            if r.random() < 0.2:
                return None
            if r.random() < 0.4:
                return {
                    "type": "Sequence",
                    "pretokenizers": [self.pre_tokenizer(1) for _ in range(r.randrange(1, 4))],
                }
        return r.choice(kinds)()

    def metaspace(self) -> Json:
        scheme = self.r.choice(["always", "first", "never"])
        return {
            "type": "Metaspace",
            "replacement": self.r.choice([MARK, MARK, "_"]),
            "prepend_scheme": scheme,
            "split": self.flag(),
        }

    def decoder(self, depth: int = 0) -> Json | None:
        r = self.r
        kinds: list[Callable[[], Json]] = [
            lambda: {
                "type": "ByteLevel",
                "add_prefix_space": True,
                "trim_offsets": True,
                "use_regex": True,
            },
            lambda: self.metaspace(),
            lambda: {
                "type": "WordPiece",
                "prefix": r.choice(["##", "@", ""]),
                "cleanup": self.flag(),
            },
            lambda: {"type": "BPEDecoder", "suffix": r.choice(["</w>", "b", ""])},
            lambda: {
                "type": "CTC",
                "pad_token": r.choice(["<pad>", "a"]),
                "word_delimiter_token": r.choice(["|", "b"]),
                "cleanup": self.flag(),
            },
            lambda: {"type": r.choice(["ByteFallback", "Fuse"])},
            lambda: {
                "type": "Strip",
                "content": r.choice([" ", "a", MARK]),
                "start": r.randrange(3),
                "stop": r.randrange(3),
            },
            lambda: {
                "type": "Replace",
                "pattern": self.pattern(),
                "content": r.choice(["", " ", "b"]),
            },
        ]
        if depth == 0:
            if r.random() < 0.15:
                return None
            if r.random() < 0.5:
                return {
                    "type": "Sequence",
                    "decoders": [self.decoder(1) for _ in range(r.randrange(5))],
                }
        return r.choice(kinds)()

    def template(self, names: list[str]) -> Json:
        r = self.r

        def piece() -> Json:
            return {"SpecialToken": {"id": r.choice(names), "type_id": 0}}

        single = (
            [piece() for _ in range(r.randrange(3))]
            + [{"Sequence": {"id": "A", "type_id": 0}}]
            + [piece() for _ in range(r.randrange(3))]
        )
        pair = [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]
        special = {
            n: {"id": n, "ids": [self.id_of(n)] * r.choice([1, 1, 2]), "tokens": [n] * 2}
            for n in names
        }
        for value in special.values():
            value["tokens"] = value["tokens"][: len(value["ids"])]
        return {
            "type": "TemplateProcessing",
            "single": single,
            "pair": pair,
            "special_tokens": special,
        }

    def post_processor(self, names: list[str], depth: int = 0) -> Json | None:
        r = self.r
        names = [n for n in names if self.id_of(n) is not None]
        byte_level = {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": self.flag(),
            "use_regex": True,
        }
        if not names or r.random() < 0.2:
            return r.choice([None, byte_level])

        def pair() -> list[Any]:
            n = r.choice(names)
            return [n, self.id_of(n)]

        kinds: list[Callable[[], Json]] = [
            lambda: byte_level,
            lambda: self.template(names),
            lambda: {"type": "BertProcessing", "sep": pair(), "cls": pair()},
            lambda: {
                "type": "RobertaProcessing",
                "sep": pair(),
                "cls": pair(),
                "trim_offsets": True,
                "add_prefix_space": True,
            },
        ]
        if depth == 0 and r.random() < 0.3:
            return {
                "type": "Sequence",
                "processors": [
                    self.post_processor(names, 1) or byte_level for _ in range(r.randrange(3))
                ],
            }
        return r.choice(kinds)()

    def trained(self, front: Json, texts: list[str]) -> Json:
        """The model of a file, trained behind its normalizer and pre-tokenizer, then changed."""
        r = self.r
        kind = r.choice(["BPE", "BPE", "BPE", "Unigram", "WordPiece", "WordLevel"])
        empty = {
            "BPE": {"type": "BPE", "vocab": {}, "merges": []},
            "Unigram": {"type": "Unigram", "unk_id": None, "vocab": []},
            "WordPiece": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {},
            },
            "WordLevel": {"type": "WordLevel", "vocab": {}, "unk_token": "[UNK]"},
        }[kind]
        t = hf.Tokenizer.from_str(
            json.dumps(
                {
                    "version": "1.0",
                    "added_tokens": [],
                    "truncation": None,
                    "padding": None,
                    **front,
                    "post_processor": None,
                    "decoder": None,
                    "model": empty,
                }
            )
        )
        size, unk = r.choice([60, 150, 300]), r.choice(["<unk>", "[UNK]"])
        limit = r.choice([20, 40, 1000])
        trainer: Any
        if kind == "BPE":
            affix = r.random()
            affixes: Json = ({"continuing_subword_prefix": "##"} if affix < 0.15 else {}) | (
                {"end_of_word_suffix": "</w>"} if 0.1 < affix < 0.25 else {}
            )
            trainer = trainers.BpeTrainer(
                vocab_size=size,
                special_tokens=[unk],
                limit_alphabet=limit,
                show_progress=False,
                **affixes,
            )
        elif kind == "Unigram":
            trainer = trainers.UnigramTrainer(
                vocab_size=size + 600, special_tokens=[unk], unk_token=unk, show_progress=False
            )
        else:
            make = trainers.WordPieceTrainer if kind == "WordPiece" else trainers.WordLevelTrainer
            trainer = make(vocab_size=size, special_tokens=["[UNK]"], show_progress=False)
        t.train_from_iterator(texts, trainer)
        model = json.loads(t.to_str())["model"]
        changed: Json = getattr(self, "change_" + kind.lower())(model, unk)
        return changed

    def add_bytes(self, add: Callable[[str], object]) -> None:
        if self.flag():
            for byte in range(256):
                if self.r.random() < 0.97:
                    add(f"<0x{byte:02X}>")

    def change_bpe(self, model: Json, unk: str) -> Json:
        r, vocab = self.r, model["vocab"]
        self.add_bytes(lambda token: vocab.setdefault(token, len(vocab)))
        model["byte_fallback"], model["ignore_merges"], model["fuse_unk"] = (
            self.flag(),
            self.flag(),
            self.flag(),
        )
        model["unk_token"] = r.choice([unk, unk, None])
        if self.flag() and not model.get("continuing_subword_prefix"):
            r.shuffle(model["merges"])
        for word in r.sample(WORDS, 4):
            vocab.setdefault(word, len(vocab))
        return model

    def change_unigram(self, model: Json, unk: str) -> Json:
        r, seen = self.r, {t for t, _ in model["vocab"]}
        self.add_bytes(lambda token: token in seen or model["vocab"].append([token, 0.0]))
        model["byte_fallback"] = self.flag()
        kind = r.random()
        for pair in model["vocab"]:
            if kind < 0.3:
                pair[1] = -float(r.randrange(1, 5))
            elif kind < 0.5:
                pair[1] = -round(r.random() * 10, 3)
        return model

    def change_wordpiece(self, model: Json, unk: str) -> Json:
        model["max_input_chars_per_word"] = self.r.choice([3, 10, 100])
        return model

    def change_wordlevel(self, model: Json, unk: str) -> Json:
        return model

    def id_of(self, name: str) -> int | None:
        return self.t.token_to_id(name)

    def shorten(self, root: Json) -> None:
        """Leaves out a member that may have a default."""
        nodes = [
            root[k]
            for k in ("normalizer", "pre_tokenizer", "post_processor", "decoder", "model")
            if root[k]
        ]
        node = self.r.choice(nodes)
        keys = [k for k in node if k not in ("vocab", "merges")]
        del node[self.r.choice(keys)]

    def file(self) -> tuple[str, hf.Tokenizer, list[str]]:
        """A file as text, the reference's tokenizer for it, and its added tokens' texts."""
        r = self.r
        front = {"normalizer": self.normalizer(), "pre_tokenizer": self.pre_tokenizer()}
        model = self.trained(front, [self.text() for _ in range(150)] + WORDS)
        root: Json = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [],
            **front,
            "post_processor": None,
            "decoder": self.decoder(),
            "model": model,
        }
        self.t = hf.Tokenizer.from_str(json.dumps(root))
        added, forms = r.sample(CONTENTS, r.choice([0, 1, 3, 6])), set()
        for content in added:
            form = self.t.normalizer.normalize_str(content) if self.t.normalizer else content
            once = form not in forms  # of equal forms the reference takes any
            forms.add(form)
            special = self.flag()
            token = hf.AddedToken(
                content,
                lstrip=r.random() < 0.3,
                rstrip=r.random() < 0.3,
                single_word=r.random() < 0.3,
                normalized=once and self.flag(),
                special=special,
            )
            (self.t.add_special_tokens if special else self.t.add_tokens)([token])
        root = json.loads(self.t.to_str())
        root["post_processor"] = self.post_processor(added)
        if r.random() < 0.2:
            self.shorten(root)
        text = json.dumps(root, ensure_ascii=False)
        return text, hf.Tokenizer.from_str(text), added


def lmzoo(program: str, path: str, lines: Texts | Lists, *options: str) -> list[Any] | str:
    """One result a line, None for a line that lmzoo could not do;
    or the sentence that refuses the file."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    run = subprocess.run(
        [program, "tokenize", path, "--jsonl", *options],
        input=text.encode(),
        capture_output=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, MEMORY),
    )
    if run.returncode not in (0, 1):
        return (run.stderr.decode() or f"status {run.returncode}").strip()
    return [json.loads(line) for line in run.stdout.decode().split("\n")[:-1]]


def encoded(t: hf.Tokenizer, line: str, special: bool) -> list[int]:
    return t.encode(line, add_special_tokens=special).ids


def decoded(t: hf.Tokenizer, ids: list[int]) -> str:
    return t.decode(ids, skip_special_tokens=False)


def attempt(call: Callable[..., Any], *arguments: Any) -> Any:
    """What the call gives; None where the reference raises."""
    try:
        return call(*arguments)
    except BaseException as error:  # a panic of the reference is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return None


def compare(maker: Maker, program: str, path: str, n_texts: int, differs: Differs) -> str | None:
    """Runs one file; returns lmzoo's refusal or None."""
    made = attempt(maker.file)
    if made is None:
        return "(the reference refuses it)"
    text, t, added = made
    with open(path, "w") as out:
        out.write(text)
    texts = [maker.text(added) for _ in range(n_texts)]
    for options in ((), ("--add-special",), ("--plain",)):
        own = lmzoo(program, path, texts, *options)
        if isinstance(own, str):
            return own
        t.encode_special_tokens = "--plain" in options
        for line, got in zip(texts, own, strict=False):
            want = attempt(encoded, t, line, "--add-special" in options)
            if got != want and want is not None:
                differs("encode" + "".join(options), text, line, got, want)
    t.encode_special_tokens = False
    size = t.get_vocab_size(True) + 2
    lists = [
        [maker.r.randrange(size) for _ in range(maker.r.choice([0, 1, 3, 10]))]
        for _ in range(n_texts)
    ]
    lists += [ids for ids in (attempt(encoded, t, line, True) for line in texts) if ids is not None]
    own = lmzoo(program, path, lists, "--decode")
    for ids, got in zip(lists, own, strict=False):
        want = attempt(decoded, t, ids)
        if got != want and want is not None:
            differs("decode", text, ids, got, want)
    return None


def apart(call: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call in a process of its own: the reference may abort or exhaust memory."""
    read, write = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, MEMORY[1]))
        os.write(write, json.dumps(call(*arguments)).encode())
        sys.stdout.flush()
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else ["(the reference aborts)", 0]


def run_seed(seed: int, args: argparse.Namespace, folder: str) -> list[Any]:
    """One file; [why it was refused or None, number of differences]."""
    path = os.path.join(folder, f"{seed}.json")
    seen = []

    def differs(what: str, text: str, given: object, got: object, want: object) -> None:
        seen.append(what)
        if len(seen) > 3:
            return
        root = json.loads(text)
        parts = {
            k: root[k]
            for k in ("normalizer", "pre_tokenizer", "post_processor", "decoder", "added_tokens")
            if root.get(k)
        }
        parts["model"] = {k: v for k, v in root["model"].items() if k not in ("vocab", "merges")}
        if len(seen) == 1:
            print(f"{path}: {json.dumps(parts, ensure_ascii=True)}")
        print(f"  {what} {given!a}\n    lmzoo     {got!a}\n    reference {want!a}")

    refusal = compare(Maker(seed), args.lmzoo, path, args.texts, differs)
    if os.path.exists(path) and not seen and not args.keep:
        os.unlink(path)
    return [refusal and refusal.replace(path, "FILE"), len(seen)]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("lmzoo")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--texts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", default=None)
    args = parser.parse_args()
    folder = args.keep or tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    refusals: collections.Counter[str] = collections.Counter()
    bad = []
    for seed in range(args.seed, args.seed + args.files):
        refusal, n = apart(run_seed, seed, args, folder)
        if refusal:
            refusals[refusal] += 1
        if n:
            bad.append(seed)
    for sentence, n in refusals.most_common():
        print(f"refused {n}: {sentence}")
    print(f"{args.files} files, {sum(refusals.values())} refused, {len(bad)} differ {bad[:40]}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
