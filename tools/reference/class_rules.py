"""Rules for classes.py: which statement of a `__post_init__` is which derivation.

RULES are patterns over statements as ast.unparse writes them; layer_list reads lists over the
layers; SPECIAL names the classes whose whole method is one derivation or a few, with a digest of
the source that was read.
"""

import ast
import re
from collections.abc import Callable
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


def constant(text: str) -> Any:
    """A literal, or {} of literals and self.X, which become {"key": X}."""
    node = ast.parse(text, mode="eval").body
    return literal(node)


def literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Dict):
        return {
            literal(k): literal(v)
            for k, v in zip(node.keys, node.values, strict=True)
            if k is not None
        }
    if isinstance(node, ast.List):
        return [literal(v) for v in node.elts]
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    ):
        return {"key": node.attr}
    return ast.literal_eval(node)


def when_null(key: str, **more: Any) -> Json:
    return {"key": key, **more, "when": "null"}


def default_block(key: str, text: str) -> Json:
    return when_null(key, by="value", value=constant(text))


SELF = r"self\.(\w+)"
RULES: list[tuple[str, Callable[..., Any]]] = [
    # checks, text ids, training
    (r"self\.(?:standardize_rope_params|validate_rope|validate_layer_type)\(\)", lambda: []),
    (r"if self\.eos_token_id is None:.*", lambda: []),
    (r"self\.eos_token_id = .*", lambda: []),
    (
        r"self\.layer_types = \['(\w+)'\] \* self\.num_hidden_layers "
        r"if self\.layer_types is None else list\(self\.layer_types\)",
        lambda a: when_null("layer_types", by="first", of=[a, a], n=0),
    ),
    (
        r"self\.(?:time_step_limit|layer_types|block_types) = .*(?:tuple|list)\(self\.\w+\).*",
        lambda: [],
    ),
    (r"self\.(?:final_w_init_variance_scale|embedding_initializer_range) = .*", lambda: []),
    (r"if self\.initializer_range is None:.*", lambda: []),
    (r"if 'layer_types' in kwargs:\n    logger.*", lambda: []),
    (r"if isinstance\(self\.vision_config, dict\).*", lambda: []),
    (r"self\.use_mambapy = .*", lambda: []),
    (r"if self\.num_mtp_layers:.*", lambda: []),
    (r"if self\.rope_scaling_layers is None:.*", lambda: []),
    (r"rope_parameters = getattr\(self, 'rope_parameters', None\)", lambda: []),
    (r"head_dim = self\.head_dim if self\.head_dim is not None else .*", lambda: []),
    (r"self\._validate_mrope_section\(.*\)", lambda: []),
    (r"default_rope_params: .* = (\{.*\})", lambda text: {"block": constant(text)}),
    # one key from others
    (
        rf"if {SELF} is None:\n    self\.\w+ = self\.(\w+)",
        lambda a, b: when_null(a, by="same", of=b),
    ),
    (
        rf"{SELF} = self\.\w+ if self\.\w+ is not None else self\.(\w+)",
        lambda a, b: when_null(a, by="same", of=b),
    ),
    (
        rf"{SELF} = self\.(\w+) if self\.(\w+) is None else self\.\w+",
        lambda a, b, c: when_null(a, by="same", of=b),
    ),
    (rf"{SELF} = {SELF}", lambda a, b: {"key": a, "by": "same", "of": b}),
    (rf"{SELF} = {SELF} \+ {SELF}", lambda a, b, c: {"key": a, "by": "sum", "of": [b, c]}),
    (
        rf"if {SELF} is None:\n    self\.\w+ = self\.(\w+) \+ self\.(\w+)",
        lambda a, b, c: when_null(a, by="sum", of=[b, c]),
    ),
    (
        rf"if {SELF} is None:\n    self\.\w+ = {SELF} // {SELF}",
        lambda a, b, c: when_null(a, by="quotient", of=[b, c]),
    ),
    (
        rf"{SELF} = self\.\w+ if self\.\w+ is not None else {SELF} // {SELF}",
        lambda a, b, c: when_null(a, by="quotient", of=[b, c]),
    ),
    (
        rf"{SELF} = self\.\w+ or {SELF} // {SELF}",
        lambda a, b, c: {"key": a, "by": "quotient", "of": [b, c], "when": "falsy"},
    ),
    (
        rf"{SELF} = self\.\w+ or 2 \* {SELF} // {SELF}",
        lambda a, b, c: {"key": a, "by": "quotient", "of": [[2, b], c], "when": "falsy"},
    ),
    (
        rf"{SELF} = 2 \* {SELF} // {SELF}",
        lambda a, b, c: {"key": a, "by": "quotient", "of": [[2, b], c]},
    ),
    (rf"{SELF} = {SELF} // {SELF}", lambda a, b, c: {"key": a, "by": "quotient", "of": [b, c]}),
    (
        rf"{SELF} = int\({SELF} \* {SELF}\) // {SELF}",
        lambda a, b, c, d: {"key": a, "by": "quotient", "of": [[b, c], d]},
    ),
    (
        rf"{SELF} = int\({SELF} \* {SELF}\)",
        lambda a, b, c: {"key": a, "by": "product", "of": [b, c]},
    ),
    (
        rf"{SELF} = self\.\w+ or (\d+) \* {SELF}",
        lambda a, n, b: {"key": a, "by": "product", "of": [int(n), b], "when": "falsy"},
    ),
    (rf"{SELF} = (\d+) \* {SELF}", lambda a, n, b: {"key": a, "by": "product", "of": [int(n), b]}),
    (
        rf"{SELF} = self\.\w+ if self\.\w+ is not None else (\d+) \* {SELF}",
        lambda a, n, b: when_null(a, by="product", of=[int(n), b]),
    ),
    (
        rf"if {SELF} is None:\n    self\.\w+ = {SELF} \* (\d+)",
        lambda a, b, n: when_null(a, by="product", of=[b, int(n)]),
    ),
    (
        rf"if {SELF} is None:\n    self\.\w+ = {SELF} \*\* \(?-0\.5\)?",
        lambda a, b: when_null(a, by="inverse_root", of=b),
    ),
    (
        rf"if {SELF} is None:\n    self\.\w+ = 1\.0 / {SELF}",
        lambda a, b: when_null(a, by="inverse", of=b),
    ),
    (
        r"if self\.num_layers_per_stack is None:.*",
        lambda: when_null("num_layers_per_stack", by="same", of="num_hidden_layers"),
    ),
    (
        rf"if {SELF} is None:\n    self\.\w+ = math\.sqrt\({SELF}\)",
        lambda a, b: when_null(a, by="root", of=b),
    ),
    (
        rf"{SELF} = math\.ceil\({SELF} / 16\) if self\.\w+ == 'auto' else self\.\w+",
        lambda a, b: {"key": a, "by": "quotient", "of": [b, 16], "up": True, "when": "auto"},
    ),
    (
        rf"if {SELF} == 'auto':\n    self\.\w+ = self\.mamba_expand \* self\.hidden_size // {SELF}",
        lambda a, b: {
            "key": a,
            "by": "quotient",
            "of": [["mamba_expand", "hidden_size"], b],
            "when": "auto",
        },
    ),
    (
        r"mamba_intermediate = self\.mamba_expand \* self\.hidden_size",
        lambda: {
            "key": "mamba_intermediate",
            "by": "product",
            "of": ["mamba_expand", "hidden_size"],
        },
    ),
    (
        r"mamba_intermediate = self\.mamba_expand \* self\.hidden_size if self\.mamba_d_ssm is "
        r"None else self\.mamba_d_ssm",
        lambda: [
            {
                "key": "mamba_intermediate",
                "by": "product",
                "of": ["mamba_expand", "hidden_size"],
                "without": "mamba_d_ssm",
            },
            {"key": "mamba_intermediate", "by": "spelled", "of": "mamba_d_ssm"},
        ],
    ),
    (
        rf"if {SELF} == 'auto':\n    self\.\w+ = mamba_intermediate // {SELF}",
        lambda a, b: {"key": a, "by": "quotient", "of": ["mamba_intermediate", b], "when": "auto"},
    ),
    (
        rf"{SELF} = self\.num_hidden_layers - 1 if self\.\w+ == -1 else self\.\w+",
        lambda a: {"key": a, "by": "last_layer", "when": "minus_one"},
    ),
    # constants
    (
        rf"if {SELF} is None:\n    self\.\w+ = default_rope_params",
        lambda a: when_null(a, by="block"),
    ),
    (rf"if {SELF} is None:\n    self\.\w+ = ([\[{{].*[\]}}]|-?[\d._]+)", default_block),
    (
        rf"{SELF} = \[\] if self\.\w+ is None else sorted\(set\(self\.\w+\)\)",
        lambda a: when_null(a, by="value", value=[]),
    ),
    (r"self\.number_of_conv_states = .*", lambda: []),
    (
        rf"{SELF} = \[\] if self\.\w+ is None else self\.\w+",
        lambda a: when_null(a, by="value", value=[]),
    ),
    (
        rf"{SELF} = (None|\d+|'\w+')",
        lambda a, v: {"key": a, "by": "value", "value": ast.literal_eval(v)},
    ),
    (
        rf"{SELF} = self\.\w+ if {SELF} else (None|0)",
        lambda a, b, v: {"key": a, "by": "value", "value": ast.literal_eval(v), "unless": b},
    ),
    (
        rf"{SELF} = int\(self\.\w+\) if self\.\w+ else None",
        lambda a: {"key": a, "by": "value", "value": None, "unless": a},
    ),
    (
        r"if self\.sliding_window is None:\n    self\.sliding_window_pattern = 0",
        lambda: {
            "key": "sliding_window_pattern",
            "by": "value",
            "value": 0,
            "without": "sliding_window",
        },
    ),
    (
        r"if self\.hidden_act == 'gelu':.*self\.hidden_act = 'gelu_pytorch_tanh'",
        lambda: {"key": "hidden_act", "by": "value", "value": "gelu_pytorch_tanh", "is": "gelu"},
    ),
    (
        r"kwargs\.setdefault\('(\w+)', ([\d.]+)\)",
        lambda a, v: {"key": a, "by": "value", "value": ast.literal_eval(v), "when": "absent"},
    ),
    (
        r"kwargs\['(\w+)'\] = ([\d.]+)",
        lambda a, v: {"key": a, "by": "value", "value": ast.literal_eval(v), "kwargs": True},
    ),
    (
        r"if self\.use_long_context:\n    self\.max_position_embeddings = 16384",
        lambda: {
            "key": "max_position_embeddings",
            "by": "value",
            "value": 16384,
            "if": "use_long_context",
        },
    ),
    (
        r"if self\.use_bidirectional_attention:.*self\.sliding_window = self\.sliding_window // 2 "
        r"\+ 1",
        lambda: {"key": "sliding_window", "by": "both_ways", "if": "use_bidirectional_attention"},
    ),
    # other spellings
    (r"n_embed = kwargs\.pop\('n_embed', None\)", lambda: []),
    (
        r"self\.hidden_size = self\.hidden_size if n_embed is None else n_embed",
        lambda: {"key": "hidden_size", "by": "spelled", "of": "n_embed"},
    ),
    (
        rf"{SELF} = kwargs\.pop\('(\w+)'\) if '\w+' in kwargs else self\.\w+",
        lambda a, b: {"key": a, "by": "spelled", "of": b, "null": True},
    ),
    (
        rf"{SELF} = kwargs\.pop\('(\w+)', self\.\w+\)",
        lambda a, b: {"key": a, "by": "spelled", "of": b, "null": True},
    ),
    (
        r"if \(num_experts := kwargs\.get\('num_experts'\)\) is not None:\n    "
        r"self\.n_routed_experts = num_experts",
        lambda: {"key": "n_routed_experts", "by": "spelled", "of": "num_experts"},
    ),
    (
        r"if kwargs\.get\('sliding_window_size'\) is not None:\n    self\.sliding_window = "
        r"kwargs\['sliding_window_size'\] \+ 1",
        lambda: {"key": "sliding_window", "by": "spelled", "of": "sliding_window_size", "plus": 1},
    ),
    (
        r"self\._sliding_window_pattern = kwargs\.get\('sliding_window_pattern', 6\)",
        lambda: {"key": "sliding_window_pattern", "by": "value", "value": 6, "when": "absent"},
    ),
    (
        r"self\.rope_parameters\.setdefault\('partial_rotary_factor', self\.qk_rope_head_dim / "
        r"self\.head_dim\)",
        lambda: {"by": "rope_share"},
    ),
    # layers
    (
        r"if self\.mlp_layer_types is None:\n    n_dense = min\(self\.first_k_dense_replace, "
        r"self\.num_hidden_layers\)\n.*",
        lambda: when_null(
            "mlp_layer_types", by="first", of=["dense", "sparse"], n="first_k_dense_replace"
        ),
    ),
    (
        r"if self\.(\w+) is None:\n    first_k_dense_replace = "
        r"kwargs\.pop\('first_k_dense_replace', 1\)\n"
        r"    moe_layer_freq = kwargs\.pop\('moe_layer_freq', 1\)\n.*",
        lambda a: [
            {"key": "first_k_dense_replace", "by": "value", "value": 1, "when": "absent"},
            {"key": "moe_layer_freq", "by": "value", "value": 1, "when": "absent"},
            when_null(
                a,
                by="first",
                of=["dense", "sparse"],
                n="first_k_dense_replace",
                every="moe_layer_freq",
            ),
        ],
    ),
    (
        r"if self\.layer_types is None:\n    interval_pattern = "
        r"kwargs\.pop\('full_attention_interval', 4\)\n.*",
        lambda: [
            {"key": "full_attention_interval", "by": "value", "value": 4, "when": "absent"},
            when_null(
                "layer_types",
                by="periodic",
                of=["full_attention", "linear_attention"],
                period="full_attention_interval",
                at=-1,
            ),
        ],
    ),
    (
        r"if self\.(\w+) is None:\n    window_pattern = 4\n.*",
        lambda a: when_null(
            a, by="periodic", of=["full_attention", "sliding_attention"], period=4, at=0
        ),
    ),
    (
        r"if self\.layer_types is None:\n    sliding_window_pattern = 6\n.*",
        lambda: when_null(
            "layer_types",
            by="periodic",
            of=["full_attention", "sliding_attention"],
            period=6,
            at=-1,
        ),
    ),
    (
        r"if self\.(\w+) is None:\n    self\.\w+ = \['(\w+)' if self\.sliding_window is not None "
        r"else '(\w+)'\] \* self\.num_hidden_layers",
        lambda key, a, b: when_null(key, by="first", of=[b, a], n=0, needs="sliding_window"),
    ),
    (
        r"if self\.(\w+) is None:\n    self\.\w+ = \['(\w+)'\] \* self\.num_hidden_layers",
        lambda key, a: when_null(key, by="first", of=[a, a], n=0),
    ),
    (
        r"if self\.(\w+) is None:\n    self\.\w+ = \[self\.(\w+)\] \* self\.num_hidden_layers",
        lambda key, a: when_null(key, by="repeat", of=a),
    ),
    (
        r"if self\.(\w+) is None:\n    self\.\w+ = \[self\.rope_parameters\['rope_theta'\]\] \* "
        r"self\.num_hidden_layers",
        lambda key: when_null(key, by="repeat", of="rope_parameters.rope_theta"),
    ),
    (
        r"if self\.(\w+) is None:\n    self\.\w+ = \[0 if \(self\.num_hidden_layers - 1 - i\) % 4 "
        r"== 0 else "
        r"self\.rope_parameters\['rope_theta'\] for i in range\(self\.num_hidden_layers\)\]",
        lambda key: when_null(
            key,
            by="periodic",
            of=[0, {"key": "rope_parameters.rope_theta"}],
            period=4,
            at=0,
            back=True,
        ),
    ),
    (
        r"if self\.(\w+) is None:\n    self\.\w+ = \['(\w+)'\] \+ \['(\w+)'\] \* "
        r"\(self\.num_hidden_layers - 1\)",
        lambda key, a, b: when_null(key, by="first", of=[a, b], n=1),
    ),
    (
        r"if self\.(\w+) is None:\n    self\.\w+ = \['(\w+)'\] \* (?:\(1 if "
        r"self\.num_hidden_layers > 0 else 0\)|"
        r"min\(1, self\.num_hidden_layers\)) \+ \['(\w+)'\] \* max\(self\.num_hidden_layers - 1, "
        r"0\)",
        lambda key, a, b: when_null(key, by="first", of=[a, b], n=1),
    ),
]


