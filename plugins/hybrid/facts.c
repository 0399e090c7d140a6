/* facts.c: what the mixers with a state are, as data for a reader. Operations count a
 * multiplication and an addition as two. */
#include "delta.h"
#include "mamba1.h"
#include "mamba2.h"
#include "mlstm.h"
#include "rglru.h"
#include "rwkv.h"

static void tell_conv(const zoo_facts *to, uint32_t channels, uint32_t taps)
{
    to->number(to, "convolution", taps);
    to->number(to, "flops.conv", 2.0 * channels * taps);
}

void hybrid_mamba2_facts(const void *params, const zoo_facts *to)
{
    const mamba2_params *p = params;
    to->text(to, "kind", "state space");
    to->text(to, "rule", "Mamba-2");
    to->number(to, "heads", p->n_heads);
    to->number(to, "head_dim", p->head_dim);
    to->number(to, "state_size", p->state_size);
    if (p->n_groups > 1) {
        to->number(to, "groups", p->n_groups);
    }
    to->text(to, "decay", "one value a head");
    tell_conv(to, p->channels, p->taps);
    to->number(to, "flops.ssm", 5.0 * p->inner * p->state_size);
}

void hybrid_mamba1_facts(const void *params, const zoo_facts *to)
{
    const mamba1_params *p = params;
    to->text(to, "kind", "state space");
    to->text(to, "rule", "Mamba");
    to->number(to, "channels", p->inner);
    to->number(to, "state_size", p->state_size);
    to->number(to, "step_rank", p->rank);
    to->text(to, "decay", "every channel and place");
    tell_conv(to, p->inner, p->taps);
    to->number(to, "flops.scan", 6.0 * p->inner * p->state_size);
}

void hybrid_delta_facts(const void *params, const zoo_facts *to)
{
    const delta_params *p = params;
    to->text(to, "kind", "delta rule");
    to->number(to, "heads", p->n_v_heads);
    to->number(to, "key_heads", p->n_k_heads);
    to->number(to, "head_dim", p->k_dim);
    to->number(to, "value_dim", p->v_dim);
    to->text(to, "decay", p->channel_decay ? "every key channel" : "one value a head");
    tell_conv(to, p->channels, p->taps);
    to->number(to, "flops.delta", 7.0 * p->n_v_heads * p->k_dim * p->v_dim);
}

void hybrid_mlstm_facts(const void *params, const zoo_facts *to)
{
    const mlstm_params *p = params;
    to->text(to, "kind", "matrix memory");
    to->text(to, "rule", "mLSTM");
    to->number(to, "heads", p->n_heads);
    to->number(to, "head_dim", p->k_dim);
    to->number(to, "value_dim", p->v_dim);
    to->text(to, "decay", "one value a head");
    to->number(to, "flops.memory", 5.0 * p->n_heads * p->k_dim * p->v_dim);
}

void hybrid_rglru_facts(const void *params, const zoo_facts *to)
{
    const rglru_params *p = params;
    to->text(to, "kind", "linear recurrence");
    to->text(to, "rule", "RG-LRU");
    to->number(to, "channels", p->width);
    to->number(to, "heads", p->n_heads);
    to->text(to, "decay", "every channel");
    tell_conv(to, p->width, p->taps);
}

void hybrid_rwkv_time_facts(const void *params, const zoo_facts *to)
{
    const rwkv_params *p = params;
    to->text(to, "kind", "linear recurrence");
    to->text(to, "rule", "RWKV-4");
    to->number(to, "channels", p->inner);
    to->text(to, "decay", "every channel");
}

void hybrid_rwkv_channel_facts(const void *params, const zoo_facts *to)
{
    const rwkv_params *p = params;
    to->text(to, "kind", "feed-forward");
    to->text(to, "rule", "RWKV-4 channel mixing");
    to->number(to, "inner", p->inner);
    to->number(to, "gated", 1);
    to->text(to, "activation", "relu squared");
}
