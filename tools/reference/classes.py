#!/usr/bin/env python3
"""Write what the reference's configuration classes read as data: one JSON file per model type.

    classes.py [--check] [--cards DIR] [-o DIR] [TYPE...]

Without TYPE: every type that a card of DIR (models.d) covers, and the text type of every wrapper
among them. Files go to DIR/classes. --check writes nothing: it compares with what lies there and
exits with 1 where they differ.

A file of a type holds

    keys      what the model's code reads: {key: {"type", "default"}}; keys without these are not
              fields of the class, and "absent" is the value that the code uses where the file has
              none
    inputs    the same for keys that only the class itself reads, for derivations
    unread    fields that neither reads, with their defaults
    names     attribute_map: {other spelling: key}
    rope      how rotary parameters are normalised into one form, and which members the model reads
              itself; "by_type": the model reads blocks by layer type though the class converts them
              as any other
    derived   derivations in the order of the class: {"key", "by": name of the derivation,
              arguments}; "by": "rope" is the place where the base class converts rotary parameters
              and takes over keys that are no fields
    parts     nested objects with classes of their own: {key: keys}
    text      of a wrapper: the member that holds the text part and the type it is read as; "or":
              the member that older files have in its place, and then keys "outer" beside it count
              too; "flat": the file may have the text part's keys at its top; "ties": "either": a
              tie of the text part counts too;
              "unscaled": factors and caps on logits that its own head does not apply, whatever the
              text part says; "placeholders": tokens that stand for images, videos or sound, with
              their defaults, and the row of the embedding that such a token has in a text;
              "beside": members of the wrapper, such as towers, with the keys that the embedding of
              a text's tokens reads of them, and their defaults

_common.json holds what is the same for all: the members that each rotary kind reads, older names of
layers, keys that choose code and not maths.

The class is read from its fields and from the source of `__post_init__`, statement by statement: a
statement that no rule here knows stops the tool with its text. What the model reads is every
`config.X` and `getattr(config, "X")` in the classes and functions that can be reached from its
causal-LM class in its modeling file.
"""

import argparse
import ast
import hashlib
import importlib.util
import inspect
import json
import os
import re
import sys
import textwrap
import types
import typing
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "critical"

from class_rules import RULES, SPECIAL, layer_list
from transformers import PreTrainedConfig, configuration_utils, modeling_rope_utils
from transformers.models.auto import configuration_auto, modeling_auto

Json: TypeAlias = dict[str, Any]

# What the base class and generation use, never a term of the forward pass.
BASE = {f.name for f in fields(PreTrainedConfig)} | {
    "use_cache",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "sep_token_id",
    "initializer_range",
    "attribute_map",
    "get_text_config",
    "to_dict",
    "is_encoder_decoder",
    "num_labels",
    "problem_type",
    "use_return_dict",
    "output_attentions",
    "_attn_implementation",
    "_experts_implementation",
    "name_or_path",
    "_name_or_path",
    "_output_attentions",
    "model_type",
    "sub_configs",
    "per_layer_config",
    "is_heterogeneous",
    "standardize_rope_params",
    "convert_rope_params_to_dict",
    "validate_rope",
    "rope_scaling",
    "quantization_config",
    "attn_implementation",
    "_attn_implementation_internal",
    "validate_layer_type",
    "classifier_dropout",
    "hidden_dropout",
    "router_aux_loss_coef",
    "output_router_logits",
    "tie_last_hidden_states",
    "default_theta",
    "nested_rope_parameter_keys",
    "base_model_tp_plan",
    "router_z_loss_coef",
}
# Keys that choose among kernels of the reference that compute the same.
CODE_CHOICES = {"use_mamba_kernels", "use_mambapy", "use_associative_scan", "use_falcon_mambapy"}
LEFT_OUT = {
    "_init_weights",
    "prepare_inputs_for_generation",
    "_init_added_embeddings_weights_with_mean",
    "load_balancing_loss_func",
    "_prepare_generation_config",
    "__repr__",
}
# Functions of the library that take the config: what each reads of it.
HELPERS = {
    "create_causal_mask": {"is_causal"},
    "create_sliding_window_causal_mask": {"is_causal", "sliding_window"},
    "create_chunked_causal_mask": {"attention_chunk_size"},
    "create_bidirectional_sliding_window_mask": {"sliding_window"},
    "ROPE_INIT_FUNCTIONS": {
        "rope_parameters",
        "head_dim",
        "hidden_size",
        "num_attention_heads",
        "max_position_embeddings",
    },
}
ALWAYS = {
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
}  # derivations and plans stand on them
ROPE = {
    "rope_theta",
    "rope_parameters",
    "rope_scaling",
    "partial_rotary_factor",
    "original_max_position_embeddings",
}