def amount(node: ast.expr) -> Any:
    """A number, or the name of the key of self.X."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def layer_test(node: ast.expr, i: str) -> Json | None:
    """{"period", "at"} or {"n"} with "yes":
    whether the first value is the one where the test holds."""
    text = ast.unparse(node)
    text = re.sub(r"\bself\.", "", text)
    text = re.sub(rf"\b{i}\b", "i", text).replace(
        "_sliding_window_pattern", "sliding_window_pattern"
    )
    m = re.fullmatch(r"sliding_window is not None and i >= (\w+)", text)
    if m:
        return {"n": m[1], "needs": "sliding_window", "yes": False}
    m = re.fullmatch(r"i < (\w+)", text)
    if m:
        return {"n": m[1], "yes": True}
    m = re.fullmatch(
        r"(?:bool\()?\(i \+ 1\) % (\w+)\)?(?: != 0)?(?: and i < num_hidden_layers)?", text
    )
    if m:
        return {"period": m[1], "at": -1, "yes": False}
    m = re.fullmatch(r"\(i \+ 1\) % (\w+) == 0", text)
    if m:
        return {"period": m[1], "at": -1, "yes": True}
    m = re.fullmatch(r"i % (\w+) == (\w+)", text)
    if m:
        return {"period": m[1], "at": m[2], "yes": True}
    m = re.fullmatch(r"\(num_hidden_layers - 1 - i\) % (\w+) == 0", text)
    if m:
        return {"period": m[1], "at": 0, "back": True, "yes": True}
    m = re.fullmatch(r"i == 0 or (?:\(i - 1\) % (\w+) == 0)", text)
    if m:
        return {"period": m[1], "at": 1, "first": True, "yes": True}
    m = re.fullmatch(r"i == 0 or not \(i \+ 1\) % (\w+)", text)
    if m:
        return {"period": m[1], "at": -1, "first": True, "yes": True}
    return None


def layer_list(statement: ast.stmt) -> Json | None:
    """if self.X is None: self.X = [A if test(i) else B for i in range(self.num_hidden_layers)]"""
    if not isinstance(statement, ast.If) or len(statement.body) != 1 or statement.orelse:
        return None
    m = re.fullmatch(r"self\.(\w+) is None", ast.unparse(statement.test))
    inner = statement.body[0]
    if not m or not isinstance(inner, ast.Assign) or not isinstance(inner.value, ast.ListComp):
        return None
    loop = inner.value.generators[0]
    element = inner.value.elt
    if ast.unparse(loop.iter) != "range(self.num_hidden_layers)" or loop.ifs:
        return None
    i = ast.unparse(loop.target)
    yes_no: list[Any]
    if (
        isinstance(element, ast.IfExp)
        and isinstance(element.body, ast.Constant)
        and isinstance(element.orelse, ast.Constant)
    ):
        test, yes_no = element.test, [element.body.value, element.orelse.value]
    elif isinstance(element, ast.Call) and ast.unparse(element.func) == "int":
        test, yes_no = element.args[0], [1, 0]
    else:
        return None
    found = layer_test(test, i)
    if not found:
        return None
    if not found.pop("yes"):
        yes_no.reverse()
    for name in ("period", "at", "n"):
        if isinstance(found.get(name), str) and re.fullmatch(r"\d+", found[name]):
            found[name] = int(found[name])
    by = "periodic" if "period" in found else "first"
    return when_null(m[1], by=by, of=yes_no, **found)


BASE: Json = {"by": "rope"}
KV: Json = {"key": "num_key_value_heads", "by": "same", "of": "num_attention_heads", "when": "null"}
GLOBAL_LAYERS: Json = {
    "key": "layer_types",
    "by": "periodic",
    "of": ["full_attention", "sliding_attention"],
    "at": -1,
}
GEMMA4: list[Json] = [
    {
        "key": "is_causal",
        "by": "value",
        "value": False,
        "if": "use_bidirectional_attention",
        "is": "all",
    },
    {"key": "sliding_window", "by": "both_ways", "if": "use_bidirectional_attention", "is": "all"},
    {**GLOBAL_LAYERS, "period": 6, "when": "null"},
    {"key": "layer_types", "by": "last", "value": "full_attention"},
    {
        "key": "rope_parameters",
        "by": "value",
        "when": "null",
        "value": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "full_attention": {
                "rope_type": "proportional",
                "partial_rotary_factor": 0.25,
                "rope_theta": 1000000.0,
            },
        },
    },
    {
        "key": "global_head_dim",
        "by": "value",
        "value": 512,
        "when": "absent",
        "without": "per_layer_config",
        "reads": ["num_global_key_value_heads"],
    },
    BASE,
]
# Class: digest of its __post_init__, and its derivations.
SPECIAL: dict[str, tuple[str, list[Json]]] = {
    "FlintConfig": (
        "7c1409e247c1",
        [
            {
                "key": "layer_types",
                "by": "periodic",
                "of": ["full_attention", "sliding_attention"],
                "head": ["full_attention"],
                "period": 4,
                "at": 0,
                "last": True,
                "when": "null",
            },
            {"key": "mlp_only_layers", "by": "value", "value": [0, 1], "when": "null"},
            BASE,
        ],
    ),
    "InklingTextConfig": (
        "dda48e8fb333",
        [
            {
                **GLOBAL_LAYERS,
                "of": ["hybrid", "hybrid_sliding"],
                "period": 6,
                "without": "local_layer_ids",
                "when": "null",
            },
            when_null(
                "layer_types",
                by="enumerated",
                of=["hybrid_sliding", "hybrid"],
                list="local_layer_ids",
                n=0,
            ),
            {"key": "dense_mlp_idx", "by": "value", "value": 0, "when": "absent"},
            when_null("mlp_layer_types", by="first", of=["dense", "sparse"], n="dense_mlp_idx"),
            {
                "key": "moe_intermediate_size",
                "by": "same",
                "of": "intermediate_size",
                "if": "dense_intermediate_size",
            },
            {"key": "intermediate_size", "by": "spelled", "of": "dense_intermediate_size"},
            BASE,
        ],
    ),
    "ModernBertDecoderConfig": (
        "75b7d89d3ce7",
        [
            {"key": "global_attn_every_n_layers", "by": "value", "value": 3, "when": "absent"},
            when_null(
                "layer_types",
                by="periodic",
                of=["full_attention", "sliding_attention"],
                period="global_attn_every_n_layers",
                at=0,
            ),
            {
                "key": "sliding_window",
                "by": "quotient",
                "of": ["local_attention", 2],
                "reads": ["global_rope_theta", "local_rope_theta"],
            },
            BASE,
        ],
    ),
    "Cohere2Config": (
        "46b0c388a136",
        [
            KV,
            {"key": "head_dim", "by": "quotient", "of": ["hidden_size", "num_attention_heads"]},
            {"key": "sliding_window_pattern", "by": "value", "value": 4, "when": "absent"},
            {
                "key": "layer_types",
                "by": "periodic",
                "of": ["full_attention", "sliding_attention"],
                "period": "sliding_window_pattern",
                "at": -1,
                "when": "null",
            },
            BASE,
        ],
    ),
    # layer_types is the plugin's to derive: its list of numbers may be null, for every layer
    "Lfm2Config": (
        "bdbf5964f926",
        [
            {"key": "tie_word_embeddings", "by": "spelled", "of": "tie_embedding"},
            {
                "key": "intermediate_size",
                "by": "spelled",
                "of": "block_ff_dim",
                "reads": ["full_attn_idxs", "layer_types"],
            },
            BASE,
        ],
    ),
    # linear_key_head_dim and linear_value_head_dim, where they are null, are the plugin's to derive
    "OlmoHybridConfig": (
        "80a397bb3684",
        [
            {
                "key": "layer_types",
                "by": "periodic",
                "of": ["full_attention", "linear_attention"],
                "period": 4,
                "at": -1,
                "some": True,
                "when": "null",
            },
            {
                "key": "linear_num_key_heads",
                "by": "same",
                "of": "num_attention_heads",
                "when": "null",
            },
            {
                "key": "linear_num_value_heads",
                "by": "same",
                "of": "num_attention_heads",
                "when": "null",
            },
            KV,
            BASE,
        ],
    ),
    "Cohere2MoeConfig": (
        "f65efefb1dbb",
        [
            KV,
            {"key": "first_k_dense_replace", "by": "value", "value": 0, "when": "absent"},
            {
                "key": "layer_types",
                "by": "prefix_pattern",
                "of": ["full_attention", "sliding_attention"],
                "when": "null",
                "prefix": "first_k_dense_replace",
                "prefix_period": "prefix_dense_sliding_window_pattern",
                "period": "sliding_window_pattern",
            },
            {
                "key": "mlp_layer_types",
                "by": "first",
                "of": ["dense", "sparse"],
                "n": "first_k_dense_replace",
                "when": "null",
            },
            BASE,
        ],
    ),
    "UnlimitedOcrTextConfig": (
        "28ddd1d8d490",
        [
            {
                "key": "layer_types",
                "by": "first",
                "of": ["reference_sliding_attention", "reference_sliding_attention"],
                "n": 0,
                "when": "null",
            },
            {"key": "first_k_dense_replace", "by": "value", "value": 1, "when": "absent"},
            {
                "key": "mlp_layer_types",
                "by": "first",
                "of": ["dense", "sparse"],
                "n": "first_k_dense_replace",
                "when": "null",
            },
            {"key": "head_dim", "by": "quotient", "of": ["hidden_size", "num_attention_heads"]},
            KV,
            BASE,
        ],
    ),
    "BeamConfig": (
        "a37e97adc211",
        [
            {**GLOBAL_LAYERS, "period": 6, "last": True, "when": "null"},
            {
                "key": "mlp_layer_types",
                "by": "first",
                "of": ["dense", "sparse"],
                "n": 3,
                "when": "null",
            },
            {
                "key": "rope_parameters",
                "by": "value",
                "when": "null",
                "value": {
                    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                    "full_attention": None,
                },
            },
            BASE,
        ],
    ),
    "CohereCompassTextConfig": (
        "a9ac4637e4d6",
        [
            {
                "key": "layer_types",
                "by": "first",
                "of": ["full_attention", "full_attention"],
                "n": 0,
                "when": "null",
            },
            KV,
            {"key": "head_dim", "by": "quotient", "of": ["hidden_size", "num_attention_heads"]},
            BASE,
        ],
    ),
    "Step3p7TextConfig": (
        "86be8b806501",
        [
            {
                "by": "cut_layers",
                "n": "num_nextn_predict_layers",
                "reads": [
                    "layer_types",
                    "mlp_layer_types",
                    "swiglu_limits",
                    "swiglu_limits_shared",
                    "rope_theta",
                    "partial_rotary_factors",
                ],
            },
            {
                "key": "layer_types",
                "by": "first",
                "of": ["full_attention", "full_attention"],
                "n": 0,
                "when": "null",
            },
            {
                "key": "mlp_layer_types",
                "by": "enumerated",
                "of": ["sparse", "dense"],
                "list": "moe_layers_enum",
                "n": 3,
                "when": "null",
            },
            {
                "key": "num_sliding_attention_heads",
                "by": "spelled",
                "of": "attention_other_setting.num_attention_heads",
                "when": "null",
            },
            {
                "key": "num_sliding_attention_heads",
                "by": "same",
                "of": "num_attention_heads",
                "when": "null",
            },
            {
                "key": "num_attention_heads_per_layer",
                "by": "layer_heads",
                "of": "num_sliding_attention_heads",
                "reads": ["per_layer_config"],
            },
            {"key": "query_pre_attn_scalar", "by": "same", "of": "head_dim", "when": "null"},
            {"by": "typed_rope", "value": 10000.0, "reads": ["partial_rotary_factors"]},
            BASE,
            {"key": "hidden_act", "by": "value", "value": "silu"},
        ],
    ),
    "DbrxConfig": (
        "cb49a3cbd4a8",
        [
            {"key": "num_key_value_heads", "by": "same", "of": "attn_config.kv_n_heads"},
            # not in the class: released files have it there, see docs/reference-faults.md
            {"key": "rope_theta", "by": "spelled", "of": "attn_config.rope_theta"},
            BASE,
        ],
    ),
    "DeepseekV4Config": (
        "46f42bf43506",
        [
            BASE,
            {
                "by": "compressed_layers",
                "reads": [
                    "compress_rates",
                    "compress_rate_csa",
                    "compress_rate_hca",
                    "compress_ratios",
                    "num_hash_layers",
                    "layer_types",
                    "mlp_layer_types",
                ],
            },
            {
                "by": "compressed_rope",
                "reads": [
                    "qk_rope_head_dim",
                    "head_dim",
                    "partial_rotary_factor",
                    "rope_theta",
                    "compress_rope_theta",
                ],
            },
        ],
    ),
    "Gemma3nTextConfig": (
        "235f88c323a0",
        [
            {
                "key": "intermediate_size",
                "by": "repeat",
                "of": "intermediate_size",
                "when": "number",
            },
            {**GLOBAL_LAYERS, "period": 5, "when": "null"},
            {
                "key": "activation_sparsity_pattern",
                "by": "first",
                "of": [0.95, 0.0],
                "n": 10,
                "beyond": 10,
                "when": "null",
            },
            BASE,
        ],
    ),
    "Gemma4TextConfig": ("d2b8696ede49", GEMMA4),
    "Gemma4UnifiedTextConfig": ("d2b8696ede49", GEMMA4),
    "GlmMoeDsaConfig": (
        "4a3936664e40",
        [
            {
                "key": "indexer_types",
                "by": "indexer_pattern",
                "when": "null",
                "reads": ["index_topk_pattern", "index_topk_freq", "index_skip_topk_offset"],
            },
            {"key": "qk_head_dim", "by": "sum", "of": ["qk_nope_head_dim", "qk_rope_head_dim"]},
            {"key": "head_dim", "by": "same", "of": "qk_rope_head_dim"},
            {
                "key": "mlp_layer_types",
                "by": "first",
                "of": ["dense", "sparse"],
                "n": "first_k_dense_replace",
                "when": "null",
            },
            {
                "key": "layer_types",
                "by": "first",
                "of": ["indexed_attention", "indexed_attention"],
                "n": 0,
                "when": "null",
            },
            {"key": "n_routed_experts", "by": "spelled", "of": "num_experts"},
            BASE,
        ],
    ),
    "MistralLarge4TextConfig": (
        "158a1c2355ec",
        [
            when_null(
                "rope_parameters",
                by="value",
                value={
                    "rope_type": "yarn",
                    "rope_theta": 10000.0,
                    "factor": 2048.0,
                    "original_max_position_embeddings": 512,
                    "beta_fast": 32.0,
                    "beta_slow": 1.0,
                    "attention_factor": 1.0,
                },
            ),
            {"key": "no_rope_layer_interval", "by": "value", "value": 4, "when": "absent"},
            when_null(
                "no_rope_layers", by="periodic", of=[0, 1], period="no_rope_layer_interval", at=-1
            ),
            when_null(
                "indexer_types",
                by="indexer_pattern",
                reads=["index_topk_pattern", "index_topk_freq", "index_skip_topk_offset"],
            ),
            {"key": "qk_head_dim", "by": "sum", "of": ["qk_nope_head_dim", "qk_rope_head_dim"]},
            {"key": "head_dim", "by": "same", "of": "qk_rope_head_dim"},
            when_null(
                "mlp_layer_types", by="first", of=["dense", "sparse"], n="first_k_dense_replace"
            ),
            when_null(
                "layer_types", by="first", of=["indexed_attention", "indexed_attention"], n=0
            ),
            {"key": "n_routed_experts", "by": "spelled", "of": "num_experts"},
            BASE,
        ],
    ),
    "Dots3NoteTextConfig": (
        "0381dc11f72b",
        [
            {"key": "first_k_dense_replace", "by": "value", "value": 1, "when": "absent"},
            {"key": "moe_layer_freq", "by": "value", "value": 1, "when": "absent"},
            when_null(
                "mlp_layer_types",
                by="first",
                of=["dense", "sparse"],
                n="first_k_dense_replace",
                every="moe_layer_freq",
            ),
            {
                "key": "shared_experts_intermediate_size",
                "by": "spelled",
                "of": "moe_shared_expert_intermediate_size",
                "null": True,
            },
            KV,
            when_null("sliding_window", by="spelled", of="sliding_window_size"),
            when_null("sliding_window", by="value", value=512),
            {"key": "use_sliding_window", "by": "value", "value": True, "when": "absent"},
            when_null(
                "layer_types",
                by="periodic",
                of=["indexed_attention", "sliding_attention"],
                period=4,
                at=1,
                first=True,
                needs="use_sliding_window",
            ),
            {"key": "swa_num_attention_heads", "by": "value", "value": 64, "when": "absent"},
            {"key": "swa_q_lora_rank", "by": "value", "value": 1024, "when": "absent"},
            {"key": "swa_kv_lora_rank", "by": "value", "value": 1024, "when": "absent"},
            {"key": "swa_head_dim", "by": "value", "value": 256, "when": "absent"},
            {"key": "swa_qk_nope_head_dim", "by": "value", "value": 192, "when": "absent"},
            {"key": "swa_v_head_dim", "by": "value", "value": 128, "when": "absent"},
            {"key": "swa_rope_theta", "by": "value", "value": 50000.0, "when": "absent"},
            {
                "key": "swa_rope_theta",
                "by": "value",
                "value": None,
                "if": "rope_parameters",
                "kwargs": True,
                "reads": [
                    "use_dsa",
                    "per_layer_config",
                    "swa_qk_rope_head_dim",
                    "swa_num_key_value_heads",
                ],
            },
            {
                "key": "swa_rope_theta",
                "by": "value",
                "value": None,
                "if": "rope_scaling",
                "kwargs": True,
            },
            BASE,
        ],
    ),
    "Glm5NextTextConfig": (
        "dd36c92e4d34",
        [
            KV,
            {
                "key": "mlp_layer_types",
                "by": "first",
                "of": ["dense", "sparse"],
                "n": 3,
                "when": "null",
            },
            {
                "key": "layer_types",
                "by": "periodic",
                "of": ["indexed_attention", "linear_attention"],
                "period": 4,
                "at": -1,
                "when": "null",
            },
            {
                "key": "indexer_types",
                "by": "indexer_pattern",
                "when": "null",
                "reads": ["index_topk_pattern", "index_topk_freq", "index_skip_topk_offset"],
            },
            {"key": "linear_head_dim", "by": "spelled", "of": "linear_attn_config.head_dim"},
            {"key": "linear_num_heads", "by": "spelled", "of": "linear_attn_config.num_heads"},
            {
                "key": "linear_conv_kernel_dim",
                "by": "spelled",
                "of": "linear_attn_config.short_conv_kernel_size",
            },
            {
                "key": "linear_lower_bound",
                "by": "spelled",
                "of": "linear_attn_config.gate_lower_bound",
                "null": True,
            },
            {
                "key": "linear_lower_bound",
                "by": "value",
                "value": -5.0,
                "when": "null",
                "if": "linear_attn_config",
                "without": "linear_attn_config.safe_gate",
            },
            {
                "key": "linear_lower_bound",
                "by": "value",
                "value": -5.0,
                "when": "null",
                "if": "linear_attn_config.safe_gate",
            },
            {"key": "head_dim", "by": "same", "of": "qk_rope_head_dim"},
            {"key": "qk_head_dim", "by": "sum", "of": ["qk_nope_head_dim", "qk_rope_head_dim"]},
            BASE,
        ],
    ),
    "GPTBigCodeConfig": (
        "ea59f3454968",
        [
            {"key": "num_key_value_heads", "by": "same", "of": "num_attention_heads"},
            {"key": "num_key_value_heads", "by": "value", "value": 1, "if": "multi_query"},
            BASE,
        ],
    ),
    "GPTNeoConfig": (
        "a4ee5dd95bc5",
        [
            {
                "key": "attention_types",
                "by": "value",
                "value": [[["global", "local"], 12]],
                "when": "null",
            },
            {"key": "attention_layers", "by": "expand", "of": "attention_types"},
            BASE,
        ],
    ),
    "JetMoeConfig": (
        "a28343617eee",
        [
            {
                "key": "num_attention_heads",
                "by": "product",
                "of": ["num_key_value_heads", "num_experts_per_tok"],
            },
            BASE,
        ],
    ),
    "KimiLinearConfig": (
        "c79a896077e8",
        [
            KV,
            {"key": "qk_head_dim", "by": "sum", "of": ["qk_nope_head_dim", "qk_rope_head_dim"]},
            {"key": "head_dim", "by": "same", "of": "qk_rope_head_dim"},
            BASE,
            {"key": "linear_head_dim", "by": "spelled", "of": "linear_attn_config.head_dim"},
            {"key": "linear_num_heads", "by": "spelled", "of": "linear_attn_config.num_heads"},
            {
                "key": "linear_conv_kernel_dim",
                "by": "spelled",
                "of": "linear_attn_config.short_conv_kernel_size",
            },
            {
                "key": "layer_types",
                "by": "numbered",
                "when": "null",
                "of": ["full_attention", "linear_attention"],
                "reads": ["linear_attn_config.full_attn_layers", "linear_attn_config.kda_layers"],
            },
            {
                "key": "layer_types",
                "by": "periodic",
                "of": ["full_attention", "linear_attention"],
                "period": 4,
                "at": 0,
                "not_first": True,
                "when": "null",
            },
            {"key": "first_k_dense_replace", "by": "value", "value": 1, "when": "absent"},
            {
                "key": "mlp_layer_types",
                "by": "first",
                "of": ["dense", "sparse"],
                "n": "first_k_dense_replace",
                "when": "null",
            },
        ],
    ),
    "Lfm3Config": (
        "1ccd31e3edf1",
        [
            {
                "key": "rope_parameters",
                "by": "value",
                "when": "null",
                "value": {
                    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                    "full_attention": {
                        "rope_type": "proportional",
                        "rope_theta": 1000000.0,
                        "partial_rotary_factor": 0.5,
                    },
                },
            },
            {
                "key": "layer_types",
                "by": "cycle",
                "of": ["sliding_attention", "conv", "full_attention", "conv"],
                "first": "conv",
                "when": "null",
            },
            BASE,
        ],
    ),
    "Llama4TextConfig": (
        "fff4835c19fd",
        [
            KV,
            {
                "key": "no_rope_layers",
                "by": "periodic",
                "of": [0, 1],
                "period": "no_rope_layer_interval",
                "at": -1,
                "when": "falsy",
            },
            {
                "key": "head_dim",
                "by": "quotient",
                "of": ["hidden_size", "num_attention_heads"],
                "when": "null",
            },
            {
                "key": "moe_layers",
                "by": "every_nth",
                "of": "interleave_moe_layer_step",
                "when": "null",
            },
            {
                "key": "layer_types",
                "by": "where",
                "list": "no_rope_layers",
                "of": ["chunked_attention", "full_attention"],
                "needs": "attention_chunk_size",
                "when": "null",
            },
            BASE,
        ],
    ),
    "MiniMaxM3VLTextConfig": (
        "92564907606e",
        [
            BASE,
            {"key": "hidden_act", "by": "value", "value": "silu"},
            {
                "key": "index_n_heads",
                "by": "spelled",
                "of": "sparse_attention_config.sparse_num_index_heads",
            },
            {
                "key": "index_head_dim",
                "by": "spelled",
                "of": "sparse_attention_config.sparse_index_dim",
            },
            {
                "key": "index_block_size",
                "by": "spelled",
                "of": "sparse_attention_config.sparse_block_size",
            },
            {
                "key": "index_topk_blocks",
                "by": "spelled",
                "of": "sparse_attention_config.sparse_topk_blocks",
            },
            {
                "key": "index_local_blocks",
                "by": "spelled",
                "of": "sparse_attention_config.sparse_local_block",
            },
            {
                "key": "layer_types",
                "by": "where",
                "list": "sparse_attention_config.sparse_attention_freq",
                "of": ["minimax_m3_sparse", "full_attention"],
                "when": "null",
            },
            {
                "key": "layer_types",
                "by": "first",
                "of": ["full_attention", "full_attention"],
                "n": 0,
                "when": "null",
            },
            {
                "key": "mlp_layer_types",
                "by": "where",
                "list": "moe_layer_freq",
                "of": ["sparse", "dense"],
                "when": "null",
            },
            {
                "key": "mlp_layer_types",
                "by": "first",
                "of": ["sparse", "sparse"],
                "n": 0,
                "when": "null",
            },
        ],
    ),
    "Mistral4Config": (
        "420e324ca0d1",
        [
            {
                "key": "rope_parameters",
                "by": "value",
                "when": "null",
                "value": {
                    "type": "yarn",
                    "rope_theta": 10000.0,
                    "factor": 128.0,
                    "original_max_position_embeddings": 8192,
                    "beta_fast": 32.0,
                    "beta_slow": 1.0,
                    "mscale_all_dim": 1.0,
                    "mscale": 1.0,
                    "llama_4_scaling_beta": 0.1,
                },
            },
            KV,
            {"key": "qk_head_dim", "by": "sum", "of": ["qk_nope_head_dim", "qk_rope_head_dim"]},
            {"key": "head_dim", "by": "sum", "of": ["qk_nope_head_dim", "qk_rope_head_dim"]},
            {
                "key": "rope_parameters",
                "by": "rotated_share",
                "of": ["qk_rope_head_dim", "head_dim"],
            },
            BASE,
        ],
    ),
    "MptConfig": ("1b1360bb3c26", [BASE]),
    "NemotronHConfig": (
        "fd5a66bedc47",
        [
            {"key": "n_groups", "by": "spelled", "of": "mamba_n_groups", "null": True},
            {"key": "conv_kernel", "by": "spelled", "of": "mamba_d_conv", "null": True},
            {"key": "expand", "by": "spelled", "of": "mamba_expand", "null": True},
            {"key": "time_step_min", "by": "spelled", "of": "mamba_dt_min", "null": True},
            {"key": "time_step_max", "by": "spelled", "of": "mamba_dt_max", "null": True},
            {"key": "time_step_limit", "by": "spelled", "of": "mamba_dt_limit", "null": True},
            {"key": "use_conv_bias", "by": "spelled", "of": "mamba_conv_bias", "null": True},
            {"key": "chunk_size", "by": "spelled", "of": "mamba_chunk_size", "null": True},
            {
                "key": "layers_block_type",
                "by": "letters",
                "of": "hybrid_override_pattern",
                "when": "null",
                "reads": ["mtp_hybrid_override_pattern"],
                "letters": {"M": "linear_attention", "E": "moe", "*": "full_attention", "-": "mlp"},
            },
            {
                "key": "layers_block_type",
                "by": "value",
                "value": ["linear_attention", "moe", "full_attention", "mlp"],
                "when": "null",
            },
            KV,
            BASE,
        ],
    ),
    "Qwen2MoeConfig": (
        "37bebe73562b",
        [
            {"key": "mlp_only_layers", "by": "value", "value": [], "when": "null"},
            {"key": "sliding_window", "by": "value", "value": 0, "unless": "use_sliding_window"},
            {
                **GLOBAL_LAYERS,
                "period": 2,
                "below": "max_window_layers",
                "needs": "use_sliding_window",
                "when": "null",
            },
            BASE,
        ],
    ),
    "SmolLM3Config": (
        "5e14df46ef44",
        [
            KV,
            {
                "key": "no_rope_layers",
                "by": "periodic",
                "of": [0, 1],
                "period": "no_rope_layer_interval",
                "at": -1,
                "when": "null",
            },
            {
                "key": "layer_types",
                "by": "where",
                "list": "no_rope_layers",
                "of": ["full_attention", "full_attention"],
                "when": "null",
                "unless": "use_sliding_window",
            },
            {
                "key": "layer_types",
                "by": "where",
                "list": "no_rope_layers",
                "of": ["full_attention", "sliding_attention"],
                "needs": "sliding_window",
                "else": "full_attention",
                "when": "null",
            },
            BASE,
        ],
    ),
    "ZambaConfig": (
        "c380e2fdf566",
        [
            {
                "key": "attention_hidden_size",
                "by": "product",
                "of": [2, "hidden_size"],
                "when": "falsy",
            },
            {
                "key": "attention_head_dim",
                "by": "quotient",
                "of": [[2, "hidden_size"], "num_attention_heads"],
                "when": "falsy",
            },
            {
                "key": "mamba_dt_rank",
                "by": "quotient",
                "of": ["hidden_size", 16],
                "up": True,
                "when": "auto",
            },
            {
                "key": "layers_block_type",
                "by": "periodic",
                "of": ["hybrid", "linear_attention"],
                "head": ["linear_attention", "linear_attention", "hybrid"],
                "period": "attn_layer_period",
                "at": "attn_layer_offset",
                "when": "null",
            },
            BASE,
        ],
    ),
    "Zamba2Config": (
        "3ba7336e95e3",
        [
            {
                "key": "intermediate_size",
                "by": "product",
                "of": [4, "hidden_size"],
                "when": "falsy",
            },
            {"key": "attention_hidden_size", "by": "product", "of": [2, "hidden_size"]},
            {
                "key": "attention_head_dim",
                "by": "quotient",
                "of": [[2, "hidden_size"], "num_attention_heads"],
            },
            {
                "key": "mamba_headdim",
                "by": "quotient",
                "of": [["mamba_expand", "hidden_size"], "n_mamba_heads"],
            },
            {
                "key": "max_position_embeddings",
                "by": "value",
                "value": 16384,
                "if": "use_long_context",
            },
            KV,
            {"key": "kv_channels", "by": "quotient", "of": ["hidden_size", "num_attention_heads"]},
            {"key": "num_query_groups", "by": "same", "of": "num_attention_heads"},
            {
                "key": "layers_block_type",
                "by": "value",
                "when": "null",
                "value": (
                    ["linear_attention"]
                    + (["linear_attention"] * 5 + ["hybrid"]) * 7
                    + ["linear_attention"] * 4
                    + ["hybrid"]
                    + ["linear_attention"] * 3
                    + ["hybrid"]
                    + ["linear_attention"] * 2
                ),
            },
            {
                "key": "hybrid_layer_ids",
                "by": "indices",
                "of": "layers_block_type",
                "value": "hybrid",
            },
            BASE,
        ],
    ),
}
