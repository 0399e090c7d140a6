/* facts.c: a feed-forward part's params as data for a reader. */
#include "blocks/mlp/impl.h"
#include "blocks/ops.h"

const char *zoo_act_name(uint32_t act)
{
    static const char *const names[ZOO_ACT_COUNT] = {
        "none",         "silu",    "gelu", "gelu (tanh)", "relu",
        "relu squared", "sigmoid", "tanh", "softplus",    "exp"};
    return act < ZOO_ACT_COUNT ? names[act] : "unknown";
}

void zoo_glu_facts(const zoo_glu *glu, const zoo_facts *to)
{
    if (glu->gate_softcap > 0) {
        to->text(to, "activation", "silu, its factor and the other rows soft-capped");
        to->number(to, "gate_softcap", (double)glu->gate_softcap);
        to->number(to, "up_softcap", (double)glu->up_softcap);
    } else if (glu->alpha > 0) {
        to->text(to, "activation", "x sigmoid(alpha x)");
        to->number(to, "alpha", (double)glu->alpha);
    } else {
        to->text(to, "activation", zoo_act_name(glu->act));
    }
    if (glu->limit > 0) {
        to->number(to, "clamp", (double)glu->limit);
    }
}

void zoo_mlp_facts(const void *params, const zoo_facts *to)
{
    const zoo_mlp *p = params;
    to->text(to, "kind", "feed-forward");
    to->number(to, "inner", p->width);
    if (p->gated) {
        to->number(to, "gated", 1);
    }
    zoo_glu_facts(&p->glu, to);
    if (p->in_bias || p->out_bias) {
        to->number(to, "bias", 1);
    }
    if (p->sub_norm) {
        to->text(to, "inner_norm", "before the last matrix");
    }
}