def is_config(node: ast.expr) -> bool:
    """config, text_config, self.config, self.model.config, self.config.get_text_config()"""
    if isinstance(node, ast.Name):
        return node.id in ("config", "text_config", "decoder_config", "layer_config", "rope_config")
    if isinstance(node, ast.Attribute):
        return node.attr in ("config", "text_config")
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Attribute) and node.value.attr == "per_layer_config"
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get_text_config"
    )


class Reader(ast.NodeVisitor):
    """Attributes of the config, members of rope_parameters and names used in one definition."""

    def __init__(self, text_only: bool) -> None:
        self.text_only = text_only
        self.keys: set[str] = set()
        self.fallbacks: dict[str, Any] = {}
        self.rope: set[str] = set()
        self.rope_absent: dict[str, float] = {}
        self.names: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name not in LEFT_OUT:
            self.generic_visit(node)

    def is_config(self, node: ast.expr) -> bool:
        return is_config(node) and (not self.text_only or "text_config" in ast.unparse(node))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if self.is_config(node.value):
            self.keys.add(node.attr)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self.names.add(node.id)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and node.value.isidentifier():
            self.names.add(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        f, args = node.func, node.args
        constant = next(
            (a.value for a in args if isinstance(a, ast.Constant) and isinstance(a.value, str)),
            None,
        )
        if (
            isinstance(f, ast.Name)
            and f.id in ("getattr", "hasattr")
            and args
            and self.is_config(args[0])
            and constant
        ):
            self.keys.add(constant)
            if len(args) > 2 and isinstance(args[2], ast.Constant):
                self.fallbacks[constant] = args[2].value
        if (
            isinstance(f, ast.Attribute)
            and f.attr == "get"
            and "rope_parameters" in ast.unparse(f.value)
            and constant
        ):
            self.rope.add(constant)
            usual = args[1].value if len(args) > 1 and isinstance(args[1], ast.Constant) else None
            if isinstance(usual, (int, float)) and usual not in (0, 1):
                self.rope_absent[constant] = usual
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if "rope_parameters" in ast.unparse(node.value) and isinstance(node.slice, ast.Constant):
            self.rope.add(str(node.slice.value))
        self.generic_visit(node)


def model_class(cls: type) -> type:
    for mapping in (modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING, modeling_auto.MODEL_MAPPING):
        found: Any = mapping.get(cls, None)
        if found:
            first: type = found[0] if isinstance(found, (tuple, list)) else found
            return first
    module = import_module(cls.__module__.replace("configuration_", "modeling_"))
    stem = cls.__name__.removesuffix("Config")
    part = stem.removesuffix("Text")
    for name in (
        stem + "ForCausalLM",
        stem + "Model",
        part + "TextModel",
        part + "ThinkerTextModel",
    ):
        if hasattr(module, name):
            named: type = getattr(module, name)
            return named
    sys.exit(f"classes.py: no model class for {cls.__name__}")


def read_model(cls: type) -> tuple[dict[str, Any], set[str], set[str], dict[str, float]]:
    """(keys with the value that getattr falls back to, members of rope_parameters, helpers, what
    stands for absent members) that can be reached from the model's class."""
    start = model_class(cls)
    tree = ast.parse(Path(inspect.getfile(start)).read_text())
    top = [
        n for node in tree.body for n in (ast.walk(node) if isinstance(node, ast.If) else [node])
    ]
    known = {n.name: n for n in top if isinstance(n, (ast.ClassDef, ast.FunctionDef))}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known[node.targets[0].id] = node  # type: ignore[assignment]
    todo, seen = [start.__name__], set()
    if not start.__name__.endswith("ForCausalLM"):  # the wrapper's head belongs to the text part
        todo += [n for n in known if n.endswith("ForConditionalGeneration")]
    keys: set[str] = set()
    rope: set[str] = set()
    helpers: set[str] = set()
    absent: dict[str, float] = {}
    fallbacks: dict[str, Any] = {"is_causal": True}
    family = cls.__name__.removesuffix("Config").removesuffix("Text")
    while todo:
        name = todo.pop()
        own = name.removeprefix(family)
        if name in seen or "Vision" in own or "Audio" in own or name in LEFT_OUT:
            continue
        seen.add(name)
        if name in HELPERS:
            helpers.add(name)
            keys |= HELPERS[name]
        if name not in known:
            continue
        reader = Reader(name.endswith("ForConditionalGeneration"))
        reader.visit(known[name])
        keys |= reader.keys
        fallbacks.update(reader.fallbacks)
        rope |= reader.rope
        absent.update(reader.rope_absent)
        if not reader.text_only:
            todo += [n for n in reader.names if n in known or n in HELPERS]
    return {k: fallbacks.get(k, MISSING) for k in sorted(keys)}, rope, helpers, absent


def own_classes(cls: type) -> list[type]:
    return [k for k in cls.__mro__ if issubclass(k, PreTrainedConfig) and k is not PreTrainedConfig]


def properties(cls: type) -> dict[str, str]:
    """Properties that the class computes: name and source."""
    found: dict[str, str] = {}
    for k in own_classes(cls):
        for name, value in vars(k).items():
            if isinstance(value, property) and value.fget:
                found.setdefault(name, textwrap.dedent(inspect.getsource(value.fget)))
    return found


def json_type(annotation: Any) -> str:
    """JSON types that the strict class takes, as "int|null"; "" where any is taken."""
    names: list[str] = []

    def add(a: Any) -> None:
        origin = typing.get_origin(a)
        if origin is typing.Annotated:
            add(typing.get_args(a)[0])
        elif origin in (typing.Union, types.UnionType):
            for x in typing.get_args(a):
                add(x)
        elif origin is typing.Literal:
            for x in typing.get_args(a):
                add(type(x))
        else:
            base = origin or a
            kinds = {int: "int", float: "float", bool: "bool", str: "str", type(None): "null"}
            word = kinds.get(base)
            if base is None:
                word = "null"
            if word is None and inspect.isclass(base):
                if typing.is_typeddict(base) or issubclass(base, (dict, PreTrainedConfig)):
                    word = "dict"
                elif issubclass(base, (list, tuple)) or base.__name__ == "Sequence":
                    word = "list"
            names.append(word or "any")

    add(annotation)
    return "" if "any" in names else "|".join(dict.fromkeys(names))


def plain(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return {"__float__": "Infinity" if value > 0 else "-Infinity"}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return plain(vars(value)) if hasattr(value, "__dict__") else str(value)


def class_fields(cls: type) -> Json:
    """{key: {"type", "default"}} of all fields, in their order."""
    out: Json = {}
    for f in fields(cls):
        entry: Json = {}
        kind = json_type(f.type)
        if kind:
            entry["type"] = kind
        if f.default is not MISSING:
            entry["default"] = plain(f.default)
        elif f.default_factory is not MISSING:
            entry["default"] = plain(f.default_factory())
        out[f.name] = entry
    return out


def post_init(cls: type) -> list[Json]:
    """Derivations of the class, those of its parents where it calls them;
    the base class is {"by": "rope"}."""
    chain = [k for k in own_classes(cls) if "__post_init__" in vars(k)]
    return translate(chain, 0) if chain else [{"by": "rope"}]


def digest(source: str) -> str:
    return hashlib.sha256(ast.unparse(ast.parse(source)).encode()).hexdigest()[:12]


def source_of(cls: type) -> str:
    return textwrap.dedent(inspect.getsource(vars(cls)["__post_init__"]))


def translate(chain: list[type], at: int) -> list[Json]:
    if at >= len(chain):
        return [{"by": "rope"}]
    cls = chain[at]
    source = source_of(cls)
    if cls.__name__ in SPECIAL:
        want, steps = SPECIAL[cls.__name__]
        if digest(source) != want:
            sys.exit(
                f"classes.py: {cls.__name__}.__post_init__ has changed ({digest(source)}); read "
                "it again"
            )
        return [dict(s) for s in steps]
    out: list[Json] = []
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    for statement in function.body:
        text = ast.unparse(statement)
        if "__post_init__(" in text and text.startswith(
            ("super()", "return super()", "PreTrainedConfig.")
        ):
            out += (
                translate(chain, at + 1)
                if text.startswith(("super()", "return"))
                else [{"by": "rope"}]
            )
            continue
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        out += rule_of(cls, statement, text)
    block = next((s.pop("block") for s in out if "block" in s), None)
    for step in out:
        if step.get("by") == "block":
            step.update(by="value", value=block)
    return [s for s in out if s]


def rule_of(cls: type, statement: ast.stmt, text: str) -> list[Json]:
    for pattern, make in RULES:
        match = re.fullmatch(pattern, text, re.S)
        if match:
            try:
                made = make(*match.groups())
            except ValueError:  # no literal
                continue
            return made if isinstance(made, list) else [made]
    found = layer_list(statement)
    if found:
        return [found]
    sys.exit(
        f"classes.py: {cls.__name__}.__post_init__ ({digest(source_of(cls))}) does what no rule "
        f"knows:\n{text}"
    )


def modeling_source(cls: type) -> str:
    """The modeling file beside the configuration class's."""
    name = cls.__module__.replace(".configuration_", ".modeling_")
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).read_text() if spec and spec.origin else ""


def rope_of(cls: type, model: set[str], members: set[str], helpers: set[str]) -> Json | None:
    """How rotary parameters are converted, or None where the model has none."""
    if not (model & {"rope_parameters", "rope_scaling"}) and "ROPE_INIT_FUNCTIONS" not in helpers:
        return None
    names = {f.name for f in fields(cls)}
    if "rope_parameters" not in names:
        return (
            {"how": "late", "theta": getattr(cls, "default_theta", None)}
            if "rope_theta" in names
            else None
        )
    converter = next(
        (k for k in own_classes(cls) if "convert_rope_params_to_dict" in vars(k)), None
    )
    how = "standard"
    if converter:
        source = inspect.getsource(vars(converter)["convert_rope_params_to_dict"])
        how = (
            "by_layer"
            if "rope_local_base_freq" in source
            else "by_layer_named"
            if "local_rope_theta" in source
            else "by_layer_same"
            if '"sliding_attention": {"rope_type": "default"}' in source
            else "rotary_pct"
            if "rotary_pct" in source
            else "longrope"
            if "longrope" in source
            else "xdrope"
            if '"xdrope"' in source
            else "mrope"
            if '"mrope"' in source
            else "rotary_dim"
            if "rotary_dim" in source
            else "typed"
            if "self.standardize_rope_params()" in source and "isdisjoint" in source
            else "standard"
            if "PreTrainedConfig.convert_rope_params_to_dict(self" in source
            or "nested_rope_parameter_keys" in source
            else "none"
        )
    theta = getattr(cls, "default_theta", None)
    out: Json = {"how": how, "theta": theta}
    share = re.search(r'"rotary_pct", ([\d.]+)\)', source) if how == "rotary_pct" else None
    if share and float(share.group(1)) != 0.25:
        out["share"] = float(share.group(1))
    labels = getattr(cls, "_rope_type_labels", None)
    if labels:
        out["labels"] = list(labels)
    elif how == "standard" and "rope_parameters[layer_type]" in modeling_source(cls):
        out["by_type"] = True
    own = sorted(
        members - {"rope_type", "rope_theta", "full_attention", "sliding_attention", "type"}
    )
    if own:
        out["reads"] = own
    if any(
        "self.original_max_position_embeddings = self.rope_parameters" in inspect.getsource(k)
        for k in own_classes(cls)
    ):
        out["original"] = "block"
    if "ROPE_INIT_FUNCTIONS" not in helpers:
        out["kinds"] = ["default"]
    return out


def text_part(cls: type) -> Json | None:
    specs = getattr(cls, "sub_configs_defaults", None) or {}
    for key in ("text_config", "thinker_config", "llm_config", "language_config"):
        if key in specs:
            spec = specs[key]
            fixed = (
                issubclass(spec.config_class, PreTrainedConfig)
                and spec.config_class is not PreTrainedConfig
            )
            kind = spec.config_class.model_type if fixed else spec.model_type
            return {"key": key, "type": kind, "by_type": not fixed}
    return None


def parts_of(cls: type) -> Json:
    """Sub-objects that are no text part and have a class beside this one, such as attn_config."""
    out: Json = {}
    module = import_module(cls.__module__)
    for f in fields(cls):
        if not f.name.endswith("_config") or f.name in (
            getattr(cls, "sub_configs_defaults", None) or {}
        ):
            continue
        stem = f.name.removesuffix("_config")
        for name, value in vars(module).items():
            words = {"attn": "Attention", "ffn": "FFN"}
            if name.endswith(words.get(stem, stem.title()) + "Config") and value is not cls:
                kept = {k: v for k, v in class_fields(value).items() if k not in BASE}
                made = value()
                for key, entry in kept.items():
                    entry["default"] = plain(getattr(made, key))
                out[f.name] = kept
    return out


NAMING = (
    "key",
    "of",
    "n",
    "period",
    "at",
    "every",
    "prefix",
    "prefix_period",
    "below",
    "if",
    "unless",
    "needs",
    "without",
    "list",
    "reads",
)


def derived_names(steps: list[Json]) -> set[str]:
    """Keys that derivations read or write."""
    found: set[str] = set()

    def add(value: Any) -> None:
        if isinstance(value, str):
            found.add(value.split(".")[0])
        elif isinstance(value, list):
            for v in value:
                add(v)
        elif isinstance(value, dict):
            add(value.get("key"))

    for step in steps:
        for name in NAMING:
            if name != "of" or step["by"] not in LISTS:
                add(step.get(name))
    return found


LISTS = {"first", "periodic", "where", "cycle", "numbered", "prefix_pattern", "enumerated"}


HEAD_FACTORS = (
    "logit_scale",
    "logits_scaling",
    "final_logit_softcapping",
    "output_multiplier",
    "lm_head_multiplier",
)


def head_factors(cls: type) -> list[str]:
    """Of HEAD_FACTORS those that the wrapper's head leaves out: all that its own file does not
    name, where it has a head of its own."""
    found = modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING.get(cls, None)
    model = found[0] if isinstance(found, (tuple, list)) else found
    if not model or "self.lm_head(" not in inspect.getsource(model.forward):
        return []
    source = Path(inspect.getfile(model)).read_text()
    return [f for f in HEAD_FACTORS if f not in source]


def passes_causal(cls: type) -> bool:
    """Whether the wrapper's model, or the one with a head,
    passes its own is_causal to the text part."""
    models: list[Any] = [
        m.get(cls, None)
        for m in (modeling_auto.MODEL_MAPPING, modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING)
    ]
    return any(m and "@merge_with_config_defaults" in inspect.getsource(m.forward) for m in models)


def placeholders(cls: type) -> Json | None:
    """Tokens whose row of the embedding the wrapper's model replaces by another one's. A token
    outside the vocabulary is no token of a text."""
    found = modeling_auto.MODEL_MAPPING.get(cls, None)
    model = found[0] if isinstance(found, (tuple, list)) else found
    if not model:
        return None
    forward = inspect.getsource(model.forward)
    embedded = set(re.findall(r"get_input_embeddings\(\)\((\w+)\)", forward))
    if embedded <= {"input_ids"} or "self.config.image_token_id >= self.vocab_size" in forward:
        return None
    row = re.search(
        r"torch\.where\(\w+, self\.config\.text_config\.(\w+), llm_input_ids\)", forward
    )
    fixed = re.search(r"llm_input_ids\[\w+\] = (\d+)\n", forward)
    source = forward
    if "self.get_placeholder_mask(input_ids, inputs_embeds)\n" in forward:
        source = inspect.getsource(model.get_placeholder_mask)
    tokens = re.findall(r"input_ids == self\.config\.(\w+)", source)
    if not tokens or bool(row) == bool(fixed):
        raise SystemExit(
            f"classes.py: {model.__name__}.forward embeds {embedded}: no rule knows how"
        )
    made = cls()
    out: Json = {"tokens": {t: getattr(made, t) for t in tokens}}
    if row:
        out["row"] = {"key": row.group(1), "default": getattr(made.text_config, row.group(1))}
    else:
        out["row"] = int(fixed.group(1)) if fixed else 0
    return out


def beside(cls: type) -> Json:
    """Keys of towers that embed some of a text's tokens: `self.embed_x(input_ids=...)` in the
    wrapper's model, made of a tower's config."""
    found = modeling_auto.MODEL_MAPPING.get(cls, None)
    model = found[0] if isinstance(found, (tuple, list)) else found
    if not model:
        return {}
    made, out = inspect.getsource(model.__init__), {}
    for name in re.findall(r"self\.(embed_\w+)\(input_ids=", inspect.getsource(model.forward)):
        how = re.search(rf"self\.{name} = (\w+)\(config\.(\w+), ", made)
        if not how:
            raise SystemExit(f"classes.py: {model.__name__}.{name}: no rule knows how it is made")
        embedder = getattr(sys.modules[model.__module__], how.group(1))
        keys = re.findall(r"multimodal_config\.(\w+)", inspect.getsource(embedder.__init__))
        part = getattr(cls(), how.group(2))
        out[how.group(2)] = {key: plain(getattr(part, key)) for key in keys}
    return out


def make(model_type: str) -> Json:
    cls = configuration_auto.CONFIG_MAPPING[model_type]
    out: Json = {"class": cls.__name__}
    part = text_part(cls)
    every = class_fields(cls)
    if part:
        tie = every.get("tie_word_embeddings")
        out["text"] = part
        out["keys"] = {"tie_word_embeddings": tie or {"default": False}}
        if passes_causal(cls):
            out["keys"]["is_causal"] = {"absent": True}
        chain = [k for k in own_classes(cls) if "__post_init__" in vars(k)]
        source = source_of(chain[0]) if chain else ""
        if "tie_word_embeddings" in source:
            out["ties"] = "either"
        unscaled = head_factors(cls)
        if unscaled:
            out["unscaled"] = unscaled
        replaced = placeholders(cls)
        if replaced:
            out["placeholders"] = replaced
        towers = beside(cls)
        if towers:
            out["beside"] = towers
        if re.search(
            r"text_params|self\.text_config = (kwargs$|\w+\(\*\*kwargs)", source, re.MULTILINE
        ):
            out["flat"] = True
        older = re.search(
            r"self\.text_config = kwargs\.pop\('(\w+)', \{\}\)", ast.unparse(ast.parse(source))
        )
        if older:
            out["text"]["or"] = older.group(1)
            out["text"]["outer"] = re.findall(
                r"self\.text_config\['(\w+)'\] = kwargs", ast.unparse(ast.parse(source))
            )
        return out
    reads, members, helpers, absent = read_model(cls)
    names = dict(getattr(cls, "attribute_map", None) or {})
    model = {names.get(k, k) for k in reads}
    made = properties(cls)
    for name in [n for n in made if n in model]:
        model |= {names.get(k, k) for k in re.findall(r"self\.(\w+)", made[name])}
    model |= {"vocab_size", "max_position_embeddings", "tie_word_embeddings"} & {
        names.get(k, k) for k in every
    }
    if "tie_word_embeddings" not in every:
        every["tie_word_embeddings"] = {"default": False}
        model.add("tie_word_embeddings")
    steps = post_init(cls)
    rope = rope_of(cls, model, members, helpers)
    if rope and absent:
        rope["absent"] = absent
    used = derived_names(steps)
    if rope is None:
        model -= ROPE
    skip = (BASE | CODE_CHOICES) - ({"per_layer_config"} if "per_layer_config" in reads else set())
    model_source = inspect.getsource(import_module(model_class(cls).__module__))
    if "create_position_ids_from_input_ids(" in model_source:
        skip = skip - {"pad_token_id"}  # positions leave padding out
    if "initializer_range" in used:
        skip = skip - {"initializer_range"}  # a factor is made of it
    if "self.eos_token_id = config.eos_token_id" in model_source:
        skip = skip - {"eos_token_id"}  # n-grams of tokens end there
    parts = parts_of(cls)
    out["keys"] = {k: v for k, v in every.items() if names.get(k, k) in model and k not in skip}
    for k in sorted(model - set(out["keys"]) - skip - set(made)):
        inside = any(k in part for part in parts.values())
        if not callable(getattr(cls, k, None)) and k not in ROPE and k[0] != "_" and not inside:
            out["keys"][k] = {} if reads.get(k, MISSING) is MISSING else {"absent": reads[k]}
    inputs = {
        k: v
        for k, v in every.items()
        if k not in out["keys"]
        and k not in skip
        and (names.get(k, k) in used | ALWAYS or k in used | ALWAYS or (rope and k in ROPE))
    }
    for k in sorted(
        used - set(every) - set(out["keys"]) - set(names) - {"mamba_intermediate"} - ROPE
    ):
        inputs[k] = {}
    if inputs:
        out["inputs"] = inputs
    unread = {
        k: v.get("default")
        for k, v in every.items()
        if k not in out["keys"] and k not in inputs and k not in skip
    }
    if unread:
        out["unread"] = unread
    if names:
        out["names"] = {a: b for a, b in names.items() if b in out["keys"] or b in inputs}
    if rope:
        out["rope"] = rope
    if parts:
        out["parts"] = parts
    out["derived"] = steps
    return out


def dump(value: Json) -> str:
    """JSON with one key or derivation a line."""
    lines: list[str] = []
    for name, part in value.items():
        if isinstance(part, dict) and name in ("keys", "inputs", "rope_kinds", "renamed_layers"):
            rows = [f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in part.items()]
            lines.append(
                f"  {json.dumps(name)}: {{\n" + ",\n".join(rows) + "\n  }"
                if rows
                else f'  "{name}": {{}}'
            )
        elif isinstance(part, list):
            rows = [f"    {json.dumps(v)}" for v in part]
            lines.append(f"  {json.dumps(name)}: [\n" + ",\n".join(rows) + "\n  ]")
        else:
            lines.append(f"  {json.dumps(name)}: {json.dumps(part)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def common() -> Json:
    """What holds for all classes: members that each rotary kind reads,
    names of layers of older files."""
    tree = ast.parse(inspect.getsource(modeling_rope_utils))
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    kinds: Json = {}
    for kind, function in modeling_rope_utils.ROPE_INIT_FUNCTIONS.items():
        read: set[str] = set()
        for node in ast.walk(functions[function.__name__]):
            if isinstance(node, ast.Subscript):
                holder, key = node.value, node.slice
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                holder, key = node.func.value, node.args[0]
            else:
                continue
            if "rope_parameters" in ast.unparse(holder) and isinstance(key, ast.Constant):
                read.add(str(key.value))
        kinds[kind] = sorted(read - {"rope_theta"})
    return {
        "rope_kinds": kinds,
        "renamed_layers": dict(configuration_utils._LEGACY_LAYER_TYPE_REMAP),
        "code_choices": sorted(CODE_CHOICES),
    }


# Wrappers of a decoder's kind that write no text.
NO_TEXT = {"grounding-dino", "mm-grounding-dino", "vision-text-dual-encoder"}


def card_types(folder: Path) -> list[str]:
    """Types of all cards that compute something,
    with the text types of wrappers and the wrappers of text types."""
    wanted: list[str] = []
    for path in sorted(folder.glob("*.json")):
        card = json.loads(path.read_text())
        if "refused" in card or "model_type" not in card:
            continue
        named = card["model_type"]
        wanted += [named] if isinstance(named, str) else named
    known = configuration_auto.CONFIG_MAPPING
    out: dict[str, None] = {}
    for name in wanted:
        if name not in known:
            continue
        out[name] = None
        part = text_part(known[name])
        if part and part["type"] in known:
            out[part["type"]] = None
    for name, cls in known.items():
        part = text_part(cls)
        if part and part["type"] in out and name not in NO_TEXT:
            out[name] = None
    return list(out)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write models.d/classes from transformers.")
    parser.add_argument("--check", action="store_true")
    parser.add_argument(
        "--cards", type=Path, default=Path(__file__).resolve().parents[2] / "models.d"
    )
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("types", nargs="*")
    args = parser.parse_args()
    out = args.out or args.cards / "classes"
    wanted = args.types or card_types(args.cards)
    differ = []
    files = {name: make(name) for name in wanted}
    if not args.types:
        files["_common"] = common()
    for name, value in files.items():
        text = dump(value)
        path = out / f"{name}.json"
        if args.check:
            if not path.exists() or path.read_text() != text:
                differ.append(name)
        else:
            out.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(
                "written:",
                path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path,
            )
    if differ:
        print("classes.py: these differ from the reference:", ", ".join(differ))
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
